//! Retention of the feed: whole blocks are dropped once their newest change is old enough.
//!
//! The horizon is committed before anything is dropped, and every read checks it in its own
//! snapshot: a reader that comes from before the horizon learns that changes are missing, and none
//! finds a gap unannounced. A reader of its own, the fan-out of webhooks, is waited for, in bounds. Any number of processes may run the retention at once: each step either
//! has its effect once or finds it done.

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

/// Pause between two runs.
const INTERVAL: Duration = Duration::from_secs(60);

/// Most rows that one transaction deletes on SQLite, whose only writer the projection must wait
/// for.
const ROWS: i64 = 2_000;

pub(crate) const HORIZON: &str = include_str!("retention/horizon.sql");
pub(crate) const MOVE_HORIZON: &str = include_str!("retention/move_horizon.sql");
const FINISHED_BLOCKS: &str = include_str!("retention/finished_blocks.postgres.sql");
const NEWEST_CHANGE: &str = include_str!("retention/newest_change.postgres.sql");
const ATTACHED_PARTITION: &str = include_str!("retention/attached_partition.postgres.sql");
const DELETE_BLOCK: &str = include_str!("retention/delete_block.postgres.sql");
const OLDEST_ROWS: &str = include_str!("retention/oldest_rows.sqlite.sql");
const DELETE_ROWS: &str = include_str!("retention/delete_rows.sqlite.sql");

/// The time for which the feed keeps changes, and the portions in which it drops them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Least time for which a change is kept.
    pub keep: Duration,
    /// Time for which a change is kept at most while a reader that the feed waits for has not read
    /// it; at least `keep`.
    pub keep_unread: Duration,
    /// Number of sequences in a block.
    pub block: u64,
}

impl Retention {
    /// Returns the retention of a feed in partitions (PostgreSQL).
    pub fn in_partitions(keep: Duration) -> Self {
        // About a million sequences: at 3,000 events a second a new partition every six minutes,
        // and each is small enough to vacuum.
        Self {
            keep,
            keep_unread: keep,
            block: 1 << 20,
        }
    }

    /// Returns the retention of a feed in the rows of one table (SQLite).
    pub fn in_rows(keep: Duration) -> Self {
        // One table has no partitions to drop, so a block is only the step in which the horizon
        // moves: small, so that little more is kept than asked for.
        Self {
            keep,
            keep_unread: keep,
            block: 1 << 12,
        }
    }

    /// Returns this retention with a longer time for changes that are not read yet.
    pub fn waiting(self, keep_unread: Duration) -> Self {
        Self {
            keep_unread: keep_unread.max(self.keep),
            ..self
        }
    }
}

/// Drops old changes periodically until it is stopped.
pub(crate) async fn run<D>(drop_old: impl Fn() -> D, metrics: &Metrics, stop: CancellationToken)
where
    D: Future<Output = Result<Sequence, Error>>,
{
    let horizon = metrics.gauge(
        "feed_horizon",
        "Log sequence up to which changes are no longer kept",
    );

    loop {
        match drop_old().await {
            Ok(reached) => {
                horizon.set(reached as i64);
            }
            // Old changes do no harm until the next run, and another process may have been at the
            // same block.
            Err(error) => tracing::debug!(%error, "old changes of the feed were not dropped"),
        }

        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Bounds of what may be dropped at one time.
#[derive(Clone, Copy)]
struct Limits {
    /// Changes that are not older than this stay.
    older_than: Timestamp,
    /// Changes that are not older than this stay until they are read.
    unread_older_than: Timestamp,
    /// Sequence up to which the reader that the feed waits for has read it.
    read: Sequence,
}

impl Limits {
    /// Returns whether changes up to a sequence may be dropped, the newest of which is of `newest`.
    fn permit(&self, last: i64, newest: Timestamp) -> bool {
        let is_read = last as Sequence <= self.read;

        if newest >= self.older_than || !(is_read || newest < self.unread_older_than) {
            return false;
        }
        // The reader learns of it by the horizon, and tells it too.
        if !is_read {
            tracing::warn!(
                last,
                read = self.read,
                "the feed drops changes up to sequence {last}, but its slowest reader is only at {}",
                self.read
            );
        }
        true
    }
}

/// Drops the changes that the retention no longer keeps, when the reader that it waits for is at
/// `read`. Returns the horizon.
pub(crate) async fn drop_old(
    db: &Db,
    clock: &Clock,
    retention: Retention,
    read: Sequence,
) -> Result<Sequence, Error> {
    let before = |keep: Duration| {
        let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(clock.now_micros().saturating_sub(keep))
    };
    let limits = Limits {
        older_than: before(retention.keep),
        unread_older_than: before(retention.keep_unread),
        read,
    };

    match db.read().engine() {
        PoolEngine::Postgres(pool) => drop_blocks(db, pool, limits).await?,
        PoolEngine::Sqlite(_) => delete_rows(db, retention.block, limits).await?,
    }

    Ok(horizon(db).await? as Sequence)
}

async fn horizon(db: &Db) -> Result<i64, Error> {
    on_db!(db.read(), pool => sqlx::query_scalar(HORIZON).fetch_one(pool).await)
}

async fn drop_blocks(db: &Db, pool: &PgPool, limits: Limits) -> Result<(), Error> {
    let driver = |error| db.read().error(error);

    let blocks: Vec<(i64, i64)> = sqlx::query_as(FINISHED_BLOCKS)
        .fetch_all(pool)
        .await
        .map_err(driver)?;

    for (first, last) in blocks {
        // The horizon passed a block before its partition was dropped, so of a block below it only
        // steps that an earlier run did not reach are left.
        if horizon(db).await? < last {
            let newest: Option<Timestamp> = sqlx::query_scalar(NEWEST_CHANGE)
                .bind(first)
                .bind(last)
                .fetch_optional(pool)
                .await
                .map_err(driver)?;
            // Blocks are in the order of time, so behind one that must stay all others stay. No
            // change at all means that nothing tells the block's age, and it stays too.
            if newest.is_none_or(|newest| !limits.permit(last, newest)) {
                return Ok(());
            }

            // Committed before anything is dropped: a reader between the two would find a gap that
            // nothing announces.
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

/// Runs the steps that are left of dropping a partition. A process may have died between any two of
/// them.
async fn drop_partition(pool: &PgPool, first: i64) -> Result<(), sqlx::Error> {
    let name = format!("feed_{first}");

    // A plain DROP TABLE would lock readers of the whole feed out. CONCURRENTLY waits for
    // transactions that read it while new ones go on, and cannot be part of a transaction; one that
    // was interrupted must be finished with FINALIZE (PostgreSQL, ALTER TABLE, DETACH PARTITION).
    let pending: Option<bool> = sqlx::query_scalar(ATTACHED_PARTITION)
        .bind(&name)
        .fetch_optional(pool)
        .await?;
    if let Some(pending) = pending {
        let mode = if pending { "FINALIZE" } else { "CONCURRENTLY" };
        let detach = format!("ALTER TABLE feed DETACH PARTITION {name} {mode}");
        sqlx::raw_sql(AssertSqlSafe(detach)).execute(pool).await?;
    }

    let drop = format!("DROP TABLE IF EXISTS {name}");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(pool).await?;

    // The record goes last: while it exists, the next run comes back to this partition.
    sqlx::query(DELETE_BLOCK).bind(first).execute(pool).await?;

    Ok(())
}

/// Deletes rows in portions. Readers of SQLite keep the snapshot that they began with.
async fn delete_rows(db: &Db, block: u64, limits: Limits) -> Result<(), Error> {
    loop {
        let mut tx = db.begin().await?;

        let oldest: Option<(i64, Timestamp)> = on_tx!(&mut tx, connection =>
            sqlx::query_as(OLDEST_ROWS).bind(block as i64 - 1).fetch_optional(connection).await)?;
        let last = oldest.filter(|(last, at)| limits.permit(*last, *at));
        if let Some((sequence, _)) = last {
            on_tx!(&mut tx, connection =>
                sqlx::query(MOVE_HORIZON).bind(sequence).execute(connection).await.map(|_| ()))?;
        }

        let deleted = on_tx!(&mut tx, connection => sqlx::query(DELETE_ROWS)
            .bind(ROWS)
            .execute(connection)
            .await
            .map(|done| done.rows_affected()))?;

        // Horizon and rows in one commit: no reader sees the one without the other. One transaction
        // a portion, so that the projection writes in between.
        tx.commit().await?;

        // Rows below the horizon may be left of an earlier run, so only a round that finds nothing
        // is the last.
        if last.is_none() && deleted == 0 {
            return Ok(());
        }
    }
}
