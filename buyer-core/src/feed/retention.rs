//! How long the feed is kept: in blocks, of which one goes when its newest change is older than that.
//!
//! The horizon is committed before anything goes, and every read checks it in its own snapshot: a reader that comes
//! from before it is told so, and none finds a hole. Any number of processes may look; each step is done once or
//! finds itself done.

use std::time::Duration;

use backbone::clock::Clock;
use backbone::db::{Db, PoolEngine};
use backbone::position::Sequence;
use backbone::telemetry::Metrics;
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something is too old.
const LOOK: Duration = Duration::from_secs(60);
/// Rows that go in one transaction where there are no partitions: the projection writes in between.
const ROWS: i64 = 2_000;

/// How long the feed is kept, and in what portions it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Changes are kept at least this long.
    pub keep: Duration,
    /// Sequences in a block.
    pub block: u64,
}

impl Retention {
    /// In partitions: few even at thousands of changes a second, and each small enough to be looked after.
    pub fn in_partitions(keep: Duration) -> Self {
        Self {
            keep,
            block: 1 << 20,
        }
    }

    /// In rows of one table.
    pub fn in_rows(keep: Duration) -> Self {
        Self {
            keep,
            block: 1 << 12,
        }
    }
}

const HORIZON: &str = "SELECT sequence FROM feed_horizon";
const MOVE_HORIZON: &str = "UPDATE feed_horizon SET sequence = $1 WHERE sequence < $1";
/// The blocks that the tables' place has left behind, oldest first.
const BLOCKS: &str = "
    SELECT first, last FROM feed_block
     WHERE last <= (SELECT position FROM projection WHERE name = 'buyer') ORDER BY first";
/// When the newest change of a block was, or, of an empty one, the next change after it: before that it may not go.
const NEWEST: &str = "
    SELECT occurred_at FROM (
        (SELECT 1 AS choice, occurred_at FROM feed WHERE sequence BETWEEN $1 AND $2
          ORDER BY sequence DESC, change_index DESC LIMIT 1)
        UNION ALL
        (SELECT 2, occurred_at FROM feed WHERE sequence > $2 ORDER BY sequence, change_index LIMIT 1)) AS found
     ORDER BY choice LIMIT 1";
/// Whether a block's partition is still one: null when not, else whether a detachment was begun and not ended.
const ATTACHED: &str = "
    SELECT inhdetachpending FROM pg_inherits WHERE inhparent = 'feed'::regclass AND inhrelid = to_regclass($1)";
const FORGET_BLOCK: &str = "DELETE FROM feed_block WHERE first = $1";
/// The last of the oldest rows of a table without partitions, with its time.
const OLDEST_ROWS: &str = "
    SELECT sequence, occurred_at FROM feed WHERE sequence > (SELECT sequence FROM feed_horizon)
     ORDER BY sequence, change_index LIMIT 1 OFFSET $1";
const DELETE_ROWS: &str = "
    DELETE FROM feed WHERE rowid IN (
        SELECT rowid FROM feed WHERE sequence <= (SELECT sequence FROM feed_horizon)
         ORDER BY sequence, change_index LIMIT $1)";

/// Looks again and again until told to stop.
pub(crate) async fn run(
    db: &Db,
    clock: &Clock,
    retention: Retention,
    metrics: &Metrics,
    stop: CancellationToken,
) {
    let horizon = metrics.gauge(
        "feed_horizon",
        "Log sequence up to which changes are no longer kept",
    );
    loop {
        match forget(db, clock, retention).await {
            Ok(reached) => {
                horizon.set(reached as i64);
            }
            // Nothing is lost by waiting, and another process may have been at it.
            Err(error) => tracing::debug!(%error, "old changes are still there"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}

/// Drops what is older than the retention asks for. Returns the horizon.
pub(crate) async fn forget(
    db: &Db,
    clock: &Clock,
    retention: Retention,
) -> Result<Sequence, Error> {
    let kept = i64::try_from(retention.keep.as_micros()).unwrap_or(i64::MAX);
    let older_than = Timestamp::from_micros(clock.now_micros().saturating_sub(kept));
    run_once(db, retention.block, older_than).await
}

/// Drops every block whose newest change is older than a time. Returns the horizon.
async fn run_once(db: &Db, block: u64, older_than: Timestamp) -> Result<Sequence, Error> {
    match db.read().engine() {
        PoolEngine::Postgres(pool) => drop_blocks(db, pool, older_than).await?,
        PoolEngine::Sqlite(_) => delete_rows(db, block, older_than).await?,
    }

    Ok(horizon(db).await? as Sequence)
}

async fn horizon(db: &Db) -> Result<i64, Error> {
    on_db!(db.read(), pool => sqlx::query_scalar(HORIZON).fetch_one(pool).await)
}

async fn drop_blocks(db: &Db, pool: &PgPool, older_than: Timestamp) -> Result<(), Error> {
    let driver = |error| db.read().error(error);

    let blocks: Vec<(i64, i64)> = sqlx::query_as(BLOCKS)
        .fetch_all(pool)
        .await
        .map_err(driver)?;

    for (first, last) in blocks {
        // A block below the horizon was given up before: only the steps that drop it are left.
        if horizon(db).await? < last {
            let newest: Option<Timestamp> = sqlx::query_scalar(NEWEST)
                .bind(first)
                .bind(last)
                .fetch_optional(pool)
                .await
                .map_err(driver)?;
            if newest.is_none_or(|newest| newest >= older_than) {
                return Ok(());
            }

            // Committed before anything is dropped, so that no reader finds a hole where it was not told of one.
            sqlx::query(MOVE_HORIZON)
                .bind(last)
                .execute(pool)
                .await
                .map_err(driver)?;
        }

        drop_partition(pool, first).await.map_err(driver)?;
    }

    Ok(())
}

/// Runs the steps that are left of a partition's end: a process may have died between any two of them. A detachment
/// waits for whoever reads the feed, and nobody waits for it (PostgreSQL, ALTER TABLE, DETACH PARTITION).
async fn drop_partition(pool: &PgPool, first: i64) -> Result<(), sqlx::Error> {
    let name = format!("feed_{first}");

    let pending: Option<bool> = sqlx::query_scalar(ATTACHED)
        .bind(&name)
        .fetch_optional(pool)
        .await?;
    if let Some(pending) = pending {
        let how = if pending { "FINALIZE" } else { "CONCURRENTLY" };
        let detach = format!("ALTER TABLE feed DETACH PARTITION {name} {how}");
        sqlx::raw_sql(AssertSqlSafe(detach)).execute(pool).await?;
    }

    let drop = format!("DROP TABLE IF EXISTS {name}");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(pool).await?;
    sqlx::query(FORGET_BLOCK).bind(first).execute(pool).await?;

    Ok(())
}

/// Deletes rows in portions. Readers of SQLite keep the snapshot that they began with, so this disturbs none of them.
async fn delete_rows(db: &Db, block: u64, older_than: Timestamp) -> Result<(), Error> {
    loop {
        let mut tx = db.begin().await?;

        let oldest: Option<(i64, Timestamp)> = on_tx!(&mut tx, connection =>
            sqlx::query_as(OLDEST_ROWS).bind(block as i64 - 1).fetch_optional(connection).await)?;
        let last = oldest.filter(|(_, at)| *at < older_than);
        if let Some((sequence, _)) = last {
            on_tx!(&mut tx, connection =>
                sqlx::query(MOVE_HORIZON).bind(sequence).execute(connection).await.map(|_| ()))?;
        }

        let deleted = on_tx!(&mut tx, connection => sqlx::query(DELETE_ROWS)
            .bind(ROWS)
            .execute(connection)
            .await
            .map(|done| done.rows_affected()))?;
        tx.commit().await?;

        if last.is_none() && deleted == 0 {
            return Ok(());
        }
    }
}
