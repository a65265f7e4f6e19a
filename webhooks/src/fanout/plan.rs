//! A plan: changes after the fan-out's place with their recipients, from which its next steps are
//! made.

use std::collections::HashSet;

use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use backbone::position::{Position, Sequence};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, random};
use buyer_core::feed::{ChangeBody, FeedRange, FeedRecord};

use super::recipients::{self, Recipients};
use crate::body::{DealChange, Renderer};
use crate::checkpoint::{self, FanoutCheckpoint};
use crate::insert::{NewDelivery, NewMessage};
use crate::kinds::WebhookEvent;
use crate::service::Webhooks;

/// Bounds on what the fan-out does at once.
#[derive(Clone, Copy, Debug)]
pub struct StepLimits {
    /// Largest number of changes that are read together, at least 1.
    pub changes: u32,
    /// Largest number of deliveries of a step, at least 1.
    pub rows: usize,
    /// Number of bytes of bodies from which a step takes no further change, at least 1.
    pub bytes: usize,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            // They are in memory, each with its deal, and cost the same few reads however many
            // there are.
            changes: 256,
            // The transaction locks the counts of the endpoints, for which dispatchers wait: 2,000
            // rows take some tens of milliseconds.
            rows: 2_000,
            // What one statement can carry without holding up others on the same server.
            bytes: 4 << 20,
        }
    }
}

/// Changes after the fan-out's place, with their recipients.
pub(super) struct Plan {
    limits: StepLimits,
    at: FanoutCheckpoint,
    /// Place of the fan-out when all changes are done.
    end: FanoutCheckpoint,
    /// Checkpoint of the tables that the plan was made from.
    pub(super) projection: Checkpoint,
    records: Vec<FeedRecord>,
    /// Index of the next change.
    next: usize,
    recipients: Recipients,
    /// Range of sequences that the feed dropped before the fan-out read it: after the first, up to
    /// the second.
    pub(super) missed: Option<(Sequence, Sequence)>,
}

/// One transaction of the fan-out.
pub(super) struct Step {
    pub(super) from: FanoutCheckpoint,
    pub(super) to: FanoutCheckpoint,
    pub(super) messages: Vec<NewMessage>,
    pub(super) deliveries: Vec<NewDelivery>,
    /// Index of the change at which the next step begins.
    next: usize,
}

impl Plan {
    /// Reads what comes after `at`. The tables must be ahead of it.
    pub(super) async fn read(
        webhooks: &Webhooks,
        limits: StepLimits,
        at: FanoutCheckpoint,
        projection: Checkpoint,
    ) -> Result<Self, Error> {
        // Before the settings are read: those that change from now on hold for later changes only.
        if at.claimed < projection.position {
            checkpoint::claim(&webhooks.db, projection.position).await?;
        }

        let mut plan = Self {
            limits,
            at,
            end: place(at, projection.position, Position::END),
            projection,
            records: Vec::new(),
            next: 0,
            recipients: Recipients::default(),
            missed: None,
        };
        // Without endpoints there is nothing to read: one step goes to the end.
        let buyers = recipients::buyers(&webhooks.db).await?;
        if buyers.is_empty() {
            return Ok(plan);
        }

        let page = webhooks
            .buyers
            .feed_records(FeedRange {
                after: before_next(at),
                up_to: projection.position,
                limit: limits.changes,
            })
            .await?;
        if let Some(last) = page.records.last().filter(|_| page.more) {
            plan.end = place(at, last.change.sequence, last.change.index);
        }

        // What is left below the horizon may have gaps, so all of it counts as gone.
        let complete = at.complete_up_to();
        plan.missed = (page.horizon > complete).then_some((complete, page.horizon));
        plan.records = page.records;
        plan.records
            .retain(|record| record.change.sequence > page.horizon);

        plan.read_recipients(webhooks, &buyers).await?;
        Ok(plan)
    }

    async fn read_recipients(
        &mut self,
        webhooks: &Webhooks,
        buyers: &[BuyerId],
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else {
            return Ok(());
        };
        let range = (first.change.sequence, last.change.sequence);
        let of_deals = self.records.iter().filter(|record| is_deal(record));
        let sellers: HashSet<SellerId> = of_deals.map(|record| record.change.seller_id).collect();

        self.recipients =
            Recipients::read(&webhooks.db, &webhooks.buyers, &sellers, buyers, range).await?;
        Ok(())
    }

    /// Makes the next step. Ids of deliveries begin with `now`.
    pub(super) fn next_step(&self, renderer: &Renderer, now: Timestamp) -> Step {
        let mut step = Step {
            from: self.at,
            to: self.end,
            messages: Vec::new(),
            deliveries: Vec::new(),
            next: self.records.len(),
        };
        let mut bytes = 0;

        for (index, record) in self.records.iter().enumerate().skip(self.next) {
            let change = &record.change;
            if step.deliveries.len() >= self.limits.rows || bytes >= self.limits.bytes {
                // The change before is complete, and is never the first of the plan.
                let last = &self.records[index - 1].change;
                step.to = place(self.at, last.sequence, last.index);
                step.next = index;
                return step;
            }

            let Some(shown) = self.deal_change(record) else {
                continue;
            };
            // Set for the change of which an earlier step had part of the endpoints.
            let is_begun = change.order() == (self.at.sequence, self.at.index);
            let after = self.at.webhook_id.filter(|_| is_begun);
            let mut owed = self.recipients.of(shown, after);

            let room = self.limits.rows - step.deliveries.len();
            let webhooks: Vec<WebhookId> = owed.by_ref().take(room).collect();
            let Some(last) = webhooks.last().copied() else {
                continue;
            };
            let body = renderer.render(&shown);
            bytes += body.len();
            step.add(&shown, body, &webhooks, now);

            if owed.next().is_some() {
                step.to = FanoutCheckpoint {
                    webhook_id: Some(last),
                    ..place(self.at, change.sequence, change.index)
                };
                step.next = index;
                return step;
            }
        }

        step
    }

    /// Returns the plan after a step that was committed; `None` when it was the last one.
    pub(super) fn after(self, step: &Step) -> Option<Self> {
        (step.to != self.end).then_some(Self {
            at: step.to,
            next: step.next,
            missed: None,
            ..self
        })
    }

    /// Returns the change as renderers see it; `None` if endpoints are not called for its kind.
    fn deal_change<'a>(&self, record: &'a FeedRecord) -> Option<DealChange<'a>> {
        let ChangeBody::Deal {
            created,
            deal,
            changed,
            previous,
        } = &record.change.body
        else {
            return None;
        };

        Some(DealChange {
            event: if *created {
                WebhookEvent::DealCreated
            } else {
                WebhookEvent::DealUpdated
            },
            at: record.at,
            position: record.change.position(self.projection.epoch),
            deal,
            changed,
            previous: previous.as_ref(),
        })
    }
}

impl Step {
    /// Adds a change with a delivery for each endpoint.
    fn add(
        &mut self,
        change: &DealChange<'_>,
        body: Vec<u8>,
        webhooks: &[WebhookId],
        now: Timestamp,
    ) {
        // One microsecond a change makes ids follow the order of the log, in which an endpoint's
        // deliveries are listed.
        let micros = now.as_micros().saturating_add(self.messages.len() as i64);
        let message = random::row_id(micros);

        self.messages.push(NewMessage {
            id: message,
            event: change.event,
            body,
        });
        self.deliveries
            .extend(webhooks.iter().map(|webhook| NewDelivery {
                id: DeliveryId(random::row_id(micros)),
                webhook: *webhook,
                message,
                deal: Some(change.deal.id),
                sequence: change.position.sequence,
                index: change.position.index,
            }));
    }
}

/// Returns the place after a change, all endpoints included.
fn place(of: FanoutCheckpoint, sequence: Sequence, index: u16) -> FanoutCheckpoint {
    FanoutCheckpoint {
        sequence,
        index,
        webhook_id: None,
        ..of
    }
}

/// Returns the order before the next change: a change that was begun is read again.
fn before_next(at: FanoutCheckpoint) -> (Sequence, u16) {
    match (at.webhook_id, at.index.checked_sub(1)) {
        (None, _) => (at.sequence, at.index),
        (Some(_), Some(index)) => (at.sequence, index),
        (Some(_), None) => (at.sequence.saturating_sub(1), Position::END),
    }
}

fn is_deal(record: &FeedRecord) -> bool {
    matches!(record.change.body, ChangeBody::Deal { .. })
}
