//! Timers of a shard's sockets, in one wheel.

use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::SocketKey;

/// Purpose of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// `connection_init` must have come.
    Init,
    /// The client is pinged.
    Ping,
    /// A client that has taken no bytes is too slow.
    Stalled,
    /// A client that was sent a close frame must have closed, too.
    Closed,
    /// The process drains, and the socket's turn to end has come.
    Drain,
    /// A window of a conflated subscription ends.
    Window,
}

/// Number of kinds of timers.
pub(super) const KINDS: usize = 6;

/// Key of a timer that is set.
pub(super) type TimerKey = Key;

/// All timers of a shard.
#[derive(Default)]
pub(super) struct Timers(DelayQueue<(SocketKey, Timer)>);

impl Timers {
    /// Sets a timer.
    pub(super) fn set(&mut self, socket: SocketKey, timer: Timer, after: Duration) -> TimerKey {
        // A key may be used again once its timer has run out, so whoever holds one forgets it then.
        self.0.insert((socket, timer), after)
    }

    /// Returns the time until a timer runs out.
    pub(super) fn rest(&self, key: TimerKey) -> Duration {
        self.0
            .deadline(&key)
            .saturating_duration_since(Instant::now())
    }

    /// Removes a timer, unless it has run out.
    pub(super) fn remove(&mut self, key: TimerKey) {
        let _has_run_out = self.0.try_remove(&key);
    }

    /// Waits for the next timer to run out.
    pub(super) async fn next(&mut self) -> (SocketKey, Timer) {
        match poll_fn(|context| self.0.poll_expired(context)).await {
            Some(expired) => expired.into_inner(),
            // None is set. Whoever sets one does so between two calls.
            None => pending().await,
        }
    }
}
