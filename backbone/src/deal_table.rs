//! The `deal` table that both read models keep: one row a deal, written by projections, read a deal or a page at a
//! time. Whose deals a reader may see is the caller's ([`Scope`]).

mod page;
mod statement;

#[cfg(feature = "testkit")]
pub use page::plan;
pub use page::{Cursor, DealFilter, DealOrder, Page, PageRequest, Scope, Window, find, page};

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::Error;
use crate::contract::{Deal, DealStatus, Item};
use crate::db::Tx;
use crate::ids::{DealId, SellerId};
use crate::money::{Currency, Discount, MinorUnits};
use crate::on_tx;
use crate::position::Sequence;
use crate::time::Timestamp;

/// Newer states replace older ones; `sequence` makes a replay harmless.
const UPSERT_POSTGRES: &str = "
    INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                      sequence, created_at, updated_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[],
                         $8::jsonb[], $9::int[], $10::bigint[], $11::bigint[], $12::timestamptz[],
                         $13::timestamptz[])
    ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, total_price = excluded.total_price, status = excluded.status,
           discount = excluded.discount, items = excluded.items, version = excluded.version,
           revision = excluded.revision, sequence = excluded.sequence, updated_at = excluded.updated_at
     WHERE deal.sequence < excluded.sequence";
const UPSERT_SQLITE: &str = "
    INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                      sequence, created_at, updated_at)
    SELECT unhex(value ->> 'id'), unhex(value ->> 'seller'), value ->> 'name', value ->> 'price',
           value ->> 'currency', value ->> 'status', nullif(value -> 'discount', 'null'), value -> 'items', value ->> 'version',
           value ->> 'revision', value ->> 'sequence', value ->> 'created', value ->> 'updated'
      FROM json_each($1) WHERE TRUE
    ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, total_price = excluded.total_price, status = excluded.status,
           discount = excluded.discount, items = excluded.items, version = excluded.version,
           revision = excluded.revision, sequence = excluded.sequence, updated_at = excluded.updated_at
     WHERE deal.sequence < excluded.sequence";
const REVISIONS_POSTGRES: &str = "SELECT id, revision FROM deal WHERE id = ANY($1)";
const REVISIONS_SQLITE: &str = "
    SELECT id, revision FROM deal WHERE id IN (SELECT unhex(value) FROM json_each($1))";

/// A deal to be written, with where its state stands.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The state.
    pub deal: &'a Deal,
    /// Of the event that made it.
    pub revision: u64,
    /// Of the event that made it.
    pub sequence: Sequence,
}

/// A row, as read.
#[derive(FromRow)]
struct Row {
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
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for Deal {
    fn from(row: Row) -> Self {
        Self {
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
        }
    }
}

/// Writes the last state of each deal; a deal may not occur twice.
pub async fn upsert(tx: &mut Tx, rows: &[Write<'_>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => {
        let column = |of: fn(&Write<'_>) -> i64| rows.iter().map(of).collect::<Vec<_>>();
        sqlx::query(UPSERT_POSTGRES)
            .bind(rows.iter().map(|row| row.deal.id.0).collect::<Vec<_>>())
            .bind(
                rows.iter()
                    .map(|row| row.deal.seller_id.0)
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| row.deal.name.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(column(|row| row.deal.total_price.get()))
            .bind(
                rows.iter()
                    .map(|row| row.deal.currency.code())
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| row.deal.status.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| row.deal.discount.map(Json))
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| Json(&row.deal.items))
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| row.deal.version as i32)
                    .collect::<Vec<_>>(),
            )
            .bind(column(|row| row.revision as i64))
            .bind(column(|row| row.sequence as i64))
            .bind(
                rows.iter()
                    .map(|row| row.deal.created_at)
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|row| row.deal.updated_at)
                    .collect::<Vec<_>>(),
            )
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<serde_json::Value> = rows.iter().map(json).collect();
        sqlx::query(UPSERT_SQLITE)
            .bind(Json(rows))
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

fn json(row: &Write<'_>) -> serde_json::Value {
    let deal = row.deal;
    serde_json::json!({
        "id": deal.id.0.simple(), "seller": deal.seller_id.0.simple(), "name": deal.name,
        "price": deal.total_price, "currency": deal.currency, "status": deal.status.as_str(),
        "discount": deal.discount, "items": deal.items, "version": deal.version, "revision": row.revision,
        "sequence": row.sequence, "created": deal.created_at.as_micros(), "updated": deal.updated_at.as_micros(),
    })
}

/// The revisions of those of these deals that have a row.
pub async fn revisions(tx: &mut Tx, ids: &[DealId]) -> Result<HashMap<DealId, u64>, Error> {
    let rows: Result<Vec<(DealId, i64)>, _> = on_tx!(tx, postgres(tx) => {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        sqlx::query_as(REVISIONS_POSTGRES)
            .bind(ids)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let ids: Vec<_> = ids.iter().map(|id| id.0.simple().to_string()).collect();
        sqlx::query_as(REVISIONS_SQLITE)
            .bind(Json(ids))
            .fetch_all(&mut *tx)
            .await
    });
    let rows = rows?;
    Ok(rows
        .into_iter()
        .map(|(id, revision)| (id, revision as u64))
        .collect())
}
