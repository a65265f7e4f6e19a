//! Blocks of the feed on PostgreSQL: partitions that hold a range of sequences each, so that old
//! changes are dropped at once. SQLite keeps the feed in one table.

use backbone::Error;
use backbone::db::Tx;
use backbone::on_tx;
use backbone::position::Sequence;
use sqlx::{AssertSqlSafe, PgConnection};

const LAST: &str = include_str!("blocks/last.postgres.sql");
const INSERT: &str = include_str!("blocks/insert.postgres.sql");

/// Creates blocks of `block` sequences until they hold every sequence up to `up_to`.
///
/// Returns the last sequence that the blocks hold.
pub(crate) async fn extend(tx: &mut Tx, up_to: Sequence, block: u64) -> Result<Sequence, Error> {
    on_tx!(
        tx,
        postgres(connection) => create(connection, up_to, block).await,
        sqlite(_connection) => Ok(Sequence::MAX),
    )
}

async fn create(
    connection: &mut PgConnection,
    up_to: Sequence,
    block: u64,
) -> Result<Sequence, sqlx::Error> {
    // No lock is needed: the transaction has moved the projection's checkpoint, and a second worker
    // that tries to move it waits until this one ends.
    let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *connection).await?;
    let mut held_up_to = last as Sequence;

    while held_up_to < up_to {
        let first = held_up_to + 1;
        let last = held_up_to + block;

        // CREATE TABLE … PARTITION OF takes an ACCESS EXCLUSIVE lock on the feed and would stop its
        // readers. Attaching a table takes SHARE UPDATE EXCLUSIVE, which lets them go on
        // (PostgreSQL, ALTER TABLE, ATTACH PARTITION).
        let create = format!(
            "CREATE TABLE feed_{first} (LIKE feed INCLUDING DEFAULTS);
             ALTER TABLE feed ATTACH PARTITION feed_{first} FOR VALUES FROM ({first}) TO ({});",
            last + 1
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut *connection)
            .await?;

        sqlx::query(INSERT)
            .bind(first as i64)
            .bind(last as i64)
            .execute(&mut *connection)
            .await?;

        held_up_to = last;
    }

    Ok(held_up_to)
}
