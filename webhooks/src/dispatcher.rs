//! Dispatcher: claims due deliveries, makes the calls and records their outcomes. Any number of
//! dispatchers may run beside each other.
//!
//! The live bus names endpoints that have just become due. A query of the tables every second finds
//! what the bus did not announce, and retries whose time has come. All calls and all work in the
//! database are futures of one task: its state needs no locks, and outcomes are recorded while
//! other calls go on.

mod call;
mod in_flight;
mod jobs;
mod limiter;
mod limits;
mod metrics;

use std::time::Duration;

use backbone::Error;
use backbone::health::Part;
use backbone::live_bus::BusReceiver;
use backbone::telemetry::Metrics;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::sender::Sender;
use crate::service::Webhooks;
use call::CallContext;
use in_flight::InFlight;
pub use limits::Limits;
use metrics::DispatchMetrics;

/// Interval at which the tables are queried for what is due.
// The bus makes the common case fast; this bounds the delay of everything else, at the cost of one
// query by index that costs the same however long the backlog is.
const POLL: Duration = Duration::from_secs(1);

/// Interval at which leases are renewed: a third of their length, so that one late or failed
/// renewal does not lose them.
const RENEW: Duration = Duration::from_secs(5);

/// Worker that sends due deliveries.
pub struct Dispatcher {
    context: CallContext,
    limits: Limits,
}

impl Dispatcher {
    /// Creates a dispatcher for the deliveries of `webhooks`. Limits of 0 count as 1.
    pub fn new(webhooks: Webhooks, sender: Sender, limits: Limits, metrics: &Metrics) -> Self {
        Self {
            context: CallContext {
                webhooks,
                sender,
                metrics: DispatchMetrics::new(metrics),
            },
            limits: limits.at_least_one(),
        }
    }

    /// Sends until told to stop. It then claims nothing more and returns when everything under way
    /// has ended and is recorded.
    ///
    /// # Errors
    /// [`Error::Broken`]: the tables are not as they must be. An unavailable database does not end
    /// the run: it shows in `health`, and outcomes wait for it.
    pub async fn run(
        self,
        mut bus: BusReceiver,
        health: Part,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let mut poll = interval_without_bursts(POLL);
        let mut renewal = interval_without_bursts(RENEW);
        let mut in_flight = InFlight::new(&self.context, self.limits, health);

        // Each turn starts whatever can start, then waits for the next event. The branches
        // themselves only update state: a branch that waited would hold up the renewal of leases.
        while in_flight.start_work() {
            tokio::select! {
                finished = in_flight.next() => in_flight.complete(finished)?,
                event = bus.next() => in_flight.on_bus_event(event),
                _ = poll.tick() => in_flight.poll(),
                _ = renewal.tick() => in_flight.renew(),
                // The token stays cancelled, so without the guard this branch would spin.
                () = stop.cancelled(), if !in_flight.is_closing() => in_flight.close(),
            }
        }

        Ok(())
    }

    /// Runs one round: claims what is due anywhere, within the limits, sends it and records the
    /// outcomes. Returns the number of outcomes recorded.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: deliveries whose outcomes are not recorded are due again when their
    /// leases have run out.
    pub async fn run_once(&self) -> Result<usize, Error> {
        // Without a poll and the bus: the first query finds what is due, and the round ends with
        // it. The leases still need their renewal, since a call may outlast one.
        let mut renewal = interval(RENEW);
        let mut in_flight = InFlight::for_one_round(&self.context, self.limits);

        while in_flight.start_work() {
            tokio::select! {
                finished = in_flight.next() => in_flight.complete(finished)?,
                _ = renewal.tick() => in_flight.renew(),
            }
        }

        Ok(in_flight.recorded())
    }
}

/// Returns an interval that, after a stall, does not make up for the ticks it missed: one poll or
/// renewal does the work of all of them.
fn interval_without_bursts(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
