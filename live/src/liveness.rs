//! Decision whether the feed follows the tables closely enough for answers from memory.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use backbone::time::Timestamp;

/// Time after which a feed that has not been found complete again no longer counts as live, in microseconds. Heartbeats
/// come four times as often.
const COMPLETE_FOR: i64 = 1_000_000;

/// Value of [`Liveness::complete_at`] while the ring is known to lack something, or nothing is known.
const NEVER: i64 = i64::MIN;

/// Signs of life of the feed. They bound how old an answer from memory can be, and no more: which position an answer
/// shows, and that it is exact there, never depends on them.
pub(crate) struct Liveness {
    bus_is_up: AtomicBool,
    /// Time at which the ring was last known to hold everything that the tables held, in microseconds.
    complete_at: AtomicI64,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            bus_is_up: AtomicBool::new(false),
            complete_at: AtomicI64::new(NEVER),
        }
    }
}

// Relaxed throughout: a reader that sees one of the values a moment late answers as it would have answered a moment
// before.
impl Liveness {
    /// Notes that the live bus is connected, or is not.
    pub(crate) fn set_bus(&self, is_up: bool) {
        self.bus_is_up.store(is_up, Ordering::Relaxed);
    }

    /// Notes that the ring held everything that the tables held at a time.
    pub(crate) fn complete(&self, at: Timestamp) {
        self.complete_at.store(at.as_micros(), Ordering::Relaxed);
    }

    /// Notes that the ring lacks something, or may lack something.
    pub(crate) fn incomplete(&self) {
        self.complete_at.store(NEVER, Ordering::Relaxed);
    }

    /// Returns whether the live bus is up and the ring was complete within the last second.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        let complete_at = self.complete_at.load(Ordering::Relaxed);

        // A clock that was set back makes the age negative. It then proves nothing until the next sign of life.
        let age = now.as_micros().saturating_sub(complete_at);
        self.bus_is_up.load(Ordering::Relaxed) && (0..=COMPLETE_FOR).contains(&age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_is_live_for_a_second_after_it_was_complete_while_the_bus_is_up() {
        let at = Timestamp::from_micros;
        let liveness = Liveness::default();
        liveness.complete(at(10));
        assert!(!liveness.is_live(at(10)), "the bus is not up");

        liveness.set_bus(true);
        assert!(liveness.is_live(at(10)) && liveness.is_live(at(1_000_010)));
        assert!(!liveness.is_live(at(1_000_011)), "a second has passed");
        assert!(!liveness.is_live(at(9)), "the clock was set back");

        liveness.incomplete();
        assert!(!liveness.is_live(at(10)));

        liveness.complete(at(10));
        liveness.set_bus(false);
        assert!(!liveness.is_live(at(10)));
    }
}
