//! Settings of a gateway's sockets.

use std::time::Duration;

use crate::protocol::Limits;

/// Times and sizes of sockets.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of shards, at least 1.
    pub shards: usize,
    /// Limits of one websocket.
    pub limits: Limits,
    /// Time between two pings.
    pub ping: Duration,
    /// Time that a drain takes; the ends of sockets are spread over most of it.
    pub drain: Duration,
}
