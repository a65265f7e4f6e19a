//! Single deals by id.

use sqlx::FromRow;

use super::page::missing_checkpoint;
use super::request::Scope;
use super::row::{COLUMNS, COLUMNS_OF_D, OptionalRow, Row};
use super::selection::within;
use super::statement::Statement;
use super::stored_deal::StoredDeal;
use crate::Error;
use crate::db::Db;
use crate::ids::DealId;
use crate::on_db;
use crate::position::{Epoch, Position, Sequence};

/// Reads one deal, if it is in scope.
pub async fn find(db: &Db, scope: Scope, id: DealId) -> Result<Option<StoredDeal>, Error> {
    let mut sql = Statement::default();
    select(&mut sql, scope, id);

    let row = on_db!(db.read(), postgres(pool) => {
        sql.for_postgres()
            .build_query_as::<Row>()
            .fetch_optional(pool)
            .await
    }, sqlite(pool) => {
        sql.for_sqlite()
            .build_query_as::<Row>()
            .fetch_optional(pool)
            .await
    });

    Ok(row?.map(StoredDeal::from))
}

/// Reads one deal, if it is in scope, with the position of the tables that hold it or do not.
/// `projection` is the name of the tables' row in table `projection`.
pub async fn find_at(
    db: &Db,
    projection: &'static str,
    scope: Scope,
    id: DealId,
) -> Result<(Option<StoredDeal>, Position), Error> {
    // One statement reads one snapshot, so the position is the one of the deal.
    let mut sql = Statement::default();
    sql.text("SELECT p.epoch, p.position, ")
        .text(COLUMNS_OF_D)
        .text(" FROM projection p LEFT JOIN (");
    select(&mut sql, scope, id);
    sql.text(") d ON TRUE WHERE p.name = ").name(projection);

    let row = on_db!(db.read(), postgres(pool) => {
        sql.for_postgres()
            .build_query_as::<FoundRow>()
            .fetch_optional(pool)
            .await
    }, sqlite(pool) => {
        sql.for_sqlite()
            .build_query_as::<FoundRow>()
            .fetch_optional(pool)
            .await
    });

    let row = row?.ok_or_else(missing_checkpoint)?;
    let position = Position::end_of(row.epoch, row.position as Sequence);

    Ok((row.deal.0.map(StoredDeal::from), position))
}

fn select(sql: &mut Statement, scope: Scope, id: DealId) {
    sql.text("SELECT ")
        .text(COLUMNS)
        .text(" FROM deal WHERE id = ")
        .id(id.0)
        .text(" AND ");

    within(sql, scope);
}

/// The deal, if there is one, and the projection's checkpoint.
#[derive(FromRow)]
struct FoundRow {
    epoch: Epoch,
    position: i64,
    #[sqlx(flatten)]
    deal: OptionalRow,
}
