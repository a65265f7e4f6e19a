//! The one door for the time of day. It refuses to measure durations: those are tokio's `Instant`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Tells the time of day: the system's, or one that a test moves by hand. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `micros` (UTC microseconds since the Unix epoch) until [`advance`](Self::advance).
    pub fn fixed(micros: i64) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(micros))))
    }

    /// The time of now. May step back when the system's clock is set.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now_micros())
    }

    /// UTC microseconds since the Unix epoch. May step back when the system's clock is set.
    pub fn now_micros(&self) -> i64 {
        match &self.0 {
            Source::System => system_micros(),
            Source::Manual(micros) => micros.load(Ordering::SeqCst),
        }
    }

    /// Moves a [`fixed`](Self::fixed) clock and all its clones on.
    ///
    /// # Panics
    /// On the system's clock, which nobody here may move.
    pub fn advance(&self, by: Duration) {
        let Source::Manual(micros) = &self.0 else {
            panic!("only a fixed clock can be advanced")
        };
        micros.fetch_add(whole_micros(by), Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one door for the time of day"
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
    fn a_fixed_clock_moves_only_by_hand_and_with_its_clones() {
        let clock = Clock::fixed(1_700_000_000_000_000);
        let clone = clock.clone();
        assert_eq!(clone.now_micros(), 1_700_000_000_000_000);
        clock.advance(Duration::from_millis(2));
        assert_eq!(clone.now_micros(), 1_700_000_000_002_000);
    }

    #[test]
    fn the_system_clock_counts_microseconds_of_this_century() {
        let now = Clock::system().now_micros();
        let (year_2024, year_2100) = (1_704_067_200_000_000, 4_102_444_800_000_000);
        assert!((year_2024..year_2100).contains(&now), "{now}");
    }

    #[test]
    #[should_panic(expected = "only a fixed clock")]
    fn the_system_clock_cannot_be_advanced() {
        Clock::system().advance(Duration::from_secs(1));
    }
}
