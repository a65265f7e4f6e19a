//! Fan-out: a reader of the feed that gives every endpoint its deliveries.
//!
//! It has a place of its own in the log and works in bounded steps, so that neither the number of
//! endpoints nor a lock on a customer's deliveries can slow the projection or pushes. A step is one
//! transaction that begins by moving the place from where it was read: any number of processes may
//! run the fan-out, and one advances. Changes are read, matched and rendered before.

mod metrics;
mod plan;
mod recipients;

use std::collections::BTreeSet;
use std::time::Duration;

use backbone::Error;
use backbone::health::Part;
use backbone::ids::WebhookId;
use backbone::live_bus::{BusEvent, BusReceiver};
use backbone::position::Sequence;
use backbone::projection::Checkpoint;
use backbone::telemetry::Metrics;
use buyer_core::notification;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::body::Renderer;
use crate::checkpoint::{self, FanoutCheckpoint};
use crate::insert;
use crate::service::Webhooks;
use metrics::FanoutMetrics;
pub use plan::StepLimits;
use plan::{Plan, Step};

/// Time after which the tables are read although the live bus announced nothing.
const POLL: Duration = Duration::from_secs(1);

/// Worker that inserts the deliveries of changes.
pub struct Fanout {
    webhooks: Webhooks,
    renderer: Renderer,
    limits: StepLimits,
    metrics: FanoutMetrics,
    /// Rest of the changes that were read.
    plan: Option<Plan>,
    /// Sequence up to which every change had its deliveries, as far as was last seen.
    reached: Sequence,
}

impl Fanout {
    /// Creates a fan-out for the endpoints of `webhooks`, whose bodies `renderer` writes.
    pub fn new(webhooks: Webhooks, renderer: Renderer, metrics: &Metrics) -> Self {
        Self::with_limits(webhooks, renderer, StepLimits::default(), metrics)
    }

    /// Creates a fan-out as [`Fanout::new`] does, with other bounds on its steps.
    pub fn with_limits(
        webhooks: Webhooks,
        renderer: Renderer,
        limits: StepLimits,
        metrics: &Metrics,
    ) -> Self {
        Self {
            webhooks,
            renderer,
            limits,
            metrics: FanoutMetrics::new(metrics),
            plan: None,
            reached: 0,
        }
    }

    /// Follows the projection until told to stop.
    ///
    /// # Errors
    /// [`Error::Broken`]: the tables are not as they must be. An unavailable database does not end
    /// the run: it shows in `health`.
    pub async fn run(
        mut self,
        mut bus: BusReceiver,
        health: Part,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        loop {
            // Dropping a step in its middle is safe: its transaction rolls back.
            let stepped = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                stepped = self.step() => stepped,
            };

            let follows_bus = match stepped {
                Ok(Some(_)) => {
                    health.up();
                    continue;
                }
                Ok(None) => {
                    health.up();
                    true
                }
                // Another process advances. Not woken by the bus, this one reads once a second and
                // is there when the other is not.
                Err(Error::Conflict { .. }) => {
                    health.up();
                    false
                }
                Err(error @ (Error::Unavailable { .. } | Error::Unknown { .. })) => {
                    health.away(&error);
                    false
                }
                Err(error @ Error::Blocked { .. }) => {
                    health.down(&error);
                    false
                }
                Err(error @ Error::Broken { .. }) => {
                    health.down(&error);
                    return Err(error);
                }
            };

            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.wait(&mut bus, follows_bus) => {}
            }
        }
    }

    /// Waits until the tables may have more, or until the next poll.
    async fn wait(&self, bus: &mut BusReceiver, follows_bus: bool) {
        let poll = Instant::now() + POLL;

        loop {
            tokio::select! {
                () = sleep_until(poll) => return,
                event = bus.next() => {
                    if follows_bus && announces_more(&event, self.reached) {
                        return;
                    }
                }
            }
        }
    }

    /// Inserts the deliveries of all changes that are projected. Returns their number.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process advances; [`Error::Unavailable`].
    pub async fn run_to_end(&mut self) -> Result<usize, Error> {
        let mut inserted = 0;
        while let Some(count) = self.step().await? {
            inserted += count;
        }

        Ok(inserted)
    }

    /// Runs one step. Returns the number of deliveries inserted, or `None` if every change that is
    /// projected had its deliveries.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process was faster; [`Error::Unavailable`]. The next call
    /// reads anew where the fan-out is.
    pub async fn step(&mut self) -> Result<Option<usize>, Error> {
        // Taken out, so that a step that fails leaves no plan behind: whether its transaction was
        // committed is known only from the tables.
        let plan = match self.plan.take() {
            Some(plan) => Some(plan),
            None => self.read_plan().await?,
        };
        let Some(plan) = plan else {
            return Ok(None);
        };

        let step = plan.next_step(&self.renderer, self.webhooks.clock.now());
        let inserted = self.commit(&step).await?;

        self.reached(step.to, plan.projection);
        self.metrics.stepped(inserted.len());
        if let Some(missed) = plan.missed {
            self.report_missed(missed);
        }

        let webhooks: BTreeSet<WebhookId> = inserted.iter().copied().collect();
        let webhooks: Vec<WebhookId> = webhooks.into_iter().collect();
        if !webhooks.is_empty() {
            self.webhooks
                .wake_dispatchers(plan.projection, &webhooks)
                .await;
        }

        self.plan = plan.after(&step);
        Ok(Some(inserted.len()))
    }

    /// Reads the changes after the place of the fan-out; `None` if it is where the projection is.
    async fn read_plan(&mut self) -> Result<Option<Plan>, Error> {
        let mut at = checkpoint::read(&self.webhooks.db).await?;
        let projection = self.webhooks.buyers.checkpoint().await?;

        if projection.epoch != at.epoch && projection.epoch.0 != 0 {
            at = self.adopt(at, projection).await?;
        }
        self.reached(at, projection);
        if self.reached >= projection.position {
            return Ok(None);
        }

        Plan::read(&self.webhooks, self.limits, at, projection)
            .await
            .map(Some)
    }

    /// Goes over to another log: that of a market that has just begun, or one that was reopened
    /// after it had lost its end.
    async fn adopt(
        &self,
        at: FanoutCheckpoint,
        projection: Checkpoint,
    ) -> Result<FanoutCheckpoint, Error> {
        let sequence = at.sequence.min(projection.position);
        if at.epoch.0 != 0 {
            tracing::warn!(
                from = at.epoch.0,
                to = projection.epoch.0,
                sequence,
                "the log was reopened: webhooks go on after sequence {sequence}"
            );
        }

        checkpoint::adopt(&self.webhooks.db, at.epoch, projection.epoch, sequence).await?;
        checkpoint::read(&self.webhooks.db).await
    }

    /// Runs the transaction of a step. Returns the endpoint of each delivery inserted.
    async fn commit(&self, step: &Step) -> Result<Vec<WebhookId>, Error> {
        let mut tx = self.webhooks.db.begin_by_index().await?;
        // First of all: the row lock makes a competing process wait, and the conflict ends it early.
        checkpoint::advance(&mut tx, step.from, step.to).await?;

        let inserted = insert::insert(
            &mut tx,
            step.from.epoch,
            self.webhooks.clock.now(),
            &step.messages,
            &step.deliveries,
        )
        .await?;

        tx.commit().await?;
        Ok(inserted)
    }

    fn reached(&mut self, at: FanoutCheckpoint, projection: Checkpoint) {
        self.reached = at.complete_up_to();
        self.metrics.reached(self.reached, projection.position);
    }

    fn report_missed(&self, (after, up_to): (Sequence, Sequence)) {
        self.metrics.missed(up_to - after);
        tracing::error!(
            after,
            up_to,
            "webhooks miss the changes after sequence {after} up to {up_to}: the feed dropped them \
             before the fan-out read them, as --feed-max-days allows"
        );
    }
}

/// Returns whether an event of the bus says, or does not rule out, that the tables are ahead.
fn announces_more(event: &BusEvent, at: Sequence) -> bool {
    match event {
        BusEvent::Message(message) => notification::reached(message).is_some_and(|last| last > at),
        BusEvent::Gap | BusEvent::Subscribed => true,
        BusEvent::Disconnected => false,
    }
}
