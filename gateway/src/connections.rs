//! What connections that stay open obey, websockets and event streams alike: how often something is said on them, and
//! when they end with the process. What is said is each transport's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backbone::lifecycle::Lifecycle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The part of the drain time in which connections end; the rest is for what they were doing.
const ENDING: f64 = 0.8;
/// The fraction of the golden ratio: its multiples fill 0 to 1 evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// The rules for all open connections of a gateway. Clones are the same rules.
#[derive(Clone)]
pub struct Connections {
    lifecycle: Lifecycle,
    drain: Duration,
    ping: Duration,
    seats: Arc<AtomicU64>,
}

impl Connections {
    /// They end within `drain` once the process drains, and are pinged every `ping`.
    pub fn new(lifecycle: Lifecycle, drain: Duration, ping: Duration) -> Self {
        Self {
            lifecycle,
            drain,
            ping,
            seats: Arc::default(),
        }
    }

    /// How often something is said on a quiet one.
    pub fn ping(&self) -> Duration {
        self.ping
    }

    /// A new connection's place among the others: what all of them do sometime is spread by it.
    pub fn seat(&self) -> Seat {
        Seat {
            connections: self.clone(),
            share: share(self.seats.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Cancelled when nothing is waited for any more.
    pub fn stopping(&self) -> CancellationToken {
        self.lifecycle.stopping()
    }

    /// Runs one, apart from all others.
    pub fn spawn(&self, name: &'static str, connection: impl Future<Output = ()> + Send + 'static) {
        self.lifecycle.spawn_detached(name, connection);
    }
}

/// One connection's place among all.
pub struct Seat {
    connections: Connections,
    share: f64,
}

impl Seat {
    /// After how long it is pinged first, half the usual time or more: those that came together are not pinged together.
    pub fn first_ping(&self) -> Duration {
        self.connections.ping.mul_f64(1.0 - self.share / 2.0)
    }

    /// Waits until the process ends and this connection's turn has come: each has its own, spread evenly over the
    /// drain time, so that clients do not all come back elsewhere at once.
    pub fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        let Connections {
            lifecycle, drain, ..
        } = &self.connections;
        let (draining, stopping) = (lifecycle.draining(), lifecycle.stopping());
        let turn = drain.mul_f64(ENDING * self.share);
        async move {
            let turn = async {
                draining.cancelled().await;
                sleep(turn).await;
            };
            tokio::select! {
                () = turn => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}

/// A seat's place between 0 and 1.
fn share(seat: u64) -> f64 {
    (seat as f64 * GOLDEN).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly_whichever_connections_are_left() {
        for (first, step) in [(0, 1), (1_000, 1), (7, 2), (0, 3)] {
            let mut tenths = [0_u32; 10];
            for seat in 0..1_000 {
                tenths[(share(first + seat * step) * 10.0) as usize] += 1;
            }
            assert!(
                tenths.iter().all(|count| (90..=110).contains(count)),
                "{first} {step}: {tenths:?}"
            );
        }
    }
}
