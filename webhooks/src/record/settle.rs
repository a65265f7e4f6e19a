//! Settlement: what the outcomes of one recording make of deliveries and endpoints. The module is
//! pure; it takes the outcomes one after the other, in the order in which the calls ended.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::counts::CountDeltas;
use backbone::ids::{DealId, DeliveryId, WebhookId};
use backbone::time::Timestamp;

use super::rows::{AttemptRow, DeliveryUpdate, EndpointHealth, LeasedDelivery};
use super::summary::RecordSummary;
use crate::DeliveryState;
use crate::outcome::CompletedCall;
use crate::retry_policy::{BREAKER, DeliveryDecision, EndpointDecision, FailureHistory, evaluate};

/// Everything that one recording writes.
#[derive(Debug, Default)]
pub(super) struct Settlement<'a> {
    pub(super) deliveries: Vec<DeliveryUpdate>,
    pub(super) attempts: Vec<AttemptRow<'a>>,
    pub(super) deltas: CountDeltas,
    /// Endpoints whose health changed.
    pub(super) endpoints: BTreeMap<WebhookId, EndpointHealth>,
    /// Lanes whose next delivery becomes due, because the one before it is finished.
    pub(super) lanes: Vec<(WebhookId, DealId)>,
    pub(super) summary: RecordSummary,
}

/// Settles the calls whose deliveries are still leased; the others count as lost.
pub(super) fn settle(
    leased: Vec<LeasedDelivery>,
    calls: &[CompletedCall],
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Settlement<'_> {
    let before: BTreeMap<WebhookId, EndpointHealth> = leased
        .iter()
        .map(|delivery| (delivery.webhook_id, delivery.endpoint))
        .collect();
    let mut endpoints = before.clone();
    let mut leased: HashMap<DeliveryId, LeasedDelivery> = leased
        .into_iter()
        .map(|delivery| (delivery.id, delivery))
        .collect();

    let mut settlement = Settlement::default();
    for call in calls {
        let Some(delivery) = leased.remove(&call.delivery) else {
            settlement.summary.lost += 1;
            continue;
        };

        // Outcomes of one endpoint build on each other: ten failures in one batch open the breaker.
        let endpoint = endpoints
            .get_mut(&delivery.webhook_id)
            .expect("every leased delivery was read together with its endpoint");

        settlement.settle_call(call, &delivery, endpoint, now, &jitter);
    }

    // Endpoints that did not change are not written: under load most of them are healthy
    // throughout, and each write would be a new version of the row.
    endpoints.retain(|webhook, health| before[webhook] != *health);
    settlement.endpoints = endpoints;
    settlement
}

impl<'a> Settlement<'a> {
    fn settle_call(
        &mut self,
        call: &'a CompletedCall,
        delivery: &LeasedDelivery,
        endpoint: &mut EndpointHealth,
        now: Timestamp,
        jitter: impl Fn(Duration) -> Duration,
    ) {
        let history = FailureHistory {
            tries: delivery.tries.unsigned_abs(),
            failures: endpoint.failures.unsigned_abs(),
            failing_since: endpoint.failing_since,
        };
        let decision = evaluate(&call.outcome, &history, now, jitter);

        // Deliveries that waited for the probe are due already, but no notification will say so.
        if endpoint.apply(decision.endpoint, now) {
            self.summary.due.insert(delivery.webhook_id);
        }

        // A postponed call is not shown as an attempt: its owner could do nothing about it.
        if !matches!(decision.delivery, DeliveryDecision::Postponed(_)) {
            self.attempts.push(AttemptRow {
                delivery: call.delivery,
                number: delivery.attempts + 1,
                at: call.at,
                outcome: &call.outcome,
            });
        }

        self.update_delivery(delivery, decision.delivery);
    }

    fn update_delivery(&mut self, delivery: &LeasedDelivery, decision: DeliveryDecision) {
        let update = delivery.updated(decision);
        let state = update.state;
        self.deliveries.push(update);
        self.summary.count(decision);

        if state != DeliveryState::Pending {
            self.deltas
                .transfer(delivery.webhook_id, DeliveryState::Pending, state, 1);

            // Replays and tests stand outside the order of a deal, so nothing waits behind them.
            let lane = delivery.deal_id.filter(|_| !delivery.replay);
            self.lanes
                .extend(lane.map(|deal| (delivery.webhook_id, deal)));
        }
    }
}

impl LeasedDelivery {
    fn updated(&self, decision: DeliveryDecision) -> DeliveryUpdate {
        let unchanged = DeliveryUpdate {
            id: self.id,
            state: DeliveryState::Pending,
            tries: self.tries,
            attempts: self.attempts,
            due_at: None,
        };

        match decision {
            DeliveryDecision::Delivered => DeliveryUpdate {
                state: DeliveryState::Delivered,
                attempts: self.attempts + 1,
                ..unchanged
            },
            DeliveryDecision::Retry(at) => DeliveryUpdate {
                tries: self.tries + 1,
                attempts: self.attempts + 1,
                due_at: Some(at),
                ..unchanged
            },
            DeliveryDecision::Dead => DeliveryUpdate {
                state: DeliveryState::Dead,
                tries: self.tries + 1,
                attempts: self.attempts + 1,
                ..unchanged
            },
            DeliveryDecision::Postponed(at) => DeliveryUpdate {
                due_at: Some(at),
                ..unchanged
            },
        }
    }
}

impl EndpointHealth {
    /// Applies a decision. Returns whether the endpoint's breaker closed, so that everything that
    /// waited for it may be sent.
    fn apply(&mut self, decision: EndpointDecision, now: Timestamp) -> bool {
        match decision {
            EndpointDecision::Unchanged => false,
            EndpointDecision::Healthy => {
                let was_open = self.failures.unsigned_abs() >= BREAKER;
                // The hold of the breaker ends. A hold that the receiver asked for does not: this
                // call may have been under way when the receiver asked.
                if was_open {
                    self.held_until = None;
                }
                self.failures = 0;
                self.failing_since = None;
                was_open
            }
            EndpointDecision::Failing { held_until } => {
                self.failures = self.failures.saturating_add(1);
                self.failing_since = self.failing_since.or(Some(now));
                // A hold is only ever extended: a later failure that asks for less must not cut
                // short the time that an earlier one asked for.
                self.held_until = self.held_until.max(held_until);
                false
            }
            EndpointDecision::Disabled { reason } => {
                // The failures stay as they were: resuming the endpoint resets them.
                self.disabled = Some(reason);
                false
            }
        }
    }
}

impl RecordSummary {
    fn count(&mut self, decision: DeliveryDecision) {
        let counter = match decision {
            DeliveryDecision::Delivered => &mut self.delivered,
            DeliveryDecision::Retry(_) => &mut self.retried,
            DeliveryDecision::Dead => &mut self.dead,
            DeliveryDecision::Postponed(_) => &mut self.postponed,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests;
