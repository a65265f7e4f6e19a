//! Retry policy: what follows from a call for its delivery and its endpoint. The module is pure:
//! the caller reads the rows and the clock, and hands in the jitter.

use std::time::Duration;

use backbone::time::Timestamp;

use crate::outcome::{Outcome, RetryAfter};
use crate::time::{after, between};

/// Largest variation of a wait, as a fraction of it, so that endpoints that failed together are not
/// called together again.
pub const JITTER: f64 = 0.2;

/// Waits after each failed try. A delivery whose last wait is used up is dead: eight tries, spread
/// over 27 hours and 35 minutes, much as Standard Webhooks recommends.
const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// Number of failures in a row that opens an endpoint's breaker.
pub const BREAKER: u32 = 10;

/// Time for which a breaker that has just opened lets no call through; after it, a single call
/// probes the endpoint.
pub const BREAKER_HOLD: Duration = Duration::from_mins(1);

/// Longest hold of a breaker that opens again and again, before jitter.
const LONGEST_BREAKER_HOLD: Duration = Duration::from_hours(1);

/// Time of uninterrupted failure after which an endpoint is disabled.
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);

/// Longest `Retry-After` that is obeyed; longer ones count as this.
// Bounded, so that a receiver cannot stop its own calls for a year by a malformed header: while it
// is held it does not fail, and nothing would tell its owner.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Wait after a failure that was the operator's.
// Short, because the delivery can be made as soon as the operator has mended the failure, and the
// same each time, because the receiver is not called and so gains nothing from longer waits.
const POSTPONEMENT: Duration = Duration::from_secs(5);

/// State of a delivery and its endpoint before the call's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureHistory {
    /// Tries of the schedule that the delivery has used up.
    pub tries: u32,
    /// Calls of the endpoint that failed in a row.
    pub failures: u32,
    /// Time of the first of those failures.
    pub failing_since: Option<Timestamp>,
}

/// Consequences of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Consequence for the delivery.
    pub delivery: DeliveryDecision,
    /// Consequence for the endpoint.
    pub endpoint: EndpointDecision,
}

/// Consequence of a call for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryDecision {
    /// Delivery that arrived.
    Delivered,
    /// Delivery that used up a try and is due again at this time.
    Retry(Timestamp),
    /// Delivery that used up its last try.
    Dead,
    /// Delivery that used up no try, because the failure was the operator's; due again at this
    /// time.
    Postponed(Timestamp),
}

/// Consequence of a call for its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointDecision {
    /// Endpoint that works: its failures are forgotten and its breaker closes.
    Healthy,
    /// Endpoint with one more failure in a row.
    Failing {
        /// Time before which the endpoint is not called, if the failure imposes one.
        held_until: Option<Timestamp>,
    },
    /// Endpoint that is not called until its owner resumes it.
    Disabled {
        /// Reason that its owner reads.
        reason: &'static str,
    },
    /// Endpoint to which the call says nothing.
    Unchanged,
}

/// Decides what follows from a call that ended at `now`. `jitter` varies a wait by up to
/// [`JITTER`].
pub fn evaluate(
    outcome: &Outcome,
    history: &FailureHistory,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Decision {
    match outcome.error {
        None => Decision {
            delivery: DeliveryDecision::Delivered,
            endpoint: EndpointDecision::Healthy,
        },
        Some(class) if class.is_operator_failure() => Decision {
            delivery: DeliveryDecision::Postponed(after(now, POSTPONEMENT)),
            endpoint: EndpointDecision::Unchanged,
        },
        // The status counts however the exchange ended, so this comes before the error's class.
        Some(_) if outcome.status == Some(410) => Decision {
            delivery: DeliveryDecision::Dead,
            endpoint: EndpointDecision::Disabled {
                reason: "the endpoint answered 410 Gone",
            },
        },
        Some(_) => after_failure(outcome, history, now, jitter),
    }
}

fn after_failure(
    outcome: &Outcome,
    history: &FailureHistory,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Decision {
    let retry_after = retry_after(outcome, now);
    let wait = usize::try_from(history.tries)
        .ok()
        .and_then(|tries| WAITS.get(tries));

    // Retry-After only ever lengthens a wait. If it could shorten one, a receiver that answers
    // every call with "in one second" would use up all tries of all its deliveries within seconds.
    let delivery = match wait {
        Some(wait) => {
            let wait = jitter(*wait).max(retry_after.unwrap_or_default());
            DeliveryDecision::Retry(after(now, wait))
        }
        None => DeliveryDecision::Dead,
    };

    Decision {
        delivery,
        endpoint: endpoint_after_failure(history, retry_after, now, jitter),
    }
}

fn endpoint_after_failure(
    history: &FailureHistory,
    retry_after: Option<Duration>,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> EndpointDecision {
    let given_up = history
        .failing_since
        .is_some_and(|since| after(since, DISABLE_AFTER) <= now);
    if given_up {
        return EndpointDecision::Disabled {
            reason: "every call failed for 5 days",
        };
    }

    // The breaker opens with the tenth failure and again with every failed probe. The longer of the
    // two holds wins, so that a Retry-After is obeyed by the probes as well.
    let breaker_hold = breaker_hold(history, now).map(jitter);

    EndpointDecision::Failing {
        held_until: retry_after.max(breaker_hold).map(|hold| after(now, hold)),
    }
}

/// Returns the time for which the breaker holds an endpoint after one more failure, before jitter:
/// twice as long with every failed probe.
fn breaker_hold(history: &FailureHistory, now: Timestamp) -> Option<Duration> {
    let reopened = history.failures.saturating_add(1).checked_sub(BREAKER)?;
    let doubled = 2_u32
        .checked_pow(reopened)
        .map_or(LONGEST_BREAKER_HOLD, |factor| {
            BREAKER_HOLD.saturating_mul(factor)
        });

    // Calls that were under way together fail together and count as many failures, though none of
    // them was a probe. The hold is therefore at most twice as long as the endpoint has failed.
    let failing_for = history
        .failing_since
        .map_or(Duration::ZERO, |since| between(since, now));

    let hold = doubled.min(failing_for.saturating_mul(2).max(BREAKER_HOLD));
    Some(hold.min(LONGEST_BREAKER_HOLD))
}

/// Returns the time for which an overloaded or unavailable receiver asks not to be called.
fn retry_after(outcome: &Outcome, now: Timestamp) -> Option<Duration> {
    // RFC 9110 (503) and RFC 6585 (429) define the header for these failures. Elsewhere, proxies
    // and frameworks add it without meaning it.
    if !matches!(outcome.status, Some(429 | 503)) {
        return None;
    }

    let wait = match outcome.retry_after? {
        RetryAfter::In(wait) => wait,
        RetryAfter::At(time) => between(now, time),
    };

    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
