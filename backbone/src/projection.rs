//! A reader of the log that keeps tables: follows the tail, applies batches, keeps its place in the same
//! transaction.
//!
//! The first statement of that transaction moves the place from where this worker read it; no row moved means that
//! another worker was faster, so the whole batch is dropped. That compare-and-set is the only fence: no lock, no
//! leader, no acknowledgement. What an event does to tables is the slice's ([`Projection`]); which events can be
//! applied at all is decided in [`sort`].

mod checkpoint;
mod sort;

pub use checkpoint::Checkpoint;
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
use crate::position::Epoch;
use crate::telemetry::{Counter, Gauge, Metrics};
use crate::{Error, random};

/// The most events of one transaction. What has come in while one runs makes the next, so a busy log is read in
/// large batches and a quiet one without delay.
const BATCH: usize = 1_000;
/// How often a standby looks whether the active worker moves.
const STANDBY_LOOK: Duration = Duration::from_millis(250);
/// A place that has stood this long behind the head is nobody's any more.
const STANDBY_PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(500);

/// What one slice does with events.
pub trait Projection: Send + Sync + 'static {
    /// What is left to do when a batch is committed.
    type Effect: Send;

    /// The row of table `projection`, and the name in logs and metrics.
    const NAME: &'static str;

    /// The revision of each of these subjects in the tables; absent ones have none.
    fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> impl Future<Output = Result<HashMap<Subject, u64>, Error>> + Send;

    /// Writes a batch, in order.
    fn apply(
        &self,
        tx: &mut Tx,
        epoch: Epoch,
        entries: &[Entry<'_>],
    ) -> impl Future<Output = Result<Self::Effect, Error>> + Send;

    /// The batch is committed; readers may be told. Called in order, never twice for one batch, and not at all when
    /// the process dies first.
    fn committed(
        &self,
        from: Checkpoint,
        to: Checkpoint,
        effect: Self::Effect,
    ) -> impl Future<Output = ()> + Send;
}

/// One worker of a projection. Any number may run; one advances.
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
    /// A worker over the tables of `db`.
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

    /// Works until told to stop.
    ///
    /// # Errors
    /// [`Error::Broken`]: the log is not the one these tables were made from, or the tables are not as they must be.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut held_back = false;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = self.follow(&mut held_back) => ended,
            };
            let standing_by = match ended {
                Ok(never) => match never {},
                Err(Error::Conflict { .. }) => true,
                // An event that this binary cannot read: a newer one must come.
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
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.wait(standing_by) => {}
            }
        }
    }

    /// Follows the log from the tables' place on; ends only with an error. `held_back`: the next event is one that
    /// this binary could not read, so to have found the log again is no reason to be ready.
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

    /// Applies a batch while what comes next is read and decoded: whatever has come by then is the next batch.
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
                biased;
                applied = &mut applying => return Ok((applied?, next)),
                more = tail.batch(BATCH - next.len()), if next.len() < BATCH => next.extend(more?),
            }
        }
    }

    /// The tables' place and a tail from there, once the log has proved to be the one that they were made from.
    pub async fn open(&self) -> Result<(Checkpoint, Tail), Error> {
        let epoch = self.log.epoch().await?;
        let checkpoint = Checkpoint::read(&self.db, P::NAME).await?;
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
                "made from epoch {}, the log's is {}",
                checkpoint.epoch.0, epoch.0
            ));
        }
        if checkpoint.position == 0 {
            return Ok(());
        }
        let Some(record) = self.log.get(checkpoint.position).await? else {
            return not_ours(format!(
                "they stand at {}, where the log has nothing",
                checkpoint.position
            ));
        };
        // An event that could not be read has no id to compare.
        match (record.event.map(|event| event.id), checkpoint.event_id) {
            (Ok(found), Some(kept)) if found != kept => not_ours(format!(
                "another event stands at {} than the one they read",
                checkpoint.position
            )),
            _ => Ok(()),
        }
    }

    /// Applies the next batch and returns the new place.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another worker advanced first.
    pub async fn run_once(&self, from: Checkpoint, tail: &mut Tail) -> Result<Checkpoint, Error> {
        let records = tail.batch(BATCH).await?;
        self.apply(from, &records).await
    }

    async fn apply(&self, from: Checkpoint, records: &[Record]) -> Result<Checkpoint, Error> {
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
        self.projection.committed(from, to, effect).await;
        Ok(to)
    }

    /// One transaction: fence, check, apply.
    async fn write(
        &self,
        from: Checkpoint,
        to: Checkpoint,
        records: &[Record],
    ) -> Result<(P::Effect, usize), Error> {
        let mut tx = self.db.begin_by_index().await?;
        checkpoint::advance(&mut tx, P::NAME, from, to).await?;
        let subjects = sort::subjects(records);
        let revisions = self.projection.revisions(&mut tx, &subjects).await?;
        let dead_before = sort::dead_subjects(&mut tx).await?;
        let sorted = sort::sort(records, revisions, dead_before);
        sort::keep_dead(&mut tx, &sorted).await?;
        let effect = self
            .projection
            .apply(&mut tx, to.epoch, &sorted.entries)
            .await?;
        tx.commit().await?;
        for (record, reason) in &sorted.dead {
            tracing::error!(
                projection = P::NAME,
                sequence = record.sequence,
                subject = record.subject,
                reason,
                "event {} is dead: {reason}",
                record.sequence
            );
        }
        Ok((effect, sorted.dead.len()))
    }

    async fn wait(&self, standing_by: bool) {
        if standing_by {
            tracing::info!(projection = P::NAME, "another worker advances; standing by");
            self.stand_by().await;
        } else {
            sleep(random::jitter(RETRY, 0.2)).await;
        }
    }

    /// Returns when nobody seems to advance any more.
    async fn stand_by(&self) {
        let mut seen = (0, Instant::now());
        loop {
            sleep(STANDBY_LOOK).await;
            let (Ok(checkpoint), Ok(head)) = (
                Checkpoint::read(&self.db, P::NAME).await,
                self.log.head().await,
            ) else {
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
