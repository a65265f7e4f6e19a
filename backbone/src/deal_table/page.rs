//! Pages of deals by keyset.
//!
//! There is no OFFSET: page one thousand costs as much as page one, and a deal that moves while a
//! client pages is neither shown twice nor hides another.

use sqlx::FromRow;

use super::cursor::Cursor;
use super::request::{Page, PageDeal, PageRequest};
use super::row::{COLUMNS_OF_D, OptionalRow};
use super::selection;
use super::statement::Statement;
use super::stored_deal::StoredDeal;
use crate::Error;
use crate::db::Db;
use crate::on_db;
use crate::position::{Epoch, Position, Sequence};

/// Reads one page. `projection` is the name of the tables' row in table `projection`.
pub async fn page(db: &Db, projection: &'static str, request: &PageRequest) -> Result<Page, Error> {
    let statement = statement(projection, request);
    let rows = on_db!(db.read(), postgres(pool) => {
        let mut query = statement.for_postgres();
        query.build_query_as::<PageRow>().fetch_all(pool).await
    }, sqlite(pool) => {
        let mut query = statement.for_sqlite();
        query.build_query_as::<PageRow>().fetch_all(pool).await
    });

    let rows = rows?;

    // The checkpoint comes even when no deal does; see `statement`.
    let first = rows.first().ok_or_else(missing_checkpoint)?;

    let position = Position::end_of(first.epoch, first.position as Sequence);

    let mut deals: Vec<PageDeal> = rows
        .into_iter()
        .filter_map(|row| row.deal.0)
        .map(StoredDeal::from)
        .map(|deal| PageDeal {
            cursor: Cursor::new(request.order.key(&deal), position),
            deal,
        })
        .collect();

    let window = request.window;
    let more = deals.len() > window.limit as usize;
    deals.truncate(window.limit as usize);

    // A backwards page was read in the opposite direction.
    if window.backwards {
        deals.reverse();
    }

    Ok(Page::new(deals, more, &window, position))
}

/// Returns the engine's plan for reading a page, as text.
#[cfg(feature = "testkit")]
pub async fn plan(
    db: &Db,
    projection: &'static str,
    request: &PageRequest,
) -> Result<String, Error> {
    let statement = statement(projection, request);
    let lines: Result<Vec<String>, _> = on_db!(db.read(), postgres(pool) => {
        let mut query = statement.after("EXPLAIN ").for_postgres();
        query.build_query_scalar().fetch_all(pool).await
    }, sqlite(pool) => {
        let mut query = statement.after("EXPLAIN QUERY PLAN ").for_sqlite();
        let rows: Result<Vec<(i64, i64, i64, String)>, _> =
            query.build_query_as().fetch_all(pool).await;
        rows.map(|rows| rows.into_iter().map(|(.., line)| line).collect())
    });

    Ok(lines?.join("\n"))
}

/// Returns the error of a database whose migrations did not run to the end.
pub(super) fn missing_checkpoint() -> Error {
    Error::broken("read model", "its row in table projection is missing")
}

/// Builds the statement that reads a page: the projection's checkpoint, joined with at most one
/// more deal than requested. One statement reads one snapshot, and the checkpoint comes even when
/// no deal does.
fn statement(projection: &'static str, request: &PageRequest) -> Statement {
    let mut sql = Statement::default();
    // A LEFT JOIN keeps the projection's row when no deal matches.
    sql.text("SELECT p.epoch, p.position, ")
        .text(COLUMNS_OF_D)
        .text(" FROM projection p LEFT JOIN (");

    selection::deals(&mut sql, request);

    sql.text(") d ON TRUE WHERE p.name = ")
        .name(projection)
        .text(selection::order_by(request));

    sql
}

/// A deal, if there is one, and the projection's checkpoint.
#[derive(FromRow)]
struct PageRow {
    epoch: Epoch,
    position: i64,
    #[sqlx(flatten)]
    deal: OptionalRow,
}
