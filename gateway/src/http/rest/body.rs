//! Bodies of REST: read field by field, so that every violation is reported with its path, and
//! written with enum values in lower case.

use backbone::FieldError;
use backbone::contract::{Deal, DealStatus, Item};
use backbone::ids::{DealId, ItemId, SellerId};
use backbone::money::{Currency, Discount, MinorUnits};
use backbone::time::Timestamp;
use seller_core::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Code, Problem};

/// Fields that `GET` shows and that a caller may send back. Their values are ignored.
const IGNORED: [&str; 2] = ["createdAt", "updatedAt"];

/// Reads the body of a `POST`.
pub(super) fn new_deal(body: &[u8], seller: SellerId) -> Result<NewDeal, Problem> {
    let mut reader = Reader::begin(body, seller)?;

    // A violation leaves a default in its field, and `end` then fails, so no such deal gets out.
    let deal = NewDeal {
        id: None,
        name: reader.required("name", text).unwrap_or_default(),
        total_price: reader.required("totalPrice", integer).unwrap_or_default(),
        currency: reader.required("currency", text).unwrap_or_default(),
        status: reader
            .optional("status", status)
            .unwrap_or(DealStatus::Available),
        discount: reader.discount(),
        items: reader.items(),
    };

    reader.end().map(|()| deal)
}

/// Reads the body of a `PUT`, which must give every field except the discount.
pub(super) fn replacement(body: &[u8], seller: SellerId) -> Result<DealUpdate, Problem> {
    let mut reader = Reader::begin(body, seller)?;

    let deal = DealUpdate {
        id: DealId(reader.required("id", uuid).unwrap_or_default()),
        expected_version: reader.optional("expectedVersion", integer).map(version),
        name: reader.required("name", text),
        total_price: reader.required("totalPrice", integer),
        currency: reader.required("currency", text),
        status: reader.required("status", status),
        discount: reader.discount().map_or(Patch::Remove, Patch::Set),
        items: Some(reader.items()),
    };

    reader.end().map(|()| deal)
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

/// Reader of a JSON object that collects violations instead of stopping at the first.
struct Reader {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reader {
    fn begin(body: &[u8], seller: SellerId) -> Result<Self, Problem> {
        let body: Value = serde_json::from_slice(body).map_err(|error| {
            Problem::new(Code::BadRequest, format!("The body is not JSON: {error}"))
        })?;
        let Value::Object(mut fields) = body else {
            return Err(Problem::new(
                Code::BadRequest,
                "The body must be a JSON object",
            ));
        };

        for ignored in IGNORED {
            fields.remove(ignored);
        }

        let mut reader = Self {
            fields,
            errors: Vec::new(),
        };

        // Checked before the other fields: writing for another seller is forbidden whatever else
        // the body holds.
        let seller_id = reader.optional("sellerId", uuid);
        if seller_id.is_some_and(|id| id != seller.0) {
            return Err(Problem::forbidden("sellerId must be your own id"));
        }

        Ok(reader)
    }

    fn required<T>(&mut self, name: &str, read: Read<T>) -> Option<T> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            // A null is taken out too, or it would be reported again as an unknown field.
            self.fields.remove(name);
            self.report(name, "is required");
            return None;
        }
        self.optional(name, read)
    }

    /// Reads a field that may be absent; null counts as absent.
    fn optional<T>(&mut self, name: &str, read: Read<T>) -> Option<T> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        read(&value)
            .map_err(|message| self.report(name, message))
            .ok()
    }

    fn discount(&mut self) -> Option<NewDiscount> {
        let discount = self.object("discount")?;
        let mut inner = Self::nested(discount);

        let kind = inner.required("type", text);
        let discount = match kind.as_deref() {
            Some("flat") => inner.required("amount", integer).map(NewDiscount::Flat),
            Some("percentage") => inner
                .required("percentage", number)
                .map(NewDiscount::Percentage),
            Some(_) => {
                inner.report("type", "must be flat or percentage");
                None
            }
            // Absent or no text, which `required` has reported.
            None => None,
        };

        // Which other fields belong to a discount depends on its type: without a valid one,
        // reporting `amount` or `percentage` as unknown would mislead.
        if discount_type_is_known(kind.as_deref()) {
            inner.report_unknown_fields();
        }
        self.absorb("discount", inner);

        discount
    }

    fn items(&mut self) -> Vec<NewItem> {
        let items = match self.fields.remove("items") {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => {
                self.report("items", "is required");
                return Vec::new();
            }
            Some(_) => {
                self.report("items", "must be a list");
                return Vec::new();
            }
        };

        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("items.{index}");
            let Value::Object(item) = item else {
                self.report(&path, "must be an object");
                continue;
            };
            let mut inner = Self::nested(item);
            read.push(NewItem {
                id: inner.optional("id", uuid).map(ItemId),
                name: inner.required("name", text).unwrap_or_default(),
                price: inner.required("price", integer).unwrap_or_default(),
            });
            inner.report_unknown_fields();
            self.absorb(&path, inner);
        }

        read
    }

    fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(_) => {
                self.report(name, "must be an object");
                None
            }
        }
    }

    fn nested(fields: Map<String, Value>) -> Self {
        Self {
            fields,
            errors: Vec::new(),
        }
    }

    /// Takes over the violations of a nested object, with `path` before theirs.
    fn absorb(&mut self, path: &str, inner: Self) {
        let root = format!("{path}.");
        let errors = inner.errors.into_iter().map(|field| field.below(&root));

        self.errors.extend(errors);
    }

    /// Reports every field that nothing has read.
    fn report_unknown_fields(&mut self) {
        for name in std::mem::take(&mut self.fields).keys() {
            self.report(name, "is not a field of this body");
        }
    }

    fn report(&mut self, path: &str, message: &str) {
        self.errors.push(FieldError::new(path, message));
    }

    fn end(mut self) -> Result<(), Problem> {
        self.report_unknown_fields();

        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::inputs(self.errors))
        }
    }
}

fn discount_type_is_known(kind: Option<&str>) -> bool {
    matches!(kind, Some("flat" | "percentage"))
}

type Read<T> = fn(&Value) -> Result<T, &'static str>;

fn text(value: &Value) -> Result<String, &'static str> {
    value.as_str().map(str::to_owned).ok_or("must be a string")
}

fn integer(value: &Value) -> Result<i64, &'static str> {
    match value {
        Value::Number(number) if number.is_i64() => Ok(number.as_i64().unwrap_or_default()),
        // A number beyond 64 bits is out of range like any other that is too large.
        Value::Number(number) if number.is_u64() => Ok(i64::MAX),
        _ => Err("must be an integer"),
    }
}

fn number(value: &Value) -> Result<f64, &'static str> {
    value.as_f64().ok_or("must be a number")
}

fn uuid(value: &Value) -> Result<Uuid, &'static str> {
    value
        .as_str()
        .and_then(|text| Uuid::parse_str(text).ok())
        .ok_or("must be a UUID")
}

fn status(value: &Value) -> Result<DealStatus, &'static str> {
    let named = |status: &DealStatus| value.as_str() == Some(&status.as_str().to_ascii_lowercase());

    DealStatus::ALL
        .into_iter()
        .find(named)
        .ok_or("must be one of available, reserved, sold, withdrawn")
}

/// Narrows a version. No deal has one beyond 32 bits, so a larger number matches none.
fn version(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SELLER: SellerId = SellerId(Uuid::from_u128(1));

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
    fn seller_id_of_another_seller_is_refused_and_times_are_ignored() {
        let with = |seller: Uuid| {
            let body = json!({ "name": "n", "totalPrice": 1, "currency": "GBP", "sellerId": seller,
                               "createdAt": "2024-06-17 05:30:12.520", "updatedAt": null, "items": [] });
            new_deal(body.to_string().as_bytes(), SELLER).map_err(|problem| problem.code)
        };

        assert!(with(SELLER.0).is_ok());
        assert_eq!(with(Uuid::from_u128(2)).map(|_| ()), Err(Code::Forbidden));
    }

    #[test]
    fn body_that_is_not_an_object_is_a_bad_request() {
        for body in ["", "{", "[]", "7"] {
            let problem = new_deal(body.as_bytes(), SELLER).expect_err("no object");
            assert_eq!(problem.code, Code::BadRequest, "{body}");
        }
    }
}
