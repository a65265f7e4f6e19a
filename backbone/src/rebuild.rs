//! A new generation of a projection's tables, beside the processes that keep the present one.
//!
//! The new generation is a replay of the log in a database of its own. In one transaction the rows
//! in which it differs from the tables are put in their place, the number of the generation goes
//! up, and with it the fence: a projection that stood by its checkpoint finds another, and goes on
//! from there. Nothing but this transaction touches the market's database, so a rebuild that dies
//! has changed nothing.

mod differences;

use serde_json::Value as JsonValue;
use sqlx::types::Json;

use crate::contract::Subject;
use crate::db::Tx;
use crate::position::Sequence;
use crate::projection::{Checkpoint, Projection};
use crate::table_diff::rows::named;
use crate::table_diff::{Row, Table, TableDiff, Value};
use crate::verify::{Progress, SideBySide, Snapshots, set};
use crate::{Error, on_tx};

use differences::Differences;

const BEGIN_SWAP: &str = include_str!("rebuild/begin_swap.postgres.sql");
const NEXT_GENERATION: &str = include_str!("rebuild/next_generation.sql");
const FOLLOW: &str = include_str!("rebuild/follow.sql");

/// Subjects whose rows one statement replaces.
const CHUNK: usize = 500;

/// Result of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Checkpoint of the tables, with the number of the new generation.
    pub checkpoint: Checkpoint,
    /// Subjects whose rows were replaced.
    pub replaced: u64,
    /// Set if the feed was not what the log makes, so that its horizon is now the position of the
    /// swap, and readers from before it are told.
    pub is_feed_cut: bool,
}

/// Result of the comparison before the swap.
struct Compared {
    checkpoint: Checkpoint,
    feed_differs: bool,
}

impl<P: Projection> SideBySide<P> {
    /// Makes the tables what the log says, as a new generation.
    ///
    /// # Errors
    /// [`Error::Broken`] if the tables were not built from this log. [`Error::Conflict`] if another
    /// rebuild was faster. An error of the last step may leave open whether the swap took place.
    pub async fn rebuild(&mut self, progress: Progress<'_>) -> Result<Rebuilt, Error> {
        let differences = Differences::new(self.replay.db()).await?;
        let compared = self.compare(&differences, progress).await?;

        // The comparison took its time, and what the replay lacks would be read under the lock.
        self.catch_up(progress).await?;
        self.swap(&differences, compared).await
    }

    /// Notes every subject whose rows differ, at one position.
    async fn compare(
        &mut self,
        differences: &Differences,
        progress: Progress<'_>,
    ) -> Result<Compared, Error> {
        let mut snapshots = self.snapshots(progress).await?;
        let feed_after = self.horizon(&mut snapshots.tables).await?;
        let Snapshots {
            tables,
            replay,
            checkpoint,
        } = &mut snapshots;

        for table in self.tables.tables {
            note_differences(table, tables, replay, differences).await?;
        }
        let feed_differs = self.feed_differs(tables, replay, feed_after).await?;

        Ok(Compared {
            checkpoint: *checkpoint,
            feed_differs,
        })
    }

    /// Returns whether the feed is not what the log makes, after a sequence.
    async fn feed_differs(
        &self,
        tables: &mut Tx,
        replay: &mut Tx,
        after: Option<i64>,
    ) -> Result<bool, Error> {
        let Some(feed) = self.tables.feed else {
            return Ok(false);
        };

        let mut diff = TableDiff::new(feed.table, after);
        Ok(diff.next(tables, replay).await?.is_some())
    }

    /// Replaces what differs, and moves the tables to the next generation, in one transaction.
    async fn swap(
        &mut self,
        differences: &Differences,
        compared: Compared,
    ) -> Result<Rebuilt, Error> {
        let mut tx = self.db.begin().await?;
        if tx.is_postgres() {
            set(&mut tx, BEGIN_SWAP).await?;
        }

        // From here on the projection waits, and the tables stand still. It finds another
        // generation afterwards, drops the batch that it held, and reads its checkpoint again.
        let to = next_generation(&mut tx, P::NAME, compared.checkpoint).await?;
        self.replay.run_to(to.position, &mut |_| {}).await?;
        self.check_same_event(to)?;

        let mut replay = self.replay.db().begin_snapshot().await?;
        // What was equal then is equal now, unless an event met what was not: its subject is noted,
        // and the events that are set aside are few enough to be compared once more.
        for table in self.small_tables() {
            note_differences(table, &mut tx, &mut replay, differences).await?;
        }

        let mut replaced = 0;
        for table in self.tables.tables {
            replaced += replace(table, &mut tx, &mut replay, differences).await?;
        }

        let after = Some(compared.checkpoint.position as i64);
        let is_feed_cut =
            compared.feed_differs || self.feed_differs(&mut tx, &mut replay, after).await?;
        if is_feed_cut {
            self.move_horizon(&mut tx, to.position).await?;
        }

        tx.commit().await?;
        Ok(Rebuilt {
            checkpoint: to,
            replaced,
            is_feed_cut,
        })
    }

    /// Makes the tables what a log says that was reopened after it had lost its end, up to its
    /// head, and gives them its epoch. Nothing else moves them meanwhile, since projections refuse a
    /// log of another epoch than their tables'.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while a store cannot be reached. An error of the last step may leave
    /// open whether it took place.
    pub async fn follow_reopened(&mut self, progress: Progress<'_>) -> Result<Rebuilt, Error> {
        let head = self.log.head().await?;
        self.replay
            .run_to(head, &mut |at| progress(at, head))
            .await?;

        let mut tx = self.db.begin().await?;
        if tx.is_postgres() {
            set(&mut tx, BEGIN_SWAP).await?;
        }
        let from = Checkpoint::read_in(&mut tx, P::NAME).await?;
        let generation = next_generation(&mut tx, P::NAME, from).await?.generation;

        let differences = Differences::new(self.replay.db()).await?;
        let mut replay = self.replay.db().begin_snapshot().await?;
        let mut replaced = 0;
        for table in self.tables.tables {
            note_differences(table, &mut tx, &mut replay, &differences).await?;
            replaced += replace(table, &mut tx, &mut replay, &differences).await?;
        }
        let is_feed_cut = self.cut_feed(&mut tx, &mut replay, head).await?;

        let to = Checkpoint {
            generation,
            ..self.replay.checkpoint()
        };
        follow(&mut tx, P::NAME, to).await?;
        tx.commit().await?;

        Ok(Rebuilt {
            checkpoint: to,
            replaced,
            is_feed_cut,
        })
    }

    /// Drops the changes after the log's head, whose sequences other events will take. Returns
    /// whether those before it are not what the log makes either, so that they are given up too.
    async fn cut_feed(&self, tx: &mut Tx, replay: &mut Tx, head: Sequence) -> Result<bool, Error> {
        let Some(feed) = self.tables.feed else {
            return Ok(false);
        };

        for statement in [feed.drop_after, feed.lower_horizon] {
            on_tx!(tx, connection => sqlx::query(statement)
                .bind(head as i64)
                .execute(connection)
                .await
                .map(|_| ()))?;
        }

        let after = self.horizon(tx).await?;
        let differs = self.feed_differs(tx, replay, after).await?;
        if differs {
            self.move_horizon(tx, head).await?;
        }
        Ok(differs)
    }

    fn small_tables(&self) -> impl Iterator<Item = &'static Table> + use<P> {
        self.tables
            .tables
            .iter()
            .filter(|table| table.subject_text.is_some())
    }

    async fn move_horizon(&self, tx: &mut Tx, to: Sequence) -> Result<(), Error> {
        let feed = self.tables.feed.expect("only a feed differs");
        on_tx!(tx, connection => sqlx::query(feed.move_horizon)
            .bind(to as i64)
            .execute(connection)
            .await
            .map(|_| ()))
    }
}

/// Moves the tables to the next generation, which locks their checkpoint. Returns it.
async fn next_generation(tx: &mut Tx, name: &str, from: Checkpoint) -> Result<Checkpoint, Error> {
    let moved: Option<Checkpoint> = on_tx!(tx, connection => sqlx::query_as(NEXT_GENERATION)
        .bind(name)
        .bind(from.epoch)
        .bind(from.generation)
        .fetch_optional(connection)
        .await)?;

    moved.ok_or(Error::Conflict { what: "generation" })
}

/// Makes the tables those of another epoch of the log.
async fn follow(tx: &mut Tx, name: &str, to: Checkpoint) -> Result<(), Error> {
    on_tx!(tx, connection => sqlx::query(FOLLOW)
        .bind(name)
        .bind(to.epoch)
        .bind(to.position as i64)
        .bind(to.event_id)
        .execute(connection)
        .await
        .map(|_| ()))
}

/// Notes the subjects of a table whose rows differ.
async fn note_differences(
    table: &Table,
    tables: &mut Tx,
    replay: &mut Tx,
    differences: &Differences,
) -> Result<(), Error> {
    let Some(replacement) = table.replacement else {
        return Ok(());
    };

    let mut diff = TableDiff::new(table, None);
    let mut noted = Vec::new();
    while let Some(row) = diff.next(tables, replay).await? {
        noted.push((table.name, row.key(replacement.subject).to_vec()));

        // What was set aside decides which later events of its subject are applied, so the rows of
        // the subject may differ by the time of the swap although they are the same now.
        let rows = [&row.left, &row.right].into_iter().flatten();
        noted.extend(rows.filter_map(|row| subject_rows(table, row)));

        if noted.len() >= CHUNK {
            differences.note(&noted).await?;
            noted.clear();
        }
    }

    differences.note(&noted).await
}

/// Returns the table and the leading columns of the rows that a subject named in a row has.
fn subject_rows(table: &Table, Row(values): &Row) -> Option<(&'static str, Vec<Value>)> {
    let Value::Text(text) = &values[table.subject_text?] else {
        return None;
    };

    match Subject::parse(text)? {
        Subject::Deal { deal, .. } => Some(("deal", vec![Value::Id(deal.0)])),
        Subject::Access { seller, buyer } => {
            Some(("access", vec![Value::Id(seller.0), Value::Id(buyer.0)]))
        }
        Subject::Opened | Subject::Decision { .. } => None,
    }
}

/// Replaces the rows of the noted subjects of a table by those of the replay. Returns the number of
/// subjects.
async fn replace(
    table: &Table,
    tx: &mut Tx,
    replay: &mut Tx,
    differences: &Differences,
) -> Result<u64, Error> {
    let Some(replacement) = table.replacement else {
        return Ok(0);
    };

    let postgres = tx.is_postgres();
    let mut replaced = 0;
    let mut after = String::new();
    loop {
        let chunk = differences.after(table, &after, CHUNK).await?;
        let Some((last, _)) = chunk.last() else {
            return Ok(replaced);
        };
        after.clone_from(last);
        replaced += chunk.len() as u64;

        let mut keys = Vec::new();
        let mut rows = Vec::new();
        for (_, subject) in &chunk {
            keys.push(JsonValue::Object(named(table, subject, postgres)));
            let of_subject = differences::rows_of(replay, table, subject).await?;
            let as_json = |row: &Row| JsonValue::Object(row.to_json(table, postgres));
            rows.extend(of_subject.iter().map(as_json));
        }

        execute(tx, replacement.delete, keys).await?;
        execute(tx, replacement.insert, rows).await?;
    }
}

async fn execute(
    tx: &mut Tx,
    (postgres, sqlite): (&'static str, &'static str),
    rows: Vec<JsonValue>,
) -> Result<(), Error> {
    let statement = if tx.is_postgres() { postgres } else { sqlite };

    on_tx!(tx, connection =>
        sqlx::query(statement).bind(Json(&rows)).execute(connection).await.map(|_| ()))
}
