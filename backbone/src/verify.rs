//! Comparison of a projection's tables with a replay of the log, beside the processes that keep
//! them.
//!
//! The replay goes as far as the tables are in one snapshot, to the very event, and every row is
//! compared column by column. So a difference is one of the tables, and never one of time.

mod finding;

pub use finding::{Finding, FindingKind};

use crate::db::{Db, Tx};
use crate::event_log::EventLog;
use crate::position::Sequence;
use crate::projection::{Checkpoint, Projection};
use crate::replay::{Replay, check_reached};
use crate::table_diff::{Table, TableDiff};
use crate::{Error, on_tx};

const BEGIN_LONG_READ: &str = include_str!("verify/begin_long_read.postgres.sql");

/// Number of events that the replay may be behind the tables when their snapshot is taken. It reads
/// these while the snapshot is open.
const NEAR: u64 = 2_000;

/// Tables of a projection, as far as the log determines them.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// The tables.
    pub tables: &'static [Table],
    /// The table of changes that readers follow, if the projection keeps one.
    pub feed: Option<Feed>,
}

/// A table of changes, which is kept for some time.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// The table, whose key begins with a sequence.
    pub table: &'static Table,
    /// Statement that reads the horizon, up to which changes are no longer kept.
    pub horizon: &'static str,
    /// Statement that moves the horizon forward.
    pub move_horizon: &'static str,
    /// Statement that drops the changes after a sequence.
    pub drop_after: &'static str,
    /// Statement that moves the horizon back to a sequence if it lies beyond.
    pub lower_horizon: &'static str,
    /// Statement that drops changes up to a sequence, on SQLite.
    pub prune: &'static str,
}

/// Progress of a replay: how far it has come, and how far the tables were when it was asked.
pub type Progress<'a> = &'a mut (dyn FnMut(Sequence, Sequence) + Send);

/// The tables of a projection, side by side with a replay of the log.
pub struct SideBySide<P> {
    pub(crate) log: EventLog,
    pub(crate) db: Db,
    pub(crate) replay: Replay<P>,
    pub(crate) tables: Tables,
}

/// Result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Position of the tables that were compared.
    pub checkpoint: Checkpoint,
    /// Rows that were compared, of either side.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
}

/// Both sides at the same position, each in one snapshot.
pub(crate) struct Snapshots {
    pub(crate) tables: Tx,
    pub(crate) replay: Tx,
    pub(crate) checkpoint: Checkpoint,
}

impl<P: Projection> SideBySide<P> {
    /// Puts the tables of `db` beside a replay of `log`.
    pub fn new(log: EventLog, db: Db, replay: Replay<P>, tables: Tables) -> Self {
        Self {
            log,
            db,
            replay,
            tables,
        }
    }

    /// Compares the tables with the replay. `found` is called with every row that differs.
    ///
    /// # Errors
    /// [`Error::Broken`] if the tables were not built from this log.
    pub async fn verify(
        &mut self,
        progress: Progress<'_>,
        found: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<Verified, Error> {
        let mut snapshots = self.snapshots(progress).await?;
        let mut verified = Verified {
            checkpoint: snapshots.checkpoint,
            rows: 0,
            differences: 0,
        };

        let feed_after = self.horizon(&mut snapshots.tables).await?;
        let tables = self.tables.tables.iter().map(|table| (table, None));
        let feed = self.tables.feed.map(|feed| (feed.table, feed_after));
        for (table, after) in tables.chain(feed) {
            let mut diff = TableDiff::new(table, after);
            let Snapshots { tables, replay, .. } = &mut snapshots;

            while let Some(row) = diff.next(tables, replay).await? {
                verified.differences += 1;
                let position = verified.checkpoint.position;
                found(Finding::of(&self.log, table, row, position).await?);
            }
            verified.rows += diff.compared();
        }

        Ok(verified)
    }

    /// Replays the log until it is near the tables.
    pub(crate) async fn catch_up(&mut self, progress: Progress<'_>) -> Result<(), Error> {
        if let Some(feed) = self.tables.feed {
            let mut tx = self.db.begin_snapshot().await?;
            let horizon = read_horizon(&mut tx, feed.horizon).await?;
            self.replay.prune(feed.prune, horizon as Sequence);
        }

        loop {
            let goal = Checkpoint::read(&self.db, P::NAME).await?;
            check_reached(&self.log, P::NAME, goal).await?;

            let behind = goal
                .position
                .saturating_sub(self.replay.checkpoint().position);
            if behind <= NEAR {
                return Ok(());
            }

            // The tables move on meanwhile, by less each time.
            let mut told = |at| progress(at, goal.position);
            self.replay.run_to(goal.position, &mut told).await?;
        }
    }

    /// Takes snapshots of both sides at the position that the tables have now.
    pub(crate) async fn snapshots(&mut self, progress: Progress<'_>) -> Result<Snapshots, Error> {
        self.catch_up(progress).await?;

        let mut tables = self.db.begin_snapshot().await?;
        // The server would end a transaction that waits for the replay, or reads a large table.
        // This one locks nothing that others wait for.
        if tables.is_postgres() {
            set(&mut tables, BEGIN_LONG_READ).await?;
        }

        let checkpoint = Checkpoint::read_in(&mut tables, P::NAME).await?;
        let mut told = |at| progress(at, checkpoint.position);
        self.replay.run_to(checkpoint.position, &mut told).await?;
        self.check_same_event(checkpoint)?;

        Ok(Snapshots {
            tables,
            replay: self.replay.db().begin_snapshot().await?,
            checkpoint,
        })
    }

    /// Checks that tables at the position of the replay have applied the same event there.
    pub(crate) fn check_same_event(&self, tables: Checkpoint) -> Result<(), Error> {
        let replay = self.replay.checkpoint();
        if (tables.position, tables.event_id) == (replay.position, replay.event_id) {
            return Ok(());
        }

        Err(Error::broken(
            "event log",
            format!(
                "the {} tables are at sequence {}, where the log has a different event",
                P::NAME,
                tables.position
            ),
        ))
    }

    /// Reads the sequence up to which changes are not compared; `None` without a feed.
    pub(crate) async fn horizon(&self, tx: &mut Tx) -> Result<Option<i64>, Error> {
        match self.tables.feed {
            Some(feed) => Ok(Some(read_horizon(tx, feed.horizon).await?)),
            None => Ok(None),
        }
    }
}

async fn read_horizon(tx: &mut Tx, statement: &'static str) -> Result<i64, Error> {
    on_tx!(tx, connection => sqlx::query_scalar(statement).fetch_one(connection).await)
}

/// Executes statements that set something.
pub(crate) async fn set(tx: &mut Tx, statements: &'static str) -> Result<(), Error> {
    on_tx!(tx, connection =>
        sqlx::raw_sql(statements).execute(connection).await.map(|_| ()))
}
