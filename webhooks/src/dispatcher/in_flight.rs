//! Work that a dispatcher has in flight: calls under way, outcomes waiting to be recorded, and the
//! leases on both. Decides what to start next, and takes the results of what has finished.

use std::collections::HashMap;

use backbone::Error;
use backbone::health::Part;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::live_bus::BusEvent;
use buyer_core::notification;
use tokio::time::Instant;
use uuid::Uuid;

use super::call::CallContext;
use super::jobs::{Finished, Jobs};
use super::limiter::Limiter;
use super::limits::Limits;
use crate::claim::{Claim, ClaimRequest, LEASE};
use crate::outcome::CompletedCall;
use crate::record::RecordSummary;

/// State of a running dispatcher.
pub(super) struct InFlight<'a> {
    context: &'a CallContext,
    limits: Limits,
    /// Health to report to; `None` in a dispatcher of one round, which returns every error.
    health: Option<Part>,
    jobs: Jobs<'a>,
    limiter: Limiter,
    /// Set when the tables are to be queried for endpoints with something due.
    poll_pending: bool,
    /// Lease of each delivery whose call is under way or not recorded yet.
    leases: HashMap<DeliveryId, Uuid>,
    /// Number of calls under way.
    calls: usize,
    /// Calls waiting to be recorded, in the order in which they ended.
    completed: Vec<CompletedCall>,
    /// Number of outcomes recorded so far.
    recorded: usize,
    closing: bool,
}

impl<'a> InFlight<'a> {
    /// Creates the state of a dispatcher that runs until it is closed.
    pub(super) fn new(context: &'a CallContext, limits: Limits, health: Part) -> Self {
        Self::open(context, limits, Some(health))
    }

    /// Creates the state of a dispatcher that closes itself after its first claim.
    pub(super) fn for_one_round(context: &'a CallContext, limits: Limits) -> Self {
        Self::open(context, limits, None)
    }

    fn open(context: &'a CallContext, limits: Limits, health: Option<Part>) -> Self {
        Self {
            context,
            limits,
            health,
            jobs: Jobs::new(context),
            limiter: Limiter::new(limits, Instant::now()),
            poll_pending: true,
            leases: HashMap::new(),
            calls: 0,
            completed: Vec::new(),
            recorded: 0,
            closing: false,
        }
    }

    /// Starts whatever can start. Returns `false` once the dispatcher is closed and nothing is
    /// left.
    pub(super) fn start_work(&mut self) -> bool {
        // Recording comes first and goes on while closing: an outcome that is lost means a second
        // call for the same delivery.
        if !self.jobs.is_recording() && !self.completed.is_empty() {
            self.start_recording();
        }

        if !self.closing {
            self.start_finding_due();
            self.start_claiming();
        }

        self.context.metrics.in_flight(self.calls);
        !self.closing || !self.jobs.is_empty()
    }

    /// Waits for the next job to finish; for ever while there is none.
    pub(super) async fn next(&mut self) -> Finished {
        self.jobs.next().await
    }

    /// Takes the result of a job.
    ///
    /// # Errors
    /// Errors that waiting does not cure; in a dispatcher of one round, every error.
    pub(super) fn complete(&mut self, finished: Finished) -> Result<(), Error> {
        match finished {
            Finished::FindDue(result) => self.on_due_found(result),
            Finished::Claim {
                requests,
                requested_at,
                result,
            } => self.on_claimed(requests, requested_at, result),
            Finished::Call {
                delivery,
                webhook,
                completed,
            } => {
                self.on_called(delivery, webhook, completed);
                Ok(())
            }
            Finished::Record { calls, result } => self.on_recorded(calls, result),
            Finished::RecordPause => Ok(()),
            Finished::Renew(result) | Finished::Release(result) => {
                self.unless_unavailable(result).map(|_| ())
            }
        }
    }

    /// Stops claiming. Calls under way go on and are recorded.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Returns the number of outcomes recorded so far.
    pub(super) fn recorded(&self) -> usize {
        self.recorded
    }

    /// Requests a query of the tables for endpoints with something due.
    pub(super) fn poll(&mut self) {
        self.poll_pending = true;
    }

    /// Marks the endpoints that a notification names as due, or requests a query of the tables.
    pub(super) fn on_bus_event(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match notification::webhooks_of(&message) {
                // A notification without names stands for more endpoints than fit into one.
                Some(webhooks) if webhooks.is_empty() => self.poll(),
                Some(webhooks) => {
                    for webhook in webhooks {
                        self.limiter.mark_due(webhook);
                    }
                }
                None => {}
            },
            // Notifications may have been missed: only the tables know what is due.
            BusEvent::Gap | BusEvent::Subscribed => self.poll(),
            BusEvent::Disconnected => {}
        }
    }

    /// Renews the leases on everything in flight.
    pub(super) fn renew(&mut self) {
        // A copy of the leases as they are now. Calls that end while it is under way are recorded
        // under their lease all the same, and the renewal passes over their rows.
        if !self.jobs.is_renewing() && !self.leases.is_empty() {
            self.jobs.renew(self.leases.clone());
        }
    }

    fn start_finding_due(&mut self) {
        if self.poll_pending && !self.jobs.is_finding_due() {
            // Cleared at the start, not at the end: what comes to be due while the query runs may
            // not be in its snapshot and needs another one.
            self.poll_pending = false;
            self.jobs.find_due();
        }
    }

    fn start_claiming(&mut self) {
        if self.jobs.is_claiming() || !self.limiter.has_due() {
            return;
        }

        // Calls that have ended but are not recorded count as well, up to twice the limit:
        // otherwise, while the database is slow, outcomes would pile up in memory without bound.
        let unrecorded_room = (2 * self.limits.in_flight).saturating_sub(self.leases.len());
        let call_room = self.limits.in_flight.saturating_sub(self.calls);
        let room = call_room.min(unrecorded_room);

        let now = Instant::now();
        let requests = self.limiter.claim_requests(room, now);
        if !requests.is_empty() {
            self.jobs.claim(requests, self.limits.per_endpoint, now);
        }
    }

    fn start_recording(&mut self) {
        let mut calls = std::mem::take(&mut self.completed);

        // A call that outlasted its lease may have been claimed again by this same dispatcher. Its
        // outcome is recorded under the lease that holds now.
        for call in &mut calls {
            if let Some(lease) = self.leases.get(&call.delivery) {
                call.lease = *lease;
            }
        }

        self.jobs.record(calls);
    }

    fn on_due_found(&mut self, result: Result<Vec<WebhookId>, Error>) -> Result<(), Error> {
        for webhook in self.unless_unavailable(result)?.unwrap_or_default() {
            self.limiter.mark_due(webhook);
        }

        // With nothing due there is no claim, and so nothing else that would end the round.
        let is_one_round = self.health.is_none();
        self.closing |= is_one_round && !self.limiter.has_due();
        Ok(())
    }

    fn on_claimed(
        &mut self,
        requests: Vec<ClaimRequest>,
        requested_at: Instant,
        result: Result<Claim, Error>,
    ) -> Result<(), Error> {
        match self.unless_unavailable(result)? {
            // Told to stop while the claim was on its way. Given back, the deliveries go to another
            // dispatcher at once instead of when the lease has run out.
            Some(claim) if self.closing => self.jobs.release(claim),
            Some(claim) => self.start_calls(requests, requested_at, claim),
            // The endpoints are not marked as due again: the next poll finds them.
            None => {}
        }

        // A round is one claim. Its calls go on and are recorded while closing.
        let is_one_round = self.health.is_none();
        self.closing |= is_one_round;
        Ok(())
    }

    fn start_calls(&mut self, requests: Vec<ClaimRequest>, requested_at: Instant, claim: Claim) {
        // Counted from the request, not from the answer: the database counts from some time between
        // the two, so this end is never later than the true one.
        let leased_until = requested_at + LEASE;
        let mut claimed_of: HashMap<WebhookId, ClaimedOfEndpoint> = HashMap::new();

        for claimed in claim.deliveries {
            let of_endpoint = claimed_of.entry(claimed.webhook_id).or_default();
            of_endpoint.deliveries += 1;
            of_endpoint.room = claimed.room.unsigned_abs();

            // Still in flight here under a lease that ran out: the call goes on under the new one,
            // and a second call would reach the receiver twice.
            if self.leases.insert(claimed.id, claim.lease).is_some() {
                continue;
            }
            of_endpoint.calls += 1;
            self.calls += 1;
            self.jobs.call(claimed, claim.lease, leased_until);
        }

        for ClaimRequest { webhook, .. } in requests {
            let of_endpoint = claimed_of.remove(&webhook).unwrap_or_default();
            self.limiter
                .claimed(webhook, of_endpoint.calls, of_endpoint.may_have_more());
        }
    }

    fn on_called(
        &mut self,
        delivery: DeliveryId,
        webhook: WebhookId,
        completed: Option<CompletedCall>,
    ) {
        self.calls -= 1;

        match completed {
            Some(call) => {
                // A failed call keeps its place in the limiter until it is recorded. The failure
                // may open the breaker or lower the endpoint's concurrency, and until that is in
                // the tables another claim would call an endpoint that should be left alone.
                if call.outcome.error.is_none() {
                    self.limiter.finished(webhook);
                }
                self.completed.push(call);
            }
            None => {
                // Dropped from the leases so that they are not renewed: the delivery is due again
                // when its lease has run out.
                self.leases.remove(&delivery);
                self.limiter.finished(webhook);
            }
        }
    }

    fn on_recorded(
        &mut self,
        mut calls: Vec<CompletedCall>,
        result: Result<RecordSummary, Error>,
    ) -> Result<(), Error> {
        match self.unless_unavailable(result)? {
            Some(summary) => self.settle(calls, summary),
            None => {
                // Put back in front of what has ended since: outcomes of one endpoint are settled
                // in the order in which its calls ended.
                calls.append(&mut self.completed);
                self.completed = calls;
                self.jobs.pause_recording();
            }
        }

        Ok(())
    }

    fn settle(&mut self, calls: Vec<CompletedCall>, summary: RecordSummary) {
        for call in calls {
            self.leases.remove(&call.delivery);
            if call.outcome.error.is_some() {
                self.limiter.finished(call.webhook);
            }
        }

        self.context.metrics.recorded(&summary);
        self.recorded += summary.recorded();

        for webhook in summary.due {
            self.limiter.mark_due(webhook);
        }
    }

    /// Reports the database's health. Returns `None` while it is unavailable.
    fn unless_unavailable<T>(&self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match (result, &self.health) {
            (Ok(value), Some(health)) => {
                health.up();
                Ok(Some(value))
            }
            (Ok(value), None) => Ok(Some(value)),
            (Err(error @ Error::Unavailable { .. }), Some(health)) => {
                health.away(&error);
                Ok(None)
            }
            (Err(error), Some(health)) => {
                health.down(&error);
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// Part of a claim that came from one endpoint.
#[derive(Default)]
struct ClaimedOfEndpoint {
    deliveries: u32,
    /// Deliveries that start a call.
    calls: u32,
    /// Number of deliveries that the claim could have taken.
    room: u32,
}

impl ClaimedOfEndpoint {
    /// Returns whether the endpoint may have more due: the claim took as many as it could.
    fn may_have_more(&self) -> bool {
        self.deliveries > 0 && self.deliveries >= self.room
    }
}

#[cfg(test)]
mod tests;
