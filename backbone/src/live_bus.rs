//! The live bus: messages from one to all who listen now, over Redis pub/sub or inside the process. It refuses to be
//! a source of truth: it loses messages, keeps none, and says so. Whoever must see everything has a position in
//! the store and reads on from there when told to.

#[cfg(feature = "testkit")]
mod faults;
mod hub;
mod local;
mod redis;

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use self::hub::Hub;
use crate::Error;
use crate::lifecycle::Lifecycle;
use crate::telemetry::{Counter, Histogram, Metrics, Unit};

#[cfg(feature = "testkit")]
pub use faults::LocalFaults;
pub use hub::BusReceiver;

/// One channel. Clones are the same link, and any number of receivers share it.
///
/// Delivery is at most once. The messages that one handle publishes one after the other arrive in that order; one
/// whose publishing failed may still arrive, and late.
#[derive(Clone)]
pub struct LiveBus {
    backend: Backend,
    hub: Arc<Hub>,
    published: Counter,
    refused: Counter,
    duration: Histogram,
}

#[derive(Clone)]
enum Backend {
    Redis(redis::RedisBus),
    Local(local::LocalBus),
}

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// A message, in its publisher's order.
    Message(Bytes),
    /// Messages were lost because this receiver was too slow: catch up from the store.
    Gap,
    /// The link is up, for the first time or again, and whatever is published from now on arrives: catch up from
    /// the store with what came before.
    Subscribed,
    /// The link is down: nothing arrives until [`Subscribed`](Self::Subscribed).
    Disconnected,
}

impl LiveBus {
    /// Messages that wait for a slow receiver of a Redis bus before it gets a [`Gap`](BusEvent::Gap) instead.
    pub const CAPACITY: usize = 128;

    /// The channel of that name on the Redis server (7.0 or newer) at `url`. The server may be away: the link is
    /// made, kept and made again by a support task of `lifecycle` until its second stage.
    ///
    /// # Errors
    /// [`Error::Broken`] if `url` is no Redis URL.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn redis(
        url: &str,
        channel: String,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let hub = Hub::new(Self::CAPACITY, metrics);
        let backend =
            redis::RedisBus::link(url, channel, hub.clone(), lifecycle).map_err(|why| {
                Error::Broken {
                    what: "the address of the live bus",
                    why,
                }
            })?;
        Ok(Self::over(Backend::Redis(backend), hub, metrics))
    }

    /// A channel inside this process, always up. `capacity` (at least 1, rounded up to a power of two) is the
    /// number of messages that wait for a slow receiver before it gets a [`Gap`](BusEvent::Gap) instead.
    pub fn local(capacity: usize, metrics: &Metrics) -> Self {
        let hub = Hub::new(capacity, metrics);
        Self::over(Backend::Local(local::LocalBus::open(&hub)), hub, metrics)
    }

    /// Hands `message` to all who listen at this moment, be that nobody. Takes at most 1 s, and next to no time
    /// while the link is known to be down.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not known to have been handed over. Do not repeat it: those who miss it
    /// find out and catch up.
    pub async fn publish(&self, message: Bytes) -> Result<(), Error> {
        let began = Instant::now();
        let outcome = match &self.backend {
            Backend::Redis(bus) => bus.publish(&message).await,
            Backend::Local(bus) => bus.publish(message),
        };
        self.duration.observe(began.elapsed().as_secs_f64());
        match outcome {
            Ok(()) => self.published.inc(),
            Err(_) => self.refused.inc(),
        };
        outcome.map_err(|why| Error::Unavailable {
            what: "the live bus",
            why,
        })
    }

    /// A new listener. Its first event is [`Subscribed`](BusEvent::Subscribed), at once or when the link comes up.
    /// It may still hear messages that were published just before and are on their way.
    pub fn subscribe(&self) -> BusReceiver {
        Hub::subscribe(&self.hub)
    }

    /// Whether the link is up and subscribed, as far as is known: a dead server is noticed within 2 s.
    pub fn is_up(&self) -> bool {
        self.hub.is_up()
    }

    /// The switches that make the channel inside this process lose, repeat or hold messages; Redis has none.
    #[cfg(feature = "testkit")]
    pub fn faults(&self) -> Option<LocalFaults> {
        match &self.backend {
            Backend::Redis(_) => None,
            Backend::Local(bus) => Some(bus.faults()),
        }
    }

    fn over(backend: Backend, hub: Arc<Hub>, metrics: &Metrics) -> Self {
        const SECONDS: [f64; 8] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.1, 0.5, 1.0];
        Self {
            backend,
            hub,
            published: metrics.counter("live_bus_published", "Messages handed to the live bus"),
            refused: metrics.counter("live_bus_refused", "Messages the live bus did not take"),
            duration: metrics.histogram(
                "live_bus_publish",
                "Time to publish on the live bus, refusals included",
                Unit::Seconds,
                &SECONDS,
            ),
        }
    }
}
