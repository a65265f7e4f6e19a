//! Step of a replay: notes what was sent, and opens the next deliveries.

use std::time::Duration;

use backbone::db::{Db, Tx};
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use sqlx::FromRow;

use super::job::{self, Job, ReplayState};
use super::queue::{self, Stage, Tracked};
use super::tracked::{self, Scanned};
use crate::counts::{self, CountDeltas};
use crate::kinds::DeliveryState;
use crate::time::after;

/// Steps a second of a replay.
const STEPS_PER_SECOND: u32 = 4;
/// Largest number of deliveries that one step looks through.
// The step holds the lock on the endpoint's counts, and the dispatcher waits for it.
const SCANNED: usize = 1_000;
/// Largest number of deliveries that a replay selects ahead of what it sends.
const TRACKED: usize = 1_000;

const IS_DUE: &str = include_str!("is_due.sql");
const ENDPOINT: &str = include_str!("endpoint.sql");

#[derive(FromRow)]
struct Endpoint {
    callable: bool,
    live_due: bool,
}

/// Returns whether a step of any replay is due.
pub(crate) async fn is_due(db: &Db, now: Timestamp) -> Result<bool, Error> {
    on_db!(
        db.read(),
        pool => sqlx::query_scalar(IS_DUE).bind(now).fetch_one(pool).await
    )
}

/// Takes one step of one replay, if any is due. Returns its endpoint.
pub(crate) async fn step(db: &Db, now: Timestamp) -> Result<Option<WebhookId>, Error> {
    let mut tx = db.begin_by_index().await?;
    // The row's lock makes this process the only owner for the time of the step.
    let Some(mut job) = job::take(&mut tx, now).await? else {
        return Ok(None);
    };

    counts::lock(&mut tx, &[job.webhook_id]).await?;
    let endpoint: Result<Option<Endpoint>, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_as(ENDPOINT)
            .bind(job.webhook_id)
            .bind(now)
            .fetch_optional(connection)
            .await
    );

    let pace = Pace::of(&job);
    match endpoint? {
        Some(endpoint) => job.go_on(&mut tx, &endpoint, &pace, now).await?,
        // Its pending deliveries are discarded by the deletion.
        None => job.state = ReplayState::Cancelled,
    }

    if job.state != ReplayState::Running {
        tracked::remove_all(&mut tx, job.id).await?;
    }
    job.save(&mut tx, now, after(now, pace.pause)).await?;
    tx.commit().await?;

    Ok(Some(job.webhook_id))
}

/// Number of deliveries of a step, and the time to the next one.
struct Pace {
    deliveries: usize,
    pause: Duration,
}

impl Pace {
    fn of(job: &Job) -> Self {
        let rate = job.rate_per_second.unsigned_abs().max(1);
        let deliveries = rate.div_ceil(STEPS_PER_SECOND);

        Self {
            deliveries: deliveries as usize,
            pause: Duration::from_secs(1) * deliveries / rate,
        }
    }
}

impl Job {
    async fn go_on(
        &mut self,
        tx: &mut Tx,
        endpoint: &Endpoint,
        pace: &Pace,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tracked = tracked::read(tx, self.id).await?;
        let progress = queue::progress(&mut tracked);
        self.sent += progress.newly_sent;
        tracked::remove(tx, self.id, &progress.finished).await?;
        tracked::set_stage(tx, self.id, &progress.sent, Stage::Sent).await?;

        // Live deliveries go first. What was opened and not called yet counts against this step, so
        // that a live delivery never finds more than one step before it.
        let unsent = tracked.iter().filter(|delivery| delivery.is_unsent(now));
        let room = pace.deliveries.saturating_sub(unsent.count());
        if !endpoint.callable || endpoint.live_due || room == 0 {
            return Ok(());
        }

        let mut heads = queue::heads(&tracked, room);
        if heads.len() < room && !self.exhausted {
            self.select_more(tx, &mut tracked).await?;
            heads = queue::heads(&tracked, room);
        }
        self.open(tx, &heads, now).await?;

        // What was sent and is retried keeps its own schedule; the replay does not wait for it.
        let left = tracked.iter().any(|delivery| delivery.stage != Stage::Sent);
        if self.exhausted && !left {
            self.state = ReplayState::Done;
        }
        Ok(())
    }

    /// Looks through further deliveries, and adds those that are selected to `tracked`.
    async fn select_more(&mut self, tx: &mut Tx, tracked: &mut Vec<Tracked>) -> Result<(), Error> {
        // The number of rows bounds both what is read and what is selected.
        let rows = TRACKED.saturating_sub(tracked.len()).min(SCANNED);
        let scanned = tracked::scan(tx, self, rows as i64).await?;
        // A full list of blocked deals is no end.
        self.exhausted = rows > 0 && scanned.len() < rows;

        if let Some(last) = scanned.last() {
            self.at_epoch = last.epoch;
            self.at_sequence = last.sequence;
            self.at_index = last.change_index;
        }

        let selected = scanned.into_iter().filter(|row| row.selected);
        let selected: Vec<Scanned> = selected.collect();
        tracked::add(tx, self.id, &selected).await?;
        tracked.extend(selected.iter().map(|row| Tracked {
            delivery_id: row.delivery_id,
            deal_id: row.deal_id,
            stage: Stage::Waiting,
            pending: false,
            tries: 0,
            leased_until: None,
        }));
        Ok(())
    }

    async fn open(&self, tx: &mut Tx, heads: &[DeliveryId], now: Timestamp) -> Result<(), Error> {
        if heads.is_empty() {
            return Ok(());
        }

        let opened = tracked::open(tx, self, heads, now).await?;
        tracked::set_stage(tx, self.id, &opened, Stage::Opened).await?;

        // Its buyer has replayed it alone, or retention has dropped it.
        let gone = heads.iter().filter(|head| !opened.contains(head));
        let gone: Vec<DeliveryId> = gone.copied().collect();
        tracked::remove(tx, self.id, &gone).await?;

        let mut deltas = CountDeltas::default();
        let count = opened.len() as i64;
        deltas.transfer(
            self.webhook_id,
            self.delivery_state,
            DeliveryState::Pending,
            count,
        );
        deltas.write(tx).await
    }
}
