//! The first deals of an order, with what it takes to keep them exact in memory.

use sqlx::FromRow;
use uuid::Uuid;

use super::page::missing_checkpoint;
use super::request::{PageRequest, TopDeals};
use super::row::{COLUMNS_OF_D, OptionalRow};
use super::selection;
use super::statement::Statement;
use super::stored_deal::StoredDeal;
use crate::Error;
use crate::db::Db;
use crate::ids::SellerId;
use crate::on_db;
use crate::position::{Epoch, Sequence};

/// Reads the deals of a request, with the sellers in its scope and the checkpoint, all from one
/// snapshot. `projection` is the name of the tables' row in table `projection`.
pub async fn top(
    db: &Db,
    projection: &'static str,
    request: &PageRequest,
) -> Result<TopDeals, Error> {
    let statement = statement(projection, request);
    let rows: Result<Vec<TopRow>, Error> = on_db!(db.read(), postgres(pool) => {
        let mut query = statement.for_postgres();
        query.build_query_as().fetch_all(pool).await
    }, sqlite(pool) => {
        let mut query = statement.for_sqlite();
        query.build_query_as().fetch_all(pool).await
    });

    let rows = rows?;
    let first = rows.first().ok_or_else(missing_checkpoint)?;
    let epoch = first.epoch;
    let generation = first.generation;
    let sequence = first.position as Sequence;

    // One of the rows has the sellers, and it need not be the first.
    let sellers = rows.iter().find_map(|row| row.sellers.as_deref());
    let sellers = sellers.map_or_else(|| Ok(Vec::new()), parse_sellers)?;

    let mut deals: Vec<StoredDeal> = rows
        .into_iter()
        .filter_map(|row| row.deal.0)
        .map(StoredDeal::from)
        .collect();

    let limit = request.window.limit as usize;
    let complete = deals.len() <= limit;
    deals.truncate(limit);

    Ok(TopDeals {
        epoch,
        generation,
        sequence,
        sellers,
        deals,
        complete,
    })
}

fn parse_sellers(list: &str) -> Result<Vec<SellerId>, Error> {
    let ids = list.split(',').map(Uuid::parse_str);
    let sellers: Result<Vec<SellerId>, uuid::Error> = ids.map(|id| id.map(SellerId)).collect();

    sellers.map_err(|error| Error::broken("read model", error))
}

/// Builds the statement: as for a page, with two more columns.
fn statement(projection: &'static str, request: &PageRequest) -> Statement {
    let mut sql = Statement::default();
    // Text serves both engines, since SQLite has no arrays. Only one row carries it: a buyer may
    // have access to thousands of sellers.
    sql.text("SELECT p.epoch, p.position, p.generation, CASE WHEN row_number() OVER () = 1 THEN (")
        .either(
            "SELECT string_agg(seller_id::text, ',') FROM (",
            "SELECT group_concat(hex(seller_id)) FROM (",
        );
    selection::sellers(&mut sql, request.scope);

    sql.text(") s) END AS sellers, ")
        .text(COLUMNS_OF_D)
        .text(" FROM projection p LEFT JOIN (");
    selection::deals(&mut sql, request);

    sql.text(") d ON TRUE WHERE p.name = ")
        .name(projection)
        .text(selection::order_by(request));

    sql
}

/// A deal, if there is one, the projection's checkpoint, and in one row the sellers.
#[derive(FromRow)]
struct TopRow {
    epoch: Epoch,
    position: i64,
    generation: i32,
    sellers: Option<String>,
    #[sqlx(flatten)]
    deal: OptionalRow,
}
