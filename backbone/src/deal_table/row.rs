//! A row of the deal table.

use std::sync::Arc;

use sqlx::FromRow;
use sqlx::types::Json;

use super::stored_deal::StoredDeal;
use crate::contract::{Deal, DealStatus, Item};
use crate::ids::{DealId, SellerId};
use crate::money::{Currency, Discount, MinorUnits};
use crate::position::Sequence;
use crate::time::Timestamp;

/// The columns of [`Row`].
pub(super) const COLUMNS: &str = "id, seller_id, name, total_price, currency, status, discount, items, \
                                  version, sequence, created_at, updated_at";

/// The same columns of a table or join that is called `d`. Statements name every column: with `*`,
/// a column that a newer version adds would change the result of statements that this process has
/// prepared.
pub(super) const COLUMNS_OF_D: &str = "d.id, d.seller_id, d.name, d.total_price, d.currency, d.status, d.discount, \
                                       d.items, d.version, d.sequence, d.created_at, d.updated_at";

/// A row of table `deal`, as [`COLUMNS`] read it.
#[derive(FromRow)]
pub(super) struct Row {
    id: DealId,
    seller_id: SellerId,
    name: String,
    total_price: MinorUnits,
    #[sqlx(try_from = "String")]
    currency: Currency,
    #[sqlx(try_from = "String")]
    status: DealStatus,
    discount: Option<Json<Discount>>,
    items: Json<Vec<Item>>,
    version: i32,
    sequence: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for StoredDeal {
    fn from(row: Row) -> Self {
        let deal = Deal {
            id: row.id,
            seller_id: row.seller_id,
            name: row.name,
            total_price: row.total_price,
            currency: row.currency,
            status: row.status,
            discount: row.discount.map(|discount| discount.0),
            items: row.items.0,
            version: row.version.unsigned_abs(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        };

        Self {
            deal: Arc::new(deal),
            sequence: row.sequence as Sequence,
        }
    }
}

/// The columns of a join that may have found no deal.
pub(super) struct OptionalRow(pub(super) Option<Row>);

impl<'r, R> FromRow<'r, R> for OptionalRow
where
    R: sqlx::Row,
    &'static str: sqlx::ColumnIndex<R>,
    Row: FromRow<'r, R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        // NULL in every column of the deal says that the join found none.
        let sequence: Option<i64> = row.try_get("sequence")?;

        match sequence {
            Some(_) => Row::from_row(row).map(Some).map(Self),
            None => Ok(Self(None)),
        }
    }
}
