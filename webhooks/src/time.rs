//! Arithmetic on timestamps that saturates instead of overflowing.

use std::time::Duration;

use backbone::time::Timestamp;

/// Returns the time `wait` after `start`.
pub(crate) fn after(start: Timestamp, wait: Duration) -> Timestamp {
    Timestamp::from_micros(start.as_micros().saturating_add(micros(wait)))
}

/// Returns the time `wait` before `end`.
pub(crate) fn before(end: Timestamp, wait: Duration) -> Timestamp {
    Timestamp::from_micros(end.as_micros().saturating_sub(micros(wait)))
}

/// Returns the time from `start` to `end`; zero if `end` is earlier.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> Duration {
    let micros = end.as_micros().saturating_sub(start.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn micros(wait: Duration) -> i64 {
    // A header of the receiver may ask for any number of seconds, so this does get out of range.
    i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
}
