//! Rules for connections that stay open, websockets and event streams alike: how often they are pinged, and when they end
//! as the process drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backbone::lifecycle::Lifecycle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Part of the drain time over which the ends of connections are spread; the rest is for what they were doing.
const SPREAD: f64 = 0.8;

/// Fractional part of the golden ratio. The fractional parts of its multiples are spread evenly between 0 and 1, however
/// many there are and whichever are left out.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// Rules for all open connections of a gateway. Clones share them.
#[derive(Clone)]
pub struct Connections {
    lifecycle: Lifecycle,
    drain: Duration,
    ping: Duration,
    count: Arc<AtomicU64>,
}

impl Connections {
    /// Creates the rules: connections end within `drain` once the process drains, and quiet ones are pinged every `ping`.
    pub fn new(lifecycle: Lifecycle, drain: Duration, ping: Duration) -> Self {
        Self {
            lifecycle,
            drain,
            ping,
            count: Arc::default(),
        }
    }

    /// Returns the time between two pings of a connection.
    pub fn ping(&self) -> Duration {
        self.ping
    }

    /// Returns the stagger of a new connection.
    pub fn stagger(&self) -> Stagger {
        // Relaxed: the number only has to be another one for each connection, and orders nothing.
        let number = self.count.fetch_add(1, Ordering::Relaxed);

        Stagger {
            connections: self.clone(),
            share: share(number),
        }
    }

    /// Returns a token that is cancelled when the process no longer waits for connections.
    pub fn stopping(&self) -> CancellationToken {
        self.lifecycle.stopping()
    }

    /// Runs one connection on a task of its own. A panic of the task ends this connection only.
    pub fn spawn(&self, name: &'static str, connection: impl Future<Output = ()> + Send + 'static) {
        self.lifecycle.spawn_detached(name, connection);
    }
}

/// Share of one connection in what all connections do sooner or later, by which they do not do it at the same moment.
pub struct Stagger {
    connections: Connections,
    /// Number between 0 and 1.
    share: f64,
}

impl Stagger {
    /// Returns the time until the first ping: between half the ping interval and all of it, so that connections that
    /// were opened together are not pinged together.
    pub fn first_ping(&self) -> Duration {
        self.connections.ping.mul_f64(1.0 - self.share / 2.0)
    }

    /// Waits until the process drains and this connection's turn to end has come. Turns are spread evenly over the
    /// drain time, so that clients do not all reconnect to the other gateways at once.
    pub fn drain_turn(&self) -> impl Future<Output = ()> + Send + use<> {
        let Connections {
            lifecycle, drain, ..
        } = &self.connections;
        let draining = lifecycle.draining();
        let stopping = lifecycle.stopping();
        let delay = drain.mul_f64(SPREAD * self.share);

        async move {
            let turn = async {
                draining.cancelled().await;
                sleep(delay).await;
            };

            // A process that is stopping waits for no connection any more, whatever its turn.
            tokio::select! {
                () = turn => {}
                () = stopping.cancelled() => {}
            }
        }
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
