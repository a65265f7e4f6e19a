//! Metrics of the fan-out in this process.

use backbone::position::Sequence;
use backbone::telemetry::{Counter, Gauge, Metrics};

/// Metrics of a fan-out.
pub(super) struct FanoutMetrics {
    position: Gauge,
    lag: Gauge,
    deliveries: Counter,
    steps: Counter,
    missed: Counter,
}

impl FanoutMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            position: metrics.gauge(
                "webhook_fanout_position",
                "Log sequence up to which changes have their webhook deliveries",
            ),
            lag: metrics.gauge(
                "webhook_fanout_lag",
                "Log sequences between the webhook fan-out and the buyer projection",
            ),
            deliveries: metrics.counter(
                "webhook_fanout_deliveries",
                "Webhook deliveries that the fan-out inserted",
            ),
            steps: metrics.counter(
                "webhook_fanout_steps",
                "Transactions that the webhook fan-out committed",
            ),
            missed: metrics.counter(
                "webhook_fanout_missed",
                "Log sequences whose changes the feed dropped before the webhook fan-out read them",
            ),
        }
    }

    /// Sets where the fan-out is, and where the projection was when it looked.
    pub(super) fn reached(&self, at: Sequence, projection: Sequence) {
        let gauge = |value: Sequence| i64::try_from(value).unwrap_or(i64::MAX);

        self.position.set(gauge(at));
        self.lag.set(gauge(projection.saturating_sub(at)));
    }

    /// Counts a step.
    pub(super) fn stepped(&self, deliveries: usize) {
        self.steps.inc();
        self.deliveries.inc_by(deliveries as u64);
    }

    /// Counts sequences that were dropped unread.
    pub(super) fn missed(&self, sequences: u64) {
        self.missed.inc_by(sequences);
    }
}
