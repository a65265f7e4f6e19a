//! Metrics of all sockets of a gateway.

use backbone::telemetry::{Counter, Family, Gauge, Metrics};

/// Metrics that all shards share.
#[derive(Clone)]
pub(crate) struct SocketMetrics {
    /// Websockets that are open.
    pub(crate) open: Gauge,
    /// Event streams that are open.
    pub(crate) streams: Gauge,
    /// Messages written, each a frame or an event.
    pub(crate) messages: Counter,
    /// Writes, each of one or more messages.
    pub(crate) writes: Counter,
    /// Results of subscriptions among the messages.
    pub(crate) deliveries: Counter,
    /// Websockets closed by the gateway.
    pub(crate) closed: Family<[(&'static str, u16); 1], Counter>,
    /// Sockets that were given up because of a panic.
    pub(crate) panics: Counter,
}

impl SocketMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            open: metrics.gauge("sockets_open", "Websockets that are open"),
            streams: metrics.gauge("streams_open", "Event streams that are open"),
            messages: metrics.counter(
                "socket_frames",
                "Messages written to websockets and event streams",
            ),
            writes: metrics.counter(
                "socket_writes",
                "Writes to websockets and event streams, each of one or more messages",
            ),
            deliveries: metrics.counter("push_deliveries", "Pushed results written to subscribers"),
            closed: metrics.counter_family(
                "sockets_closed",
                "Websockets closed by the gateway, by close code",
            ),
            panics: metrics.counter(
                "socket_panics",
                "Websockets and event streams given up because of a panic",
            ),
        }
    }
}
