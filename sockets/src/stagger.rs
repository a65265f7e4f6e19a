//! Shares by which connections do at different moments what all of them do: pings, and their ends as the process drains.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Part of the drain time over which the ends of connections are spread; the rest is for what they were doing.
const SPREAD: f64 = 0.8;

/// Fractional part of the golden ratio. The fractional parts of its multiples are spread evenly between 0 and 1, however
/// many there are and whichever are left out.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// Gives each connection of a gateway its share.
#[derive(Debug, Default)]
pub(crate) struct Staggers(AtomicU64);

/// Share of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stagger {
    /// Number between 0 and 1.
    share: f32,
}

impl Staggers {
    /// Returns the stagger of a new connection.
    pub(crate) fn next(&self) -> Stagger {
        // Relaxed: the number only has to be another one for each connection, and orders nothing.
        let number = self.0.fetch_add(1, Ordering::Relaxed);

        Stagger {
            share: share(number) as f32,
        }
    }
}

impl Stagger {
    /// Returns the time until the first ping: between half the ping interval and all of it, so that connections that
    /// were opened together are not pinged together.
    pub(crate) fn first_ping(self, ping: Duration) -> Duration {
        ping.mul_f32(1.0 - self.share / 2.0)
    }

    /// Returns the time from the beginning of the drain to this connection's turn to end. Turns are spread evenly over
    /// the drain time, so that clients do not all reconnect to the other gateways at once.
    pub(crate) fn drain_turn(self, drain: Duration) -> Duration {
        drain.mul_f64(SPREAD).mul_f32(self.share)
    }
}

/// Returns the share of the connection with this number.
fn share(number: u64) -> f64 {
    (number as f64 * GOLDEN).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_end_evenly_spread_whichever_of_them_are_left() {
        for (first, step) in [(0, 1), (1_000, 1), (7, 2), (0, 3)] {
            let mut tenths = [0_u32; 10];
            for index in 0..1_000 {
                tenths[(share(first + index * step) * 10.0) as usize] += 1;
            }

            assert!(
                tenths.iter().all(|count| (90..=110).contains(count)),
                "{first} {step}: {tenths:?}"
            );
        }
    }
}
