//! The `deal` table that both read models keep: one row for each deal, written by projections, read
//! by id or by page. The caller decides which sellers' deals a reader may see ([`Scope`]).

mod columns;
mod cursor;
mod find;
mod order;
mod page;
mod request;
mod row;
mod selection;
mod statement;
mod stored_deal;
mod top;

pub use columns::TABLE;
pub use cursor::Cursor;
pub use find::{find, find_at};
pub use order::{DealKey, DealOrder};
pub use page::page;
#[cfg(feature = "testkit")]
pub use page::plan;
pub use request::{DealFilter, Page, PageDeal, PageRequest, Scope, TopDeals, Window};
pub use stored_deal::StoredDeal;
pub use top::top;

use std::collections::HashMap;

use sqlx::types::Json;
use uuid::Uuid;

use crate::Error;
use crate::contract::Deal;
use crate::db::Tx;
use crate::ids::DealId;
use crate::on_tx;
use crate::position::Sequence;

const UPSERT_POSTGRES: &str = include_str!("deal_table/upsert.postgres.sql");
const UPSERT_SQLITE: &str = include_str!("deal_table/upsert.sqlite.sql");
const REVISIONS_POSTGRES: &str = include_str!("deal_table/revisions.postgres.sql");
const REVISIONS_SQLITE: &str = include_str!("deal_table/revisions.sqlite.sql");

/// State of a deal to be written, with the event that produced it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// State after the event.
    pub deal: &'a Deal,
    /// Revision of the event.
    pub revision: u64,
    /// Sequence of the event.
    pub sequence: Sequence,
}

/// Writes the last state of each deal, in which a deal may occur only once.
///
/// A row with a newer state stays as it is, so writing a batch again is harmless.
pub async fn upsert(tx: &mut Tx, rows: &[Write<'_>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }

    // One statement for the whole batch: arrays on PostgreSQL, JSON on SQLite.
    on_tx!(tx, postgres(connection) => {
        sqlx::query(UPSERT_POSTGRES)
            .bind(column(rows, |row| row.deal.id.0))
            .bind(column(rows, |row| row.deal.seller_id.0))
            .bind(column(rows, |row| row.deal.name.as_str()))
            .bind(column(rows, |row| row.deal.total_price.get()))
            .bind(column(rows, |row| row.deal.currency.code()))
            .bind(column(rows, |row| row.deal.status.as_str()))
            .bind(column(rows, |row| row.deal.discount.map(Json)))
            .bind(column(rows, |row| Json(&row.deal.items)))
            .bind(column(rows, |row| row.deal.version as i32))
            .bind(column(rows, |row| row.revision as i64))
            .bind(column(rows, |row| row.sequence as i64))
            .bind(column(rows, |row| row.deal.created_at))
            .bind(column(rows, |row| row.deal.updated_at))
            .execute(&mut *connection)
            .await
            .map(|_| ())
    }, sqlite(connection) => {
        sqlx::query(UPSERT_SQLITE)
            .bind(Json(column(rows, json)))
            .execute(&mut *connection)
            .await
            .map(|_| ())
    })
}

fn column<'a, T>(rows: &[Write<'a>], value: impl Fn(&Write<'a>) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn json(row: &Write<'_>) -> serde_json::Value {
    let deal = row.deal;
    serde_json::json!({
        "id": deal.id.0.simple(),
        "seller": deal.seller_id.0.simple(),
        "name": deal.name,
        "price": deal.total_price,
        "currency": deal.currency,
        "status": deal.status.as_str(),
        "discount": deal.discount,
        "items": deal.items,
        "version": deal.version,
        "revision": row.revision,
        "sequence": row.sequence,
        "created": deal.created_at.as_micros(),
        "updated": deal.updated_at.as_micros(),
    })
}

/// Reads the revisions of these deals; deals without a row are left out.
pub async fn revisions(tx: &mut Tx, ids: &[DealId]) -> Result<HashMap<DealId, u64>, Error> {
    let rows: Result<Vec<(DealId, i64)>, _> = on_tx!(tx, postgres(connection) => {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        sqlx::query_as(REVISIONS_POSTGRES)
            .bind(ids)
            .fetch_all(&mut *connection)
            .await
    }, sqlite(connection) => {
        // SQLite binds no arrays; ids are blobs there, and JSON has none, hence hexadecimal.
        let ids: Vec<_> = ids.iter().map(|id| id.0.simple().to_string()).collect();
        sqlx::query_as(REVISIONS_SQLITE)
            .bind(Json(ids))
            .fetch_all(&mut *connection)
            .await
    });

    Ok(rows?
        .into_iter()
        .map(|(id, revision)| (id, revision as u64))
        .collect())
}
