//! Metrics of the dispatchers in this process.

use std::time::Duration;

use backbone::telemetry::{Counter, Gauge, Histogram, Metrics, Unit};

use crate::record::RecordSummary;

/// Upper bounds of the histogram of the time to the first attempt, in seconds.
// Fine below 100 ms, where the time from commit to call should be; the last two tell a poll from a
// backlog.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];

/// Metrics of a dispatcher. Several dispatchers in one process share the same series.
pub(super) struct DispatchMetrics {
    delivered: Counter,
    retried: Counter,
    dead: Counter,
    postponed: Counter,
    leases_lost: Counter,
    calls: Gauge,
    first_attempt: Histogram,
}

impl DispatchMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let outcomes = metrics.counter_family::<[(&'static str, &'static str); 1]>(
            "webhook_outcomes",
            "Webhook calls, by what became of the delivery",
        );
        // All labels exist from the start: a rate over a series that appears with its first event
        // misses that event.
        let outcome = |delivery| outcomes.get_or_create_owned(&[("delivery", delivery)]);

        Self {
            delivered: outcome("delivered"),
            retried: outcome("again"),
            dead: outcome("dead"),
            postponed: outcome("postponed"),
            leases_lost: metrics.counter(
                "webhook_leases_lost",
                "Webhook calls that were not made or not recorded because their lease was lost",
            ),
            calls: metrics.gauge("webhook_calls", "Webhook calls under way"),
            first_attempt: metrics.histogram(
                "webhook_first_attempt",
                "Time from the creation of a delivery to its first attempt",
                Unit::Seconds,
                &SECONDS,
            ),
        }
    }

    /// Counts the outcomes of one recording.
    pub(super) fn recorded(&self, summary: &RecordSummary) {
        self.delivered.inc_by(summary.delivered);
        self.retried.inc_by(summary.retried);
        self.dead.inc_by(summary.dead);
        self.postponed.inc_by(summary.postponed);
        self.leases_lost.inc_by(summary.lost);
    }

    /// Counts a call that was not made because its lease had run out.
    pub(super) fn lease_lost(&self) {
        self.leases_lost.inc();
    }

    /// Observes the time from the creation of a delivery to its first attempt.
    pub(super) fn first_attempt(&self, waited: Duration) {
        self.first_attempt.observe(waited.as_secs_f64());
    }

    /// Sets the number of calls under way.
    pub(super) fn in_flight(&self, calls: usize) {
        self.calls.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }
}
