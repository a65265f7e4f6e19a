//! The only source of the time of day. Durations are measured with tokio's `Instant` instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Source of the time of day: the operating system, or a clock that a test moves. Clones show the
/// same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that stands at `micros` (UTC microseconds since the Unix epoch) until
    /// [`advance`](Self::advance).
    pub fn fixed(micros: i64) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(micros))))
    }

    /// Returns the present time, which may go back when the system's clock is set.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now_micros())
    }

    /// Returns UTC microseconds since the Unix epoch, which may go back when the system's clock is
    /// set.
    pub fn now_micros(&self) -> i64 {
        match &self.0 {
            Source::System => system_micros(),
            // The strongest ordering, because only tests run this and none should depend on less.
            Source::Manual(micros) => micros.load(Ordering::SeqCst),
        }
    }

    /// Advances a [`fixed`](Self::fixed) clock and all its clones.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn advance(&self, by: Duration) {
        let Source::Manual(micros) = &self.0 else {
            panic!("only a fixed clock can be advanced")
        };

        micros.fetch_add(whole_micros(by), Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the only source of the time of day"
)]
fn system_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => whole_micros(since),
        Err(before) => -whole_micros(before.duration()),
    }
}

fn whole_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_is_fixed_moves_only_by_advance_and_with_its_clones() {
        let clock = Clock::fixed(1_700_000_000_000_000);
        let clone = clock.clone();
        assert_eq!(clone.now_micros(), 1_700_000_000_000_000);
        clock.advance(Duration::from_millis(2));
        assert_eq!(clone.now_micros(), 1_700_000_000_002_000);
    }

    #[test]
    fn clock_of_the_system_counts_microseconds_of_this_century() {
        let now = Clock::system().now_micros();
        let (year_2024, year_2100) = (1_704_067_200_000_000, 4_102_444_800_000_000);
        assert!((year_2024..year_2100).contains(&now), "{now}");
    }

    #[test]
    #[should_panic(expected = "only a fixed clock")]
    fn clock_of_the_system_cannot_be_advanced() {
        Clock::system().advance(Duration::from_secs(1));
    }
}
