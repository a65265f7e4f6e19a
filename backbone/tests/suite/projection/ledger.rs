//! The smallest projection: a line for every event, and a note of every commit.

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

/// The row of table `projection` that the seller's migrations make.
pub(super) const NAME: &str = "seller";

const TABLE: &str =
    "CREATE TABLE ledger (sequence BIGINT PRIMARY KEY, subject TEXT, revision BIGINT NOT NULL)";
const REVISION: &str = "SELECT max(revision) FROM ledger WHERE subject = $1";
const LINE: &str = "INSERT INTO ledger (sequence, subject, revision) VALUES ($1, $2, $3)";
const LINES: &str = "SELECT sequence, revision FROM ledger ORDER BY sequence";

/// A projection that keeps every event; revision 0 stands for a dead one.
pub(super) struct Ledger {
    commits: Commits,
}

/// From where to where each commit went.
#[derive(Clone, Default)]
pub(super) struct Commits(Arc<Mutex<Vec<(Sequence, Sequence)>>>);

impl Commits {
    pub(super) fn all(&self) -> Vec<(Sequence, Sequence)> {
        self.0.lock().clone()
    }
}

impl Projection for Ledger {
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
            on_tx!(tx, connection => sqlx::query(LINE)
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
            "the batch lies between the places"
        );
        self.commits.0.lock().push((from.position, to.position));
    }
}

/// A running worker of the ledger.
pub(super) struct Running {
    /// What it committed.
    pub(super) commits: Commits,
    /// Its health.
    pub(super) health: Health,
    /// Its metrics.
    pub(super) metrics: Metrics,
    stop: CancellationToken,
    task: JoinSet<Result<(), Error>>,
}

/// Makes the ledger's table.
pub(super) async fn make_table(db: &Db) {
    on_db!(db.write(), pool => sqlx::query(TABLE).execute(pool).await.map(|_| ()))
        .expect("the table can be made");
}

/// A worker that does not run by itself.
pub(super) fn worker(log: &EventLog, db: &Db) -> Worker<Ledger> {
    let ledger = Ledger {
        commits: Commits::default(),
    };
    Worker::new(
        ledger,
        log.clone(),
        db.clone(),
        Health::default().part("seller"),
        &Metrics::new(),
    )
}

/// Starts a worker.
pub(super) fn start(log: &EventLog, db: &Db) -> Running {
    let (commits, health, metrics) = (Commits::default(), Health::default(), Metrics::new());
    let ledger = Ledger {
        commits: commits.clone(),
    };
    let worker = Worker::new(
        ledger,
        log.clone(),
        db.clone(),
        health.part("seller"),
        &metrics,
    );
    let (stop, mut task) = (CancellationToken::new(), JoinSet::new());
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
    /// Tells it to stop, and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.end().await.expect("it stops in peace");
    }

    /// Waits until it ends, and says how.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        let ended = tokio::time::timeout(SOON, self.task.join_next()).await;
        ended
            .expect("it ends")
            .expect("it was started")
            .expect("it does not panic")
    }

    /// Why it is down; nothing when it is not.
    pub(super) fn complaint(&self) -> String {
        [self.health.down(), self.health.degraded()]
            .concat()
            .into_iter()
            .map(|(_, why)| why)
            .collect()
    }
}

/// Waits until the tables have come to the log's head, and returns the lines of the ledger.
pub(super) async fn caught_up(log: &EventLog, db: &Db) -> Vec<(Sequence, u64)> {
    wait_until(SOON, "the tables have come to the head", async || {
        checkpoint(db).await.position == log.head().await.expect("the log is up")
    })
    .await;
    lines(db).await
}

/// Every line: sequence and revision.
pub(super) async fn lines(db: &Db) -> Vec<(Sequence, u64)> {
    let lines: Result<Vec<(i64, i64)>, _> =
        on_db!(db.read(), pool => sqlx::query_as(LINES).fetch_all(pool).await);
    let lines = lines.expect("the ledger can be read");
    lines
        .into_iter()
        .map(|(sequence, revision)| (sequence as Sequence, revision as u64))
        .collect()
}

/// Where the tables stand.
pub(super) async fn checkpoint(db: &Db) -> Checkpoint {
    Checkpoint::read(db, NAME)
        .await
        .expect("the checkpoint can be read")
}
