//! Replay of the log into tables of their own, which stand beside those of a running market.

mod scratch;

pub use scratch::Scratch;

use crate::db::Db;
use crate::event_log::{EventLog, Tail};
use crate::position::Sequence;
use crate::projection::{Checkpoint, Projection, Worker};
use crate::{Error, on_db};

/// A projection that follows the log as far as it is told to.
pub struct Replay<P> {
    worker: Worker<P>,
    db: Db,
    checkpoint: Checkpoint,
    tail: Tail,
    /// Statement that drops rows which nobody will compare, and the sequence up to which it does.
    prune: Option<(&'static str, Sequence)>,
}

impl<P: Projection> Replay<P> {
    /// Begins a replay of `log` into the tables of `db`, which `worker` keeps and nobody else uses.
    pub async fn begin(worker: Worker<P>, db: Db) -> Result<Self, Error> {
        let (checkpoint, tail) = worker.open().await?;

        Ok(Self {
            worker,
            db,
            checkpoint,
            tail,
            prune: None,
        })
    }

    /// Drops rows up to the sequence `up_to` as the replay passes them, by a statement whose
    /// parameter is a sequence.
    pub fn prune(&mut self, statement: &'static str, up_to: Sequence) {
        self.prune = Some((statement, up_to));
    }

    /// Returns how far the replay has come.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// Returns the database of the replay.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Goes on up to exactly the event `goal`, which the log must hold. `progress` is called with
    /// the position after every batch.
    pub async fn run_to(
        &mut self,
        goal: Sequence,
        progress: &mut (dyn FnMut(Sequence) + Send),
    ) -> Result<(), Error> {
        while self.checkpoint.position < goal {
            let before = self.checkpoint.position;
            let batch = self.worker.run_up_to(self.checkpoint, &mut self.tail, goal);
            self.checkpoint = batch.await?;

            if let Some((statement, up_to)) = self.prune.filter(|(_, up_to)| before < *up_to) {
                let passed = up_to.min(self.checkpoint.position) as i64;
                on_db!(self.db.write(), pool =>
                    sqlx::query(statement).bind(passed).execute(pool).await.map(|_| ()))?;
            }

            progress(self.checkpoint.position);
        }

        Ok(())
    }
}

/// Returns an error unless the log holds the event that tables were built up to.
pub(crate) async fn check_reached(
    log: &EventLog,
    name: &str,
    checkpoint: Checkpoint,
) -> Result<(), Error> {
    let epoch = log.epoch().await?;
    let head = log.head().await?;

    // Empty tables have no epoch yet.
    let other = checkpoint.epoch != epoch && checkpoint.position > 0;
    if other || checkpoint.position > head {
        return Err(Error::broken(
            "event log",
            format!(
                "the {name} tables are at sequence {} of epoch {}, but the log is of epoch {} and \
                 its head is {head}",
                checkpoint.position, checkpoint.epoch.0, epoch.0
            ),
        ));
    }

    Ok(())
}
