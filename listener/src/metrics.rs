//! Counters of connections. All listeners of a process count into the same ones.

use backbone::telemetry::{Counter, Family, Gauge, Metrics};

type Label = [(&'static str, &'static str); 1];

/// Metrics of the process's listeners. Clones count into the same metrics.
#[derive(Clone)]
pub(crate) struct Counters {
    /// Connections that are open, upgraded ones included.
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) tls_reloads: Counter,
    pub(crate) tls_reload_failures: Counter,
    pub(crate) panics: Counter,
    refused: Family<Label, Counter>,
    deadlines: Family<Label, Counter>,
}

/// Reason to close a connection before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The process has no slot left.
    Connections,
    /// The client has no slot left.
    Client,
    /// The PROXY header is missing or malformed.
    ProxyHeader,
    /// The TLS handshake failed.
    Tls,
}

/// Deadline that a client missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    ProxyHeader,
    TlsHandshake,
    RequestHead,
    RequestBody,
    Idle,
    Write,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            open: metrics.gauge("connections", "Open connections, upgraded ones included"),
            accepted: metrics.counter("connections_accepted", "Connections accepted"),
            tls_reloads: metrics.counter("tls_reloads", "Certificates loaded after a change"),
            tls_reload_failures: metrics.counter(
                "tls_reload_failures",
                "Changed certificates that could not be loaded; the old one stays in use",
            ),
            panics: metrics.counter("request_panics", "Panics of request handlers"),
            refused: metrics.counter_family(
                "connections_refused",
                "Connections closed before their first request",
            ),
            deadlines: metrics.counter_family(
                "connection_deadlines",
                "Deadlines that clients missed, each of which ended a connection",
            ),
        }
    }

    pub(crate) fn refuse(&self, reason: Refusal) {
        let reason = match reason {
            Refusal::Connections => "connections",
            Refusal::Client => "client",
            Refusal::ProxyHeader => "proxy_header",
            Refusal::Tls => "tls",
        };
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn miss(&self, deadline: Missed) {
        let deadline = match deadline {
            Missed::ProxyHeader => "proxy_header",
            Missed::TlsHandshake => "tls_handshake",
            Missed::RequestHead => "request_head",
            Missed::RequestBody => "request_body",
            Missed::Idle => "idle",
            Missed::Write => "write",
        };
        self.deadlines
            .get_or_create(&[("deadline", deadline)])
            .inc();
    }
}
