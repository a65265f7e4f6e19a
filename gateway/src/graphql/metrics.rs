//! Metrics of executions.

use backbone::telemetry::{Counter, Gauge, Metrics};
use documents::Kept;

/// Counters and gauges of one executor.
pub(super) struct ExecutionMetrics {
    prepared: Counter,
    served: Counter,
    renders: Gauge,
    copies: Gauge,
    kept_bytes: Gauge,
}

impl ExecutionMetrics {
    /// Registers the metrics.
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            prepared: metrics.counter(
                "documents_prepared",
                "GraphQL documents parsed, validated and compiled",
            ),
            served: metrics.counter(
                "documents_served",
                "Requests whose document was prepared before",
            ),
            renders: metrics.gauge("object_renders", "Objects rendered whose bytes were kept"),
            copies: metrics.gauge(
                "object_copies",
                "Objects copied from kept bytes instead of rendered",
            ),
            kept_bytes: metrics.gauge("object_bytes_kept", "Bytes of rendered objects kept"),
        }
    }

    /// Counts the look-up of a document.
    pub(super) fn planned(&self, is_new: bool) {
        let counter = if is_new { &self.prepared } else { &self.served };
        counter.inc();
    }

    /// Takes over the figures of the kept objects.
    pub(super) fn observe(&self, kept: &Kept) {
        self.copies.set(kept.copies() as i64);

        // The memory is a sum over the locked parts of the cache, and changes only when something is kept.
        let renders = kept.renders() as i64;
        if self.renders.get() != renders {
            self.renders.set(renders);
            self.kept_bytes.set(kept.bytes() as i64);
        }
    }
}
