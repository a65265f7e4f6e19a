//! What becomes of a delivery and of its endpoint after a call: pure. Rows and clocks are others'; chance is handed
//! in.

use std::time::Duration;

use backbone::time::Timestamp;

use super::outcome::{Outcome, RetryAfter};

/// How far waits vary, as a fraction: so that endpoints that failed together are not called together.
pub const JITTER: f64 = 0.2;

/// What is waited after so many tries that failed. After the last, the delivery is dead.
const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// So many failures in a row open an endpoint's breaker.
pub const BREAKER: u32 = 10;

/// How long an open breaker lets no call through; then one, to see.
pub const BREAKER_HOLD: Duration = Duration::from_mins(1);

/// An endpoint that fails for so long is called no more.
const PATIENCE: Duration = Duration::from_hours(5 * 24);

/// A receiver's wish to be left alone counts up to here.
const LONGEST_WISH: Duration = Duration::from_hours(24);

/// What is waited when the trouble was ours.
const OURS: Duration = Duration::from_secs(5);

/// Where a delivery and its endpoint stood before the call's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tries of the schedule that the delivery has spent.
    pub tries: u32,
    /// Calls of the endpoint that failed in a row.
    pub failures: u32,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
}

/// What becomes of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of the delivery.
    pub delivery: Next,
    /// Of the endpoint.
    pub endpoint: Effect,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It arrived.
    Delivered,
    /// A try is spent, and the next is due then.
    Again(Timestamp),
    /// A try is spent, and it was the last.
    Dead,
    /// No try is spent, for the trouble was ours; due again then.
    Postponed(Timestamp),
}

/// What becomes of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It works: no failures count against it any more, and nothing holds it.
    Fine,
    /// One more failure in a row.
    Failing {
        /// It is not called before then.
        held_until: Option<Timestamp>,
    },
    /// It is called no more until its owner says so.
    Disabled {
        /// What its owner reads.
        reason: &'static str,
    },
    /// As it was.
    Untouched,
}

/// Judges a call that ended at `now`. `jitter` varies a wait, by [`JITTER`].
pub fn judge(
    outcome: &Outcome,
    standing: &Standing,
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Verdict {
    match outcome.error {
        None => Verdict {
            delivery: Next::Delivered,
            endpoint: Effect::Fine,
        },
        Some(class) if class.is_ours() => Verdict {
            delivery: Next::Postponed(after(now, OURS)),
            endpoint: Effect::Untouched,
        },
        Some(_) if outcome.status == Some(410) => {
            let reason = "it answered 410 Gone";
            Verdict {
                delivery: Next::Dead,
                endpoint: Effect::Disabled { reason },
            }
        }
        Some(_) => {
            let wish = wished(outcome, now);
            let wait = usize::try_from(standing.tries)
                .ok()
                .and_then(|tries| WAITS.get(tries));
            // A wish lengthens a wait. Were it to shorten one, a receiver that says "in a second" to all it cannot take
            // would spend every try within seconds.
            let delivery = match wait {
                Some(wait) => Next::Again(after(now, jitter(*wait).max(wish.unwrap_or_default()))),
                None => Next::Dead,
            };
            Verdict {
                delivery,
                endpoint: failed(standing, wish, now),
            }
        }
    }
}

fn failed(standing: &Standing, wish: Option<Duration>, now: Timestamp) -> Effect {
    if standing
        .failing_since
        .is_some_and(|since| after(since, PATIENCE) <= now)
    {
        return Effect::Disabled {
            reason: "every call has failed for 5 days",
        };
    }
    let breaker = (standing.failures.saturating_add(1) >= BREAKER).then_some(BREAKER_HOLD);
    Effect::Failing {
        held_until: wish.max(breaker).map(|hold| after(now, hold)),
    }
}

/// How long a receiver that is overloaded or away wants to be left alone.
fn wished(outcome: &Outcome, now: Timestamp) -> Option<Duration> {
    if !matches!(outcome.status, Some(429 | 503)) {
        return None;
    }
    let wish = match outcome.retry_after? {
        RetryAfter::In(wait) => wait,
        RetryAfter::At(time) => {
            let micros = time.as_micros().saturating_sub(now.as_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        }
    };
    Some(wish.min(LONGEST_WISH))
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests;
