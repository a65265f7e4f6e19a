//! Who sends: claims what is due, calls, records. Any number of dispatchers may run beside each other.
//!
//! The live bus tells what has come to be due; a look at the tables every second finds whatever it did not tell, and
//! retries. All calls and all work in the database are futures of one task, so that recording goes on while calls do.

mod in_flight;
mod limiter;
mod metrics;

use std::num::NonZeroU32;
use std::time::Duration;

use backbone::Error;
use backbone::health::Part;
use backbone::live_bus::BusReceiver;
use backbone::telemetry::Metrics;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Webhooks;
use super::sender::Sender;
use in_flight::Desk;
use metrics::Meters;

/// How often the tables are looked at for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// How often leases are renewed: a third of what they last.
const RENEW: Duration = Duration::from_secs(5);

/// How much is sent at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way in all; at least 1.
    pub in_flight: usize,
    /// Calls under way to one endpoint; at least 1. Halved with each failure in a row.
    pub per_endpoint: u32,
    /// Calls a second to one endpoint; `None`: as many as it takes.
    pub rate: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 256,
            per_endpoint: 8,
            rate: None,
        }
    }
}

/// Sends what is owed.
pub struct Dispatcher {
    webhooks: Webhooks,
    sender: Sender,
    limits: Limits,
    meters: Meters,
}

impl Dispatcher {
    /// Over the deliveries of these webhooks.
    pub fn new(webhooks: Webhooks, sender: Sender, limits: Limits, metrics: &Metrics) -> Self {
        let (in_flight, per_endpoint) = (limits.in_flight.max(1), limits.per_endpoint.max(1));
        let limits = Limits {
            in_flight,
            per_endpoint,
            ..limits
        };
        Self {
            webhooks,
            sender,
            limits,
            meters: Meters::new(metrics),
        }
    }

    /// Claims whatever is due anywhere, as far as the limits go, sends it and records what came of it. Returns how many
    /// outcomes were recorded.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: what is not recorded comes again when its lease has run out.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let mut renew = interval(RENEW);
        let mut desk = Desk::for_one_round(self);
        while desk.begin() {
            tokio::select! {
                done = desk.next() => desk.take(done)?,
                _ = renew.tick() => desk.renew(),
            }
        }
        Ok(desk.recorded())
    }

    /// Sends until told to stop: then it claims nothing more, and ends when what is under way has ended.
    ///
    /// # Errors
    /// [`Error::Broken`]: the tables are not as they must be.
    pub async fn run(
        self,
        mut bus: BusReceiver,
        health: Part,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let (mut look, mut renew) = (patient(LOOK), patient(RENEW));
        let mut desk = Desk::new(&self, health);
        while desk.begin() {
            tokio::select! {
                done = desk.next() => desk.take(done)?,
                event = bus.next() => desk.hear(event),
                _ = look.tick() => desk.look(),
                _ = renew.tick() => desk.renew(),
                () = stop.cancelled(), if !desk.is_closing() => desk.close(),
            }
        }
        Ok(())
    }
}

fn patient(every: Duration) -> Interval {
    let mut interval = interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
