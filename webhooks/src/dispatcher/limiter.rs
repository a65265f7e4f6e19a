//! Limiter: which endpoints to claim from, and for how many deliveries. The module is pure; the
//! caller hands in the time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use backbone::ids::WebhookId;
use tokio::time::Instant;

use super::limits::Limits;
use crate::claim::ClaimRequest;

/// Divisor of the room that is left: one endpoint gets at most this part of it, so that many
/// endpoints that hang leave something to the others.
const SHARE: usize = 16;
/// Interval at which endpoints about which there is nothing to remember are forgotten.
const FORGET: Duration = Duration::from_secs(1);

/// Endpoints with calls under way, or with something due.
pub(super) struct Limiter {
    limits: Limits,
    endpoints: HashMap<WebhookId, EndpointLoad>,
    /// Endpoints to claim from, in the order in which they were marked as due.
    due: VecDeque<WebhookId>,
    /// The same endpoints, for a quick look-up.
    queued: HashSet<WebhookId>,
    forgot_at: Instant,
}

struct EndpointLoad {
    /// Number of calls under way, and of failed ones that are not recorded yet.
    busy: u32,
    /// Set when the last claim took as many deliveries as it could.
    may_have_more: bool,
    bucket: TokenBucket,
}

/// Token bucket of one endpoint: a token is a call, and the bucket holds at most one second's
/// worth.
struct TokenBucket {
    tokens: f64,
    refilled_at: Instant,
}

impl Limiter {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            endpoints: HashMap::new(),
            due: VecDeque::new(),
            queued: HashSet::new(),
            forgot_at: now,
        }
    }

    /// Marks an endpoint as one that may have something due.
    pub(super) fn mark_due(&mut self, webhook: WebhookId) {
        // Notifications, polls and ends of calls all mark endpoints: one entry each is enough, and
        // it keeps the place in the queue of the first mark.
        if self.queued.insert(webhook) {
            self.due.push_back(webhook);
        }
    }

    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Removes endpoints from the queue and returns a request for each, for `room` deliveries in
    /// all. The next requests may follow only when [`claimed`](Self::claimed) has had the answers.
    pub(super) fn claim_requests(&mut self, mut room: usize, now: Instant) -> Vec<ClaimRequest> {
        self.forget_idle(now);

        let mut requests = Vec::new();
        while room > 0 {
            let Some(webhook) = self.due.pop_front() else {
                break;
            };
            self.queued.remove(&webhook);

            // An endpoint without room of its own is left out, not put back: it is marked again
            // when one of its calls ends, or by the next poll. Put back, it would be tried in every
            // turn.
            if let Some(request) = self.claim_request(webhook, room, now) {
                room -= request.room as usize;
                requests.push(request);
            }
        }
        requests
    }

    /// Notes that a claim started `calls` calls of an endpoint. `may_have_more` means that it took
    /// as many deliveries as it could.
    pub(super) fn claimed(&mut self, webhook: WebhookId, calls: u32, may_have_more: bool) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else {
            return;
        };

        endpoint.busy += calls;
        endpoint.may_have_more = may_have_more;
        // Tokens are spent on what was claimed, not on what was requested: most endpoints have less
        // due than they have room for.
        endpoint.bucket.tokens -= f64::from(calls);

        if may_have_more {
            self.mark_due(webhook);
        }
    }

    /// Notes the end of a call: a successful one when it ends, a failed one when it is recorded.
    pub(super) fn finished(&mut self, webhook: WebhookId) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else {
            return;
        };

        // Every call that ends frees a place, so the end of a call is the moment to claim the next
        // one.
        endpoint.busy = endpoint.busy.saturating_sub(1);
        if endpoint.may_have_more {
            self.mark_due(webhook);
        }
    }

    fn claim_request(
        &mut self,
        webhook: WebhookId,
        room: usize,
        now: Instant,
    ) -> Option<ClaimRequest> {
        let limits = self.limits;
        let endpoint = self
            .endpoints
            .entry(webhook)
            .or_insert_with(|| EndpointLoad::new(limits, now));

        // A share shrinks as the room does but never falls to 0: as long as there is any room,
        // every endpoint gets at least one call.
        let share = (room / SHARE).clamp(1, limits.per_endpoint as usize) as u32;
        let room = share
            .saturating_sub(endpoint.busy)
            .min(endpoint.bucket.available(limits, now));

        (room > 0).then_some(ClaimRequest {
            webhook,
            busy: endpoint.busy,
            room,
        })
    }

    /// Forgets endpoints about which there is nothing to remember: no call is under way and the
    /// bucket is full, as for an endpoint that was never called.
    fn forget_idle(&mut self, now: Instant) {
        // Visits every endpoint, so not in every turn.
        if now.saturating_duration_since(self.forgot_at) < FORGET {
            return;
        }
        self.forgot_at = now;

        let limits = self.limits;
        self.endpoints.retain(|_, endpoint| {
            let bucket_is_filling = limits
                .rate
                .is_some_and(|rate| endpoint.bucket.available(limits, now) < rate.get());
            endpoint.busy > 0 || bucket_is_filling
        });
    }
}

impl EndpointLoad {
    fn new(limits: Limits, now: Instant) -> Self {
        Self {
            busy: 0,
            may_have_more: false,
            bucket: TokenBucket {
                tokens: limits.rate.map_or(0.0, |rate| f64::from(rate.get())),
                refilled_at: now,
            },
        }
    }
}

impl TokenBucket {
    /// Refills the bucket and returns the number of calls that may be made now.
    fn available(&mut self, limits: Limits, now: Instant) -> u32 {
        let Some(rate) = limits.rate else {
            return u32::MAX;
        };
        let rate = f64::from(rate.get());

        // At most one second's worth is saved up, so that an endpoint that was quiet for an hour
        // does not get an hour's calls at once.
        let elapsed = now.saturating_duration_since(self.refilled_at);
        self.tokens = (self.tokens + elapsed.as_secs_f64() * rate).min(rate);
        self.refilled_at = now;

        self.tokens.max(0.0) as u32
    }
}

#[cfg(test)]
mod tests;
