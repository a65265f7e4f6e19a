//! A row of the deal table.

use std::sync::Arc;

use sqlx::FromRow;
use sqlx::types::Json;

use super::request::StoredDeal;
use crate::contract::{Deal, DealStatus, Item};
use crate::ids::{DealId, SellerId};
use crate::money::{Currency, Discount, MinorUnits};
use crate::position::Sequence;
use crate::time::Timestamp;

/// The columns of [`Row`].
pub(super) const COLUMNS: &str = "id, seller_id, name, total_price, currency, status, discount, items, \
                                  version, sequence, created_at, updated_at";

/// A row of table `deal`, as [`COLUMNS`] read it.
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: DealId,
    seller_id: SellerId,
    name: String,
    pub(super) total_price: MinorUnits,
    #[sqlx(try_from = "String")]
    currency: Currency,
    #[sqlx(try_from = "String")]
    status: DealStatus,
    discount: Option<Json<Discount>>,
    items: Json<Vec<Item>>,
    version: i32,
    pub(super) sequence: i64,
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
