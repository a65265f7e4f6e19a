//! Bodies of REST: what a deal is read from, and how it is shown, with enum values in lower case.

use backbone::contract::{Deal, DealStatus, Item};
use backbone::ids::{DealId, ItemId, SellerId};
use backbone::money::{Currency, Discount, MinorUnits};
use backbone::time::Timestamp;
use seller_core::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch, Versions};
use serde::Serialize;
use serde_json::value::RawValue;

use super::reader::{Reader, integer, number, status, text, uuid};
use crate::error::Problem;

/// Fields that `GET` shows and that a caller may send back, but not set. Their values are ignored: `finalPrice` follows
/// from the others, so a caller who changes the price would have to compute it only for us to compare.
const READ_ONLY: [&str; 3] = ["finalPrice", "createdAt", "updatedAt"];

/// Reads the body of a `POST`. A `version`, which the deal of another `GET` has, is ignored.
pub(super) fn new_deal(body: &[u8], seller: SellerId) -> Result<NewDeal, Problem> {
    let mut reader = begin(body, seller)?;
    reader.ignore(&["version"]);

    // A violation leaves a default in its field, and `end` then fails, so no such deal gets out.
    let deal = NewDeal {
        id: None,
        name: reader.required("name", text).unwrap_or_default(),
        total_price: reader.required("totalPrice", integer).unwrap_or_default(),
        currency: reader.required("currency", text).unwrap_or_default(),
        status: reader
            .optional("status", status)
            .unwrap_or(DealStatus::Available),
        discount: discount(&mut reader),
        items: reader.required_objects("items", item),
    };

    reader.end().map(|()| deal)
}

/// Part of a `PUT` beside its body.
pub(super) struct Target {
    /// Id in the path; without one, the body must give it.
    pub(super) id: Option<DealId>,
    /// Versions that the preconditions admit.
    pub(super) versions: Versions,
    /// True if the request has `If-Match`.
    pub(super) has_if_match: bool,
}

/// Reads the body of a `PUT`, which must give every field except the discount.
///
/// The body's `version` counts as the expected one unless `If-Match` or `expectedVersion` says another: what a caller has
/// read and sends back must not undo changes that it has not seen.
pub(super) fn replacement(
    body: &[u8],
    seller: SellerId,
    target: Target,
) -> Result<DealUpdate, Problem> {
    let mut reader = begin(body, seller)?;
    let id = id(&mut reader, target.id);

    let shown = reader.optional("version", version);
    let shown = shown.filter(|_| !target.has_if_match);
    let expected = reader.optional("expectedVersion", version);

    let deal = DealUpdate {
        id,
        expected_version: expected.or(shown),
        name: reader.required("name", text),
        total_price: reader.required("totalPrice", integer),
        currency: reader.required("currency", text),
        status: reader.required("status", status),
        discount: discount(&mut reader).map_or(Patch::Remove, Patch::Set),
        items: Some(reader.required_objects("items", item)),
        versions: target.versions,
    };

    reader.end().map(|()| deal)
}

fn begin(body: &[u8], seller: SellerId) -> Result<Reader<'_>, Problem> {
    let mut reader = Reader::begin(body)?;
    reader.ignore(&READ_ONLY);

    // Checked before the other fields: writing for another seller is forbidden whatever else the
    // body holds.
    let seller_id = reader.optional("sellerId", uuid);
    if seller_id.is_some_and(|id| id != seller.0) {
        return Err(Problem::forbidden("sellerId must be your own id"));
    }

    Ok(reader)
}

fn id(reader: &mut Reader<'_>, in_path: Option<DealId>) -> DealId {
    let Some(in_path) = in_path else {
        return DealId(reader.required("id", uuid).unwrap_or_default());
    };

    if reader
        .optional("id", uuid)
        .is_some_and(|id| id != in_path.0)
    {
        reader.report("id", "must be the id in the path");
    }
    in_path
}

fn discount(reader: &mut Reader<'_>) -> Option<NewDiscount> {
    let discount = reader.optional_object("discount", |inner| {
        let kind = inner.required("type", text);
        let discount = match kind.as_deref() {
            Some("flat") => inner.required("amount", integer).map(NewDiscount::Flat),
            Some("percentage") => inner
                .required("percentage", number)
                .map(NewDiscount::Percentage),
            Some(_) => {
                inner.report("type", "must be flat or percentage");
                return None;
            }
            // Absent or no text, which `required` has reported.
            None => return None,
        };

        // Which other fields belong to a discount depends on its type: without a valid one,
        // reporting `amount` or `percentage` as unknown would mislead.
        inner.report_unknown_fields();
        discount
    });

    discount.flatten()
}

fn item(reader: &mut Reader<'_>) -> NewItem {
    let item = NewItem {
        id: reader.optional("id", uuid).map(ItemId),
        name: reader.required("name", text).unwrap_or_default(),
        price: reader.required("price", integer).unwrap_or_default(),
    };

    reader.report_unknown_fields();
    item
}

/// Reads a version. No deal has one beyond 32 bits, so a larger number matches none.
fn version(value: &RawValue) -> Result<i32, &'static str> {
    let number = integer(value)?;

    if number < 1 {
        return Err("must be 1 or more");
    }
    Ok(i32::try_from(number).unwrap_or(i32::MAX))
}

/// Deal in the form that REST shows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DealBody<'a> {
    id: DealId,
    seller_id: SellerId,
    name: &'a str,
    total_price: MinorUnits,
    final_price: MinorUnits,
    currency: Currency,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountBody>,
    items: &'a [Item],
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum DiscountBody {
    Flat { amount: MinorUnits },
    Percentage { percentage: f64 },
}

impl<'a> From<&'a Deal> for DealBody<'a> {
    fn from(deal: &'a Deal) -> Self {
        let discount = deal.discount.map(|discount| match discount {
            Discount::Flat { amount } => DiscountBody::Flat { amount },
            Discount::Percentage { basis_points } => DiscountBody::Percentage {
                percentage: basis_points.percentage(),
            },
        });

        Self {
            id: deal.id,
            seller_id: deal.seller_id,
            name: &deal.name,
            total_price: deal.total_price,
            final_price: deal.final_price(),
            currency: deal.currency,
            status: deal.status.as_str().to_ascii_lowercase(),
            discount,
            items: &deal.items,
            version: deal.version,
            created_at: deal.created_at,
            updated_at: deal.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::error::Code;

    const SELLER: SellerId = SellerId(Uuid::from_u128(1));
    const ID: Uuid = Uuid::from_u128(7);

    fn violations(body: &str) -> Vec<String> {
        let problem = new_deal(body.as_bytes(), SELLER).expect_err("the body breaks rules");

        problem
            .fields
            .into_iter()
            .map(|field| format!("{} {}", field.path, field.message))
            .collect()
    }

    #[test]
    fn violations_are_all_reported_with_their_paths() {
        let body = r#"{"totalPrice":"1","currency":null,"status":"SOLD","discount":{"type":"flat","amount":1,"x":2},
                       "items":[{"name":"n","price":1.5},7],"colour":"red"}"#;

        assert_eq!(
            violations(body),
            [
                "name is required",
                "totalPrice must be an integer",
                "currency is required",
                "status must be one of available, reserved, sold, withdrawn",
                "discount.x is not a field of this body",
                "items.0.price must be an integer",
                "items.1 must be an object",
                "colour is not a field of this body",
            ]
        );
    }

    #[test]
    fn violations_are_reported_up_to_a_bound() {
        let unknown: Vec<String> = (0..9_000).map(|n| format!("\"a{n}\":1")).collect();
        assert_eq!(violations(&format!("{{{}}}", unknown.join(","))).len(), 50);

        let items = format!("{{\"items\":[{}{{}}]}}", "{},".repeat(9_000));
        assert_eq!(violations(&items).len(), 50);
    }

    #[test]
    fn seller_id_of_another_seller_is_refused_and_read_only_fields_are_ignored() {
        let with = |seller: Uuid| {
            let body = json!({ "name": "n", "totalPrice": 1, "currency": "GBP", "sellerId": seller,
                               "createdAt": "2024-06-17 05:30:12.520", "updatedAt": null,
                               "finalPrice": "any", "version": {}, "items": [] });
            new_deal(body.to_string().as_bytes(), SELLER).map_err(|problem| problem.code)
        };

        assert!(with(SELLER.0).is_ok());
        assert_eq!(with(Uuid::from_u128(2)).map(|_| ()), Err(Code::Forbidden));
    }

    #[test]
    fn body_that_is_not_an_object_is_a_bad_request() {
        let deep = "[".repeat(200_000);
        for body in ["", "{", "[]", "7", "{}x", &deep] {
            let problem = new_deal(body.as_bytes(), SELLER).expect_err("no object");
            assert_eq!(problem.code, Code::BadRequest, "{body:.9}");
        }
        assert!(new_deal(b"{\"a\":\"\xff\"}", SELLER).is_err());
    }

    fn replacement_of(
        more: Value,
        id: Option<Uuid>,
        has_if_match: bool,
    ) -> Result<DealUpdate, Problem> {
        let mut body = json!({ "name": "n", "totalPrice": 1, "currency": "GBP", "status": "sold", "items": [] });
        let fields = body.as_object_mut().expect("a body is an object");
        fields.extend(more.as_object().expect("an object").clone());

        let target = Target {
            id: id.map(DealId),
            versions: Versions::Any,
            has_if_match,
        };
        replacement(body.to_string().as_bytes(), SELLER, target)
    }

    #[test]
    fn version_that_is_expected_is_the_most_explicit_one() {
        let expected = |more: Value, has_if_match| {
            let update = replacement_of(more, Some(ID), has_if_match).expect("the body is right");
            update.expected_version
        };

        assert_eq!(expected(json!({}), false), None);
        assert_eq!(expected(json!({ "version": 3 }), false), Some(3));
        let both = json!({ "version": 3, "expectedVersion": 4 });
        assert_eq!(expected(both, false), Some(4));
        assert_eq!(expected(json!({ "version": 3 }), true), None);
        assert_eq!(expected(json!({ "expectedVersion": 4 }), true), Some(4));
        assert_eq!(expected(json!({ "version": 1e30 }), false), Some(i32::MAX));
        assert!(replacement_of(json!({ "version": 0 }), Some(ID), true).is_err());
    }

    #[test]
    fn id_is_in_the_path_or_in_the_body_and_never_two() {
        let id = |more: Value, path| replacement_of(more, path, false).map(|update| update.id.0);
        let path = |refused: Problem| refused.fields[0].path.clone();

        assert_eq!(id(json!({}), Some(ID)).map_err(path), Ok(ID));
        assert_eq!(id(json!({ "id": ID }), Some(ID)).map_err(path), Ok(ID));
        assert_eq!(id(json!({ "id": ID }), None).map_err(path), Ok(ID));
        assert_eq!(id(json!({}), None).map_err(path), Err("id".to_owned()));
        assert_eq!(
            id(json!({ "id": SELLER }), Some(ID)).map_err(path),
            Err("id".to_owned())
        );
    }
}
