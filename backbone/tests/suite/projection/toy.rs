//! A toy projection: a table with one row for every event, and a record of every commit.

use std::collections::HashMap;
use std::sync::Arc;

use backbone::contract::Subject;
use backbone::db::{Db, Tx};
use backbone::event_log::EventLog;
use backbone::health::Health;
use backbone::position::{Epoch, Sequence};
use backbone::projection::{Checkpoint, Entry, Projection, Worker};
use backbone::telemetry::Metrics;
use backbone::testkit::wait_until;
use backbone::{Error, on_db, on_tx};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::logs::SOON;

/// Name of the row in table `projection` that the seller's migrations insert.
pub(super) const NAME: &str = "seller";

const TABLE: &str =
    "CREATE TABLE toy (sequence BIGINT PRIMARY KEY, subject TEXT, revision BIGINT NOT NULL)";
const REVISION: &str = "SELECT max(revision) FROM toy WHERE subject = $1";
const INSERT: &str = "INSERT INTO toy (sequence, subject, revision) VALUES ($1, $2, $3)";
const ROWS: &str = "SELECT sequence, revision FROM toy ORDER BY sequence";

/// A projection that stores every event; revision 0 stands for a dead one.
pub(super) struct ToyProjection {
    commits: Commits,
}

/// Positions before and after each commit.
#[derive(Clone, Default)]
pub(super) struct Commits(Arc<Mutex<Vec<(Sequence, Sequence)>>>);

impl Commits {
    pub(super) fn all(&self) -> Vec<(Sequence, Sequence)> {
        self.0.lock().clone()
    }
}

impl Projection for ToyProjection {
    type Effect = (Sequence, Sequence);
    const NAME: &'static str = NAME;

    async fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, u64>, Error> {
        let mut revisions = HashMap::new();
        for subject in subjects {
            let found: Result<Option<i64>, _> = on_tx!(tx, connection =>
                sqlx::query_scalar(REVISION).bind(subject.to_string()).fetch_one(connection).await);
            if let Some(revision) = found? {
                revisions.insert(*subject, revision as u64);
            }
        }

        Ok(revisions)
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        _: Epoch,
        entries: &[Entry<'_>],
    ) -> Result<(Sequence, Sequence), Error> {
        for entry in entries {
            let (sequence, subject, revision) = match *entry {
                Entry::Event { sequence, event } => (
                    sequence,
                    Some(event.subject.to_string()),
                    event.fact.revision(),
                ),
                Entry::Dead { sequence, .. } => (sequence, None, 0),
            };
            on_tx!(tx, connection => sqlx::query(INSERT)
                .bind(sequence as i64)
                .bind(subject)
                .bind(revision as i64)
                .execute(connection)
                .await
                .map(|_| ()))?;
        }

        let sequence = |entry: &Entry<'_>| match *entry {
            Entry::Event { sequence, .. } | Entry::Dead { sequence, .. } => sequence,
        };

        Ok((
            sequence(&entries[0]),
            sequence(entries.last().expect("a batch is never empty")),
        ))
    }

    async fn committed(&self, from: Checkpoint, to: Checkpoint, effect: (Sequence, Sequence)) {
        assert_eq!(
            effect,
            (from.position + 1, to.position),
            "the batch is what lies between the checkpoints"
        );

        self.commits.0.lock().push((from.position, to.position));
    }
}

/// A running worker of the toy projection.
pub(super) struct Running {
    /// Commits of the worker.
    pub(super) commits: Commits,
    /// Health of the worker.
    pub(super) health: Health,
    /// Metrics of the worker.
    pub(super) metrics: Metrics,
    stop: CancellationToken,
    task: JoinSet<Result<(), Error>>,
}

/// Creates the toy table.
pub(super) async fn create_table(db: &Db) {
    on_db!(db.write(), pool => sqlx::query(TABLE).execute(pool).await.map(|_| ()))
        .expect("the table can be created");
}

/// Inserts a row that no event has written.
pub(super) async fn insert(db: &Db, sequence: i64, revision: i64) {
    on_db!(db.write(), pool => sqlx::query(INSERT)
        .bind(sequence)
        .bind(None::<String>)
        .bind(revision)
        .execute(pool)
        .await
        .map(|_| ()))
    .expect("its place is free");
}

/// Builds a worker that does not run by itself.
pub(super) fn worker(log: &EventLog, db: &Db) -> Worker<ToyProjection> {
    let projection = ToyProjection {
        commits: Commits::default(),
    };
    Worker::new(
        projection,
        log.clone(),
        db.clone(),
        Health::default().part("seller"),
        &Metrics::new(),
    )
}

/// Starts a worker.
pub(super) fn start(log: &EventLog, db: &Db) -> Running {
    let commits = Commits::default();
    let health = Health::default();
    let metrics = Metrics::new();
    let projection = ToyProjection {
        commits: commits.clone(),
    };

    let worker = Worker::new(
        projection,
        log.clone(),
        db.clone(),
        health.part("seller"),
        &metrics,
    );

    let stop = CancellationToken::new();
    let mut task = JoinSet::new();
    task.spawn(worker.run(stop.clone()));
    Running {
        commits,
        health,
        metrics,
        stop,
        task,
    }
}

impl Running {
    /// Stops the worker and waits until it has ended.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.end().await.expect("it stops without an error");
    }

    /// Waits until the worker ends and returns its result.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        let ended = tokio::time::timeout(SOON, self.task.join_next()).await;
        ended
            .expect("it ends")
            .expect("it was started")
            .expect("it does not panic")
    }

    /// Returns why the worker is down or degraded; empty if it is neither.
    pub(super) fn complaint(&self) -> String {
        [self.health.down(), self.health.degraded()]
            .concat()
            .into_iter()
            .map(|(_, why)| why)
            .collect()
    }
}

/// Waits until the tables have reached the log's head, and returns the rows of the toy table.
pub(super) async fn caught_up(log: &EventLog, db: &Db) -> Vec<(Sequence, u64)> {
    wait_until(SOON, "the tables have reached the head", async || {
        checkpoint(db).await.position == log.head().await.expect("the log is up")
    })
    .await;

    rows(db).await
}

/// Returns every row: sequence and revision.
pub(super) async fn rows(db: &Db) -> Vec<(Sequence, u64)> {
    let rows: Result<Vec<(i64, i64)>, _> =
        on_db!(db.read(), pool => sqlx::query_as(ROWS).fetch_all(pool).await);
    let rows = rows.expect("the toy table can be read");
    rows.into_iter()
        .map(|(sequence, revision)| (sequence as Sequence, revision as u64))
        .collect()
}

/// Returns the checkpoint.
pub(super) async fn checkpoint(db: &Db) -> Checkpoint {
    Checkpoint::read(db, NAME)
        .await
        .expect("the checkpoint can be read")
}
