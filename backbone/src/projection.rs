//! A reader of the log that keeps tables: follows the tail, applies batches, and moves its
//! checkpoint in the same transaction.
//!
//! The first statement of that transaction moves the checkpoint from where this worker read it. If
//! no row changes, another worker was faster and the whole batch is dropped. This compare-and-set
//! is the only fence: there is no lock, no leader and no acknowledgement. What an event does to
//! tables is up to the [`Projection`]; [`sort`] decides which events can be applied at all.

mod checkpoint;
mod dead_events;
mod sort;

pub use checkpoint::Checkpoint;
pub use dead_events::DEAD_EVENTS;
pub use sort::Entry;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::contract::Subject;
use crate::contract::wire::Undecodable;
use crate::db::{Db, Tx};
use crate::event_log::{EventLog, Record, Tail};
use crate::health::Part;
use crate::position::{Epoch, Sequence};
use crate::telemetry::{Counter, Gauge, Metrics};
use crate::{Error, random};

/// Largest number of events in one transaction. What arrives while one runs is the next batch, so a
/// busy log is read in large batches and a quiet one without delay.
const BATCH: usize = 1_000;
/// Interval at which a standby checks whether the active worker makes progress.
const STANDBY_LOOK: Duration = Duration::from_millis(250);
/// Time after which a checkpoint that stays behind the head has no active worker any more.
const STANDBY_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before following the log again after a failure, with a jitter of 20 %.
const RETRY: Duration = Duration::from_millis(500);

/// Tables that are built from events.
pub trait Projection: Send + Sync + 'static {
    /// Value that [`apply`](Self::apply) hands to [`committed`](Self::committed).
    type Effect: Send;

    /// Name of the row in table `projection`, also used in logs and metrics.
    const NAME: &'static str;

    /// Reads the revision of each of these subjects from the tables; subjects without one are left
    /// out.
    fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> impl Future<Output = Result<HashMap<Subject, u64>, Error>> + Send;

    /// Writes a batch to the tables, in order.
    fn apply(
        &self,
        tx: &mut Tx,
        epoch: Epoch,
        entries: &[Entry<'_>],
    ) -> impl Future<Output = Result<Self::Effect, Error>> + Send;

    /// Runs after the commit of a batch, when readers may be notified. Called in order and at most
    /// once for each batch: not at all if the process dies first.
    fn committed(
        &self,
        from: Checkpoint,
        to: Checkpoint,
        effect: Self::Effect,
    ) -> impl Future<Output = ()> + Send;
}

/// One worker of a projection. Any number may run; one advances and the others stand by.
pub struct Worker<P> {
    projection: P,
    log: EventLog,
    db: Db,
    health: Part,
    applied: Counter,
    dead: Counter,
    position: Gauge,
}

impl<P: Projection> Worker<P> {
    /// Builds a worker that keeps the tables of `db`.
    pub fn new(projection: P, log: EventLog, db: Db, health: Part, metrics: &Metrics) -> Self {
        let label = [("projection", P::NAME)];
        let counter = |name, help| {
            metrics
                .counter_family::<[(&'static str, &'static str); 1]>(name, help)
                .get_or_create_owned(&label)
        };

        let position = metrics.gauge_family::<[(&'static str, &'static str); 1]>(
            "projection_position",
            "Log sequence of the tables",
        );

        Self {
            projection,
            log,
            db,
            health,
            applied: counter("projection_events", "Events applied to tables"),
            dead: counter("projection_dead_events", "Events set aside as dead"),
            position: position.get_or_create_owned(&label),
        }
    }

    /// Runs until `stop` is cancelled.
    ///
    /// # Errors
    /// [`Error::Broken`] if the log is not the one that these tables were built from, or the tables
    /// violate their invariants.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut held_back = false;
        loop {
            let ended = tokio::select! {
                // Dropping `follow` in the middle of a batch is safe: its transaction rolls back.
                () = stop.cancelled() => return Ok(()),
                ended = self.follow(&mut held_back) => ended,
            };

            let standing_by = match ended {
                Ok(never) => match never {},
                // Another worker moved the checkpoint. It is the active one, and this one stands
                // by.
                Err(Error::Conflict { .. }) => true,
                // An event that this binary is too old to decode: the process is not ready until a
                // newer one has taken over.
                Err(error @ Error::Unavailable { what: this, .. }) if this == P::NAME => {
                    held_back = true;
                    self.health.down(&error);
                    false
                }
                Err(error @ Error::Unavailable { .. }) => {
                    self.health.away(&error);
                    false
                }
                Err(error @ Error::Broken { .. }) => {
                    self.health.down(&error);
                    return Err(error);
                }
            };

            // Everything else starts over from the checkpoint in the database after a pause.
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.wait(standing_by) => {}
            }
        }
    }

    /// Follows the log from the checkpoint on, until an error. With `held_back`, the next event is
    /// one that this binary could not decode, so having found the log again does not make it ready.
    async fn follow(&self, held_back: &mut bool) -> Result<std::convert::Infallible, Error> {
        let (mut checkpoint, mut tail) = self.open().await?;
        if !*held_back {
            self.health.up();
        }

        tracing::info!(
            projection = P::NAME,
            position = checkpoint.position,
            "following the log"
        );

        let mut records = Vec::new();
        loop {
            if records.is_empty() {
                records = tail.batch(BATCH).await?;
            }

            (checkpoint, records) = self
                .apply_while_reading(checkpoint, &records, &mut tail)
                .await?;

            if std::mem::take(held_back) {
                self.health.up();
            }
        }
    }

    /// Applies a batch while the next one is read and decoded. Returns the new checkpoint and what
    /// has been read by then.
    async fn apply_while_reading(
        &self,
        from: Checkpoint,
        records: &[Record],
        tail: &mut Tail,
    ) -> Result<(Checkpoint, Vec<Record>), Error> {
        let mut applying = std::pin::pin!(self.apply(from, records));
        let mut next = Vec::new();

        loop {
            tokio::select! {
                // A finished batch comes first, so that the next one starts as soon as it can.
                biased;
                applied = &mut applying => return Ok((applied?, next)),
                more = tail.batch(BATCH - next.len()), if next.len() < BATCH => next.extend(more?),
            }
        }
    }

    /// Returns the checkpoint and a tail from there, after checking that the tables were built from
    /// this log.
    pub async fn open(&self) -> Result<(Checkpoint, Tail), Error> {
        let epoch = self.log.epoch().await?;
        let checkpoint = Checkpoint::read(&self.db, P::NAME).await?;
        // Empty tables may be built from any log, and belong to this one from now on.
        let checkpoint = if checkpoint.position == 0 {
            checkpoint::adopt(&self.db, P::NAME, epoch).await?
        } else {
            checkpoint
        };

        self.check_log(epoch, checkpoint).await?;
        self.position.set(checkpoint.position as i64);
        Ok((checkpoint, self.log.tail(checkpoint.position).await?))
    }

    async fn check_log(&self, epoch: Epoch, checkpoint: Checkpoint) -> Result<(), Error> {
        let not_ours = |why: String| {
            Err(Error::broken(
                "event log",
                format!("{} tables: {why}", P::NAME),
            ))
        };

        if checkpoint.epoch != epoch {
            return not_ours(format!(
                "they were built from epoch {}, but the log's epoch is {}",
                checkpoint.epoch.0, epoch.0
            ));
        }

        // Nothing has been applied yet that could be compared.
        if checkpoint.position == 0 {
            return Ok(());
        }

        let Some(record) = self.log.get(checkpoint.position).await? else {
            return not_ours(format!(
                "they are at sequence {}, which the log does not have",
                checkpoint.position
            ));
        };

        // An event that could not be decoded has no id to compare.
        match (record.event.map(|event| event.id), checkpoint.event_id) {
            (Ok(found), Some(kept)) if found != kept => not_ours(format!(
                "the log has a different event at sequence {} than the one applied",
                checkpoint.position
            )),
            _ => Ok(()),
        }
    }

    /// Applies the next batch and returns the new checkpoint.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another worker advanced first.
    pub async fn run_once(&self, from: Checkpoint, tail: &mut Tail) -> Result<Checkpoint, Error> {
        let records = tail.batch(BATCH).await?;
        self.apply(from, &records).await
    }

    /// Applies the next batch, which ends at the event `last` at the latest, and returns the new
    /// checkpoint.
    ///
    /// # Errors
    /// Those of [`Worker::run_once`].
    pub async fn run_up_to(
        &self,
        from: Checkpoint,
        tail: &mut Tail,
        last: Sequence,
    ) -> Result<Checkpoint, Error> {
        let room = last.saturating_sub(from.position).min(BATCH as u64);
        let records = tail.batch(room as usize).await?;
        self.apply(from, &records).await
    }

    async fn apply(&self, from: Checkpoint, records: &[Record]) -> Result<Checkpoint, Error> {
        // Checked before the transaction, so that no part of the batch is applied: the events up to
        // the unknown one can wait with it.
        let newer = records.iter().find_map(|record| match &record.event {
            Err(why @ Undecodable::Newer { .. }) => Some(why),
            _ => None,
        });

        if let Some(why) = newer {
            return Err(Error::unavailable(P::NAME, why));
        }

        let last = records.last().expect("a batch is never empty");
        let to = Checkpoint {
            position: last.sequence,
            event_id: last.event.as_ref().ok().map(|event| event.id),
            ..from
        };

        let (effect, dead) = self.write(from, to, records).await?;

        self.applied.inc_by(records.len() as u64);
        self.dead.inc_by(dead as u64);
        self.position.set(to.position as i64);

        // Metrics first: readers that are notified may look at them.
        self.projection.committed(from, to, effect).await;
        Ok(to)
    }

    /// Runs the transaction of a batch: moves the checkpoint, sorts the events, applies them.
    async fn write(
        &self,
        from: Checkpoint,
        to: Checkpoint,
        records: &[Record],
    ) -> Result<(P::Effect, usize), Error> {
        let mut tx = self.db.begin_by_index().await?;
        // First of all: the row lock makes a competing worker wait, and the conflict ends this one
        // early.
        checkpoint::advance(&mut tx, P::NAME, from, to).await?;

        // Revisions are read inside the transaction, behind the fence: they cannot change any more.
        let subjects = sort::subjects(records);
        let revisions = self.projection.revisions(&mut tx, &subjects).await?;
        let dead_before = sort::dead_subjects(&mut tx).await?;
        let sorted = sort::sort(records, revisions, dead_before);
        sort::store_dead(&mut tx, &sorted).await?;

        let effect = self
            .projection
            .apply(&mut tx, to.epoch, &sorted.entries)
            .await?;

        tx.commit().await?;
        // Logged after the commit, since a batch that is rolled back is tried again.
        for (record, reason) in &sorted.dead {
            tracing::error!(
                projection = P::NAME,
                sequence = record.sequence,
                subject = record.subject,
                reason,
                "set event {} aside as dead: {reason}",
                record.sequence
            );
        }

        Ok((effect, sorted.dead.len()))
    }

    async fn wait(&self, standing_by: bool) {
        if standing_by {
            tracing::info!(
                projection = P::NAME,
                "another worker is active, standing by"
            );

            self.stand_by().await;
        } else {
            // With jitter, so that workers of several processes do not return together.
            sleep(random::jitter(RETRY, 0.2)).await;
        }
    }

    /// Returns once the active worker seems to make no progress any more.
    async fn stand_by(&self) {
        let mut seen = (0, Instant::now());
        loop {
            sleep(STANDBY_LOOK).await;

            let (Ok(checkpoint), Ok(head)) = (
                Checkpoint::read(&self.db, P::NAME).await,
                self.log.head().await,
            ) else {
                // Without an answer nobody can tell whether the active worker moves, so the time
                // starts over.
                seen.1 = Instant::now();
                continue;
            };

            if checkpoint.position != seen.0 || checkpoint.position >= head {
                seen = (checkpoint.position, Instant::now());
            } else if seen.1.elapsed() >= STANDBY_PATIENCE {
                return;
            }
        }
    }
}
