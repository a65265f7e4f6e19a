//! What operators see of the sending.

use std::time::Duration;

use backbone::telemetry::{Counter, Gauge, Histogram, Metrics, Unit};

use crate::record::Recorded;

/// Bounds of the time from commit to call, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];

/// The metrics of one dispatcher; those of several in one process are the same.
pub(super) struct Meters {
    delivered: Counter,
    again: Counter,
    dead: Counter,
    postponed: Counter,
    lost: Counter,
    in_flight: Gauge,
    to_first_attempt: Histogram,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let outcomes = metrics.counter_family::<[(&'static str, &'static str); 1]>(
            "webhook_outcomes",
            "Calls of webhooks, by what became of the delivery",
        );
        let outcome = |became| outcomes.get_or_create_owned(&[("delivery", became)]);
        Self {
            delivered: outcome("delivered"),
            again: outcome("again"),
            dead: outcome("dead"),
            postponed: outcome("postponed"),
            lost: metrics.counter(
                "webhook_leases_lost",
                "Calls of webhooks whose lease was over",
            ),
            in_flight: metrics.gauge("webhook_calls", "Calls of webhooks under way"),
            to_first_attempt: metrics.histogram(
                "webhook_first_attempt",
                "Time from when a delivery came to be owed to its first attempt",
                Unit::Seconds,
                &SECONDS,
            ),
        }
    }

    pub(super) fn recorded(&self, recorded: &Recorded) {
        self.delivered.inc_by(recorded.delivered);
        self.again.inc_by(recorded.again);
        self.dead.inc_by(recorded.dead);
        self.postponed.inc_by(recorded.postponed);
        self.lost.inc_by(recorded.lost);
    }

    /// A call is not made, for its lease is over.
    pub(super) fn came_too_late(&self) {
        self.lost.inc();
    }

    pub(super) fn first_attempt(&self, after: Duration) {
        self.to_first_attempt.observe(after.as_secs_f64());
    }

    pub(super) fn in_flight(&self, calls: usize) {
        self.in_flight.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }
}
