//! A reader of the log that keeps tables: follows the tail, applies batches, and moves its
//! checkpoint in the same transaction.
//!
//! The first statement of that transaction moves the checkpoint from where this worker read it. If
//! no row changes, another worker was faster and the whole batch is dropped. This compare-and-set
//! is the only fence: there is no lock, no leader and no acknowledgement. What an event does to
//! tables is up to the [`Projection`]; [`sort`] decides which events can be applied at all.

mod dead_events;
mod sort;
mod stuck;

pub use crate::checkpoint::Checkpoint;
pub use dead_events::DEAD_EVENTS;
pub use sort::Entry;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::checkpoint;
use crate::contract::Subject;
use crate::db::{Db, Tx};
use crate::event_log::{EventLog, Record, Tail};
use crate::health::Part;
use crate::position::{Epoch, Sequence};
use crate::telemetry::{Counter, Gauge, Metrics};
use crate::{Error, random};
use stuck::{Pace, Skipped};

/// Largest number of events in one transaction. What arrives while one runs is the next batch, so a
/// busy log is read in large batches and a quiet one without delay.
const BATCH: usize = 1_000;
/// Total of the bodies, in bytes, beyond which no more events are read ahead of a transaction.
const READ_AHEAD_BYTES: usize = 8 << 20;
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
    stuck: Gauge,
}

/// State that one pass over the log leaves to the next.
struct Passes {
    pace: Pace,
    /// Set while the event behind the checkpoint cannot be applied: having found the log again does
    /// not make the worker ready.
    held_back: bool,
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

        let gauge = |name, help| {
            metrics
                .gauge_family::<[(&'static str, &'static str); 1]>(name, help)
                .get_or_create_owned(&label)
        };

        Self {
            projection,
            log,
            db,
            health,
            applied: counter("projection_events", "Events applied to tables"),
            dead: counter("projection_dead_events", "Events set aside as dead"),
            position: gauge("projection_position", "Log sequence of the tables"),
            stuck: gauge(
                "projection_stuck_event",
                "Log sequence of the event that cannot be applied, 0 if there is none",
            ),
        }
    }

    /// Runs until `stop` is cancelled.
    ///
    /// # Errors
    /// [`Error::Broken`] if the tables cannot be read. An event that cannot be applied does not end
    /// the worker: it waits for an operator's decision, and for a newer version.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut passes = Passes {
            pace: Pace::full(),
            held_back: false,
        };
        loop {
            let ended = tokio::select! {
                // Dropping `follow` in the middle of a batch is safe: its transaction rolls back.
                () = stop.cancelled() => return Ok(()),
                ended = self.follow(&mut passes) => ended,
            };

            let standing_by = match ended {
                Ok(never) => match never {},
                // Another worker moved the checkpoint. It is the active one, and this one stands
                // by.
                Err(Error::Conflict { .. }) => true,
                Err(error @ Error::Blocked { what, .. }) => {
                    passes.held_back = what == P::NAME;
                    self.health.down(&error);
                    false
                }
                Err(error @ (Error::Unavailable { .. } | Error::Unknown { .. })) => {
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

    /// Follows the log from the checkpoint on, until an error.
    async fn follow(&self, passes: &mut Passes) -> Result<std::convert::Infallible, Error> {
        let (mut checkpoint, mut tail) = self.open().await?;
        let skipped = Skipped::read(&self.log).await?;
        if !passes.held_back {
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
                skipped.mark(&mut records);
            }

            let rest = records.split_off(stuck::batch_end(&records, &passes.pace));
            let (applied, ahead) = self
                .apply_while_reading(checkpoint, &records, &rest, &mut tail)
                .await;
            checkpoint = applied.map_err(|error| self.failed(passes, checkpoint, error))?;

            passes.pace.succeeded();
            self.stuck.set(0);
            if std::mem::take(&mut passes.held_back) {
                self.health.up();
            }

            let mut ahead = ahead?;
            skipped.mark(&mut ahead);
            records = rest;
            records.extend(ahead);
        }
    }

    /// Notes that a batch behind `checkpoint` could not be applied, and returns what that means.
    fn failed(&self, passes: &mut Passes, checkpoint: Checkpoint, error: Error) -> Error {
        let single = passes.pace.is_single();
        let next = checkpoint.position + 1;

        match error {
            Error::Conflict { .. } => error,
            Error::Blocked { .. } => {
                self.stuck.set(next as i64);
                error
            }
            Error::Broken { why, .. } if single => {
                self.stuck.set(next as i64);
                Error::blocked(
                    P::NAME,
                    format!(
                        "event {next} cannot be applied: {why}; see `dealwire dead-events show \
                         {next}`, or skip it"
                    ),
                )
            }
            // The bad event is somewhere in the batch, or the batch is too large.
            Error::Unavailable { what, why }
            | Error::Unknown { what, why }
            | Error::Broken { what, why } => {
                passes.pace.failed();
                Error::Unavailable { what, why }
            }
        }
    }

    /// Applies a batch while the next one is read and decoded; `rest` waits already. Returns the new
    /// checkpoint, and what has been read by then.
    async fn apply_while_reading(
        &self,
        from: Checkpoint,
        records: &[Record],
        rest: &[Record],
        tail: &mut Tail,
    ) -> (Result<Checkpoint, Error>, Result<Vec<Record>, Error>) {
        let mut applying = std::pin::pin!(self.apply(from, records));
        let mut ahead = Vec::new();
        let mut room = BATCH - rest.len();
        let mut bytes: usize = rest.iter().map(Record::size).sum();

        loop {
            tokio::select! {
                // A finished batch comes first, so that the next one starts as soon as it can.
                biased;
                applied = &mut applying => return (applied, Ok(ahead)),
                more = tail.batch(room), if room > 0 && bytes < READ_AHEAD_BYTES => match more {
                    Ok(more) => {
                        room -= more.len();
                        bytes += more.iter().map(Record::size).sum::<usize>();
                        ahead.extend(more);
                    }
                    // The transaction may be in the middle of its commit, whose outcome decides
                    // where the next tail begins.
                    Err(error) => return (applying.await, Err(error)),
                },
            }
        }
    }

    /// Returns the checkpoint and a tail from there, after checking that the tables were built from
    /// this log.
    pub async fn open(&self) -> Result<(Checkpoint, Tail), Error> {
        let mut checkpoint = Checkpoint::read(&self.db, P::NAME).await?;
        if checkpoint.is_new() {
            // Whether new tables may be built from this log depends on the other tables too.
            let epoch = self.log.prepare().await?;
            checkpoint = Checkpoint::adopt(&self.db, P::NAME, epoch).await?;
        }

        self.log.check_tables(P::NAME, checkpoint).await?;
        self.position.set(checkpoint.position as i64);
        Ok((checkpoint, self.log.tail(checkpoint.position).await?))
    }

    /// Applies the next batch and returns the new checkpoint.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another worker advanced first.
    pub async fn run_once(&self, from: Checkpoint, tail: &mut Tail) -> Result<Checkpoint, Error> {
        self.run_up_to(from, tail, Sequence::MAX).await
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
        let mut records = tail.batch(room as usize).await?;

        // An operator may have decided since the last batch.
        Skipped::read(&self.log).await?.mark(&mut records);
        self.apply(from, &records).await
    }

    async fn apply(&self, from: Checkpoint, records: &[Record]) -> Result<Checkpoint, Error> {
        // Before the transaction: it would be rolled back anyway.
        if let Some((index, why)) = stuck::first_newer(records) {
            return Err(Error::blocked(
                P::NAME,
                format!(
                    "event {} waits for a newer version of dealwire, or for a decision to skip it: \
                     {why}",
                    records[index].sequence
                ),
            ));
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
