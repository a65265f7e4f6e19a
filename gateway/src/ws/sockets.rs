//! Everything that the websockets of a gateway share.

use std::sync::Arc;

use backbone::telemetry::{Counter, Family, Gauge, Metrics};
use live::Feed;

use crate::auth::KeyRing;
use crate::connections::Connections;
use crate::graphql::Executor;

/// Services and metrics that all websockets of a gateway share. Clones share them too.
#[derive(Clone)]
pub struct Sockets {
    pub(super) executor: Executor,
    pub(super) keys: KeyRing,
    pub(super) feed: Arc<Feed>,
    pub(super) connections: Connections,
    pub(super) open: Gauge,
    pub(super) frames: Counter,
    pub(super) writes: Counter,
    pub(super) closed: Family<[(&'static str, u16); 1], Counter>,
}

impl Sockets {
    /// Registers the metrics; no socket is open yet.
    pub fn new(
        executor: Executor,
        keys: KeyRing,
        feed: Arc<Feed>,
        connections: Connections,
        metrics: &Metrics,
    ) -> Self {
        Self {
            executor,
            keys,
            feed,
            connections,
            open: metrics.gauge("sockets_open", "Websockets that are open"),
            frames: metrics.counter("socket_frames", "Messages written to websockets"),
            writes: metrics.counter(
                "socket_writes",
                "Writes to websockets, each of one or more messages",
            ),
            closed: metrics.counter_family(
                "sockets_closed",
                "Websockets closed by the gateway, by close code",
            ),
        }
    }
}
