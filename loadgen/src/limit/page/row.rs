//! Rows of a page, and the deals in the answer.

use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Row of a page: a deal, its place in the order, and the position that the page shows.
#[derive(FromRow)]
pub(super) struct Row<N> {
    pub(super) epoch: i64,
    pub(super) position: i64,
    pub(super) sequence: i64,
    #[sqlx(flatten)]
    pub(super) node: N,
}

/// Deal of the answer, in one of the selections that Dealwire is asked for.
pub(super) trait Node:
    for<'r> FromRow<'r, PgRow> + Serialize + Send + Unpin + 'static
{
    /// Statement that reads the first rows of a seller.
    ///
    /// It reads one row more than a page holds, which tells whether another page follows, and the
    /// checkpoint in the same snapshot. Dealwire must find out both too, so the limit pays for them
    /// as well.
    const PAGE: &'static str;

    /// Adds what is computed rather than read.
    fn completed(self) -> Self;
}

/// Deal without discount and items.
#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlatNode {
    id: Uuid,
    name: String,
    total_price: i64,
    currency: String,
    status: String,
    version: i32,
    #[serde(serialize_with = "rfc3339")]
    updated_at: OffsetDateTime,
}

/// Deal with every field.
#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullNode {
    id: Uuid,
    seller_id: Uuid,
    name: String,
    total_price: i64,
    #[sqlx(skip)]
    final_price: i64,
    currency: String,
    status: String,
    version: i32,
    #[serde(serialize_with = "rfc3339")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "rfc3339")]
    updated_at: OffsetDateTime,
    discount: Option<Json<Discount>>,
    items: Json<Vec<Item>>,
}

/// Discount, of which either the amount or the percentage is set.
#[derive(Deserialize, Serialize)]
struct Discount {
    r#type: String,
    amount: Option<i64>,
    percentage: Option<f64>,
}

#[derive(Deserialize, Serialize)]
struct Item {
    id: Uuid,
    name: String,
    price: i64,
}

impl Node for FlatNode {
    const PAGE: &'static str = "
        SELECT p.epoch, p.position, d.* FROM loadgen_checkpoint p CROSS JOIN
            (SELECT id, name, total_price, currency, status, version, sequence, updated_at
               FROM loadgen_deal WHERE seller_id = $1 ORDER BY sequence DESC LIMIT 21) d
         ORDER BY d.sequence DESC";

    fn completed(self) -> Self {
        self
    }
}

impl Node for FullNode {
    const PAGE: &'static str = "
        SELECT p.epoch, p.position, d.* FROM loadgen_checkpoint p CROSS JOIN
            (SELECT id, seller_id, name, total_price, currency, status, discount, items, version,
                    sequence, created_at, updated_at
               FROM loadgen_deal WHERE seller_id = $1 ORDER BY sequence DESC LIMIT 21) d
         ORDER BY d.sequence DESC";

    fn completed(mut self) -> Self {
        let discount = self.discount.as_deref();

        self.final_price = discount.map_or(self.total_price, |discount| {
            discount.applied_to(self.total_price)
        });
        self
    }
}

impl Discount {
    /// Returns a price less the discount, in minor units.
    fn applied_to(&self, price: i64) -> i64 {
        let amount = self.amount.unwrap_or(0);
        let kept = 1.0 - self.percentage.unwrap_or(0.0) / 100.0;

        ((price - amount) as f64 * kept).round() as i64
    }
}

fn rfc3339<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = at.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use super::Discount;

    #[test]
    fn discounts_reduce_a_price() {
        let flat = Discount {
            r#type: "FLAT".to_owned(),
            amount: Some(2_300),
            percentage: None,
        };
        let percentage = Discount {
            r#type: "PERCENTAGE".to_owned(),
            amount: None,
            percentage: Some(12.5),
        };

        assert_eq!(flat.applied_to(122_300), 120_000);
        assert_eq!(percentage.applied_to(122_300), 107_013);
    }
}
