//! The live bus: messages to all current listeners, over Redis pub/sub or within the process.
//!
//! The bus is a hint and not a source of truth: it may lose messages, keeps none, and reports gaps.
//! A reader that must see everything has a position in the store and continues from there when told
//! to.

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
use crate::client_tls::ClientTls;
use crate::lifecycle::Lifecycle;
use crate::telemetry::{Counter, Histogram, Metrics, Unit};

#[cfg(feature = "testkit")]
pub use faults::LocalFaults;
pub use hub::BusReceiver;

/// One channel. Clones share the link, and any number of receivers share it too.
///
/// Delivery is at most once. Messages that one handle publishes one after the other arrive in that
/// order. A message whose publishing failed may still arrive, and late.
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

/// Event for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// A message, in its publisher's order.
    Message(Bytes),
    /// Messages were lost because this receiver was too slow: catch up from the store.
    Gap,
    /// The link is up, for the first time or again, and everything published from now on arrives.
    /// Catch up from the store with what came before.
    Subscribed,
    /// The link is down: nothing arrives until [`Subscribed`](Self::Subscribed).
    Disconnected,
}

impl LiveBus {
    /// Number of messages that wait for a slow receiver of a Redis bus before it gets a
    /// [`Gap`](BusEvent::Gap) instead.
    pub const CAPACITY: usize = 128;

    /// Opens the channel of that name on the Redis server (7.0 or newer) at `url`.
    ///
    /// The server need not be reachable: a support task of `lifecycle` makes the link, watches it
    /// and makes it again until the second stage of shutdown.
    ///
    /// # Errors
    /// [`Error::Broken`] if `url` is not a Redis URL.
    ///
    /// # Panics
    /// Outside of a tokio runtime, in which the support task has to run.
    pub fn redis(
        url: &str,
        channel: String,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        Self::redis_with(url, &ClientTls::default(), channel, lifecycle, metrics)
    }

    /// Opens the channel as [`LiveBus::redis`] does, with certificates for a `rediss://` URL.
    ///
    /// # Errors
    /// [`Error::Broken`] if `url` is not a Redis URL, or a file cannot be used.
    ///
    /// # Panics
    /// As [`LiveBus::redis`] does.
    pub fn redis_with(
        url: &str,
        tls: &ClientTls,
        channel: String,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let hub = Hub::new(Self::CAPACITY, metrics);
        let backend = redis::RedisBus::link(url, tls, channel, hub.clone(), lifecycle)?;

        Ok(Self::over(Backend::Redis(backend), hub, metrics))
    }

    /// Opens a channel within this process, which is always up. `capacity` (at least 1, rounded up
    /// to a power of two) is the number of messages that wait for a slow receiver before it gets a
    /// [`Gap`](BusEvent::Gap) instead.
    pub fn local(capacity: usize, metrics: &Metrics) -> Self {
        let hub = Hub::new(capacity, metrics);
        Self::over(Backend::Local(local::LocalBus::open(&hub)), hub, metrics)
    }

    /// Hands `message` to all current listeners, which may be none. Takes at most 1 s, and almost
    /// no time while the link is known to be down.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the message is not known to be handed over. Do not publish it
    /// again: listeners that miss it notice and catch up.
    pub async fn publish(&self, message: Bytes) -> Result<(), Error> {
        let began = Instant::now();
        let outcome = match &self.backend {
            Backend::Redis(bus) => bus.publish(&message).await,
            Backend::Local(bus) => bus.publish(message),
        };

        // Failures count as well: they are what slows publishers down.
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

    /// Adds a listener. Its first event is [`Subscribed`](BusEvent::Subscribed), at once or when
    /// the link comes up. Messages that were published shortly before may still arrive.
    pub fn subscribe(&self) -> BusReceiver {
        Hub::subscribe(&self.hub)
    }

    /// Returns whether the link is up and subscribed, as far as is known: a dead server is noticed
    /// within 2 s.
    pub fn is_up(&self) -> bool {
        self.hub.is_up()
    }

    /// Returns why the link is down, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        match &self.backend {
            Backend::Redis(bus) => bus.trouble(),
            Backend::Local(_) => None,
        }
    }

    /// Returns the faults that a test can inject into a channel within this process; `None` for
    /// Redis.
    #[cfg(feature = "testkit")]
    pub fn faults(&self) -> Option<LocalFaults> {
        match &self.backend {
            Backend::Redis(_) => None,
            Backend::Local(bus) => Some(bus.faults()),
        }
    }

    fn over(backend: Backend, hub: Arc<Hub>, metrics: &Metrics) -> Self {
        // Up to the time limit of publishing.
        const SECONDS: [f64; 8] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.1, 0.5, 1.0];

        Self {
            backend,
            hub,
            published: metrics.counter("live_bus_published", "Messages handed to the live bus"),
            refused: metrics.counter(
                "live_bus_refused",
                "Messages that could not be handed to the live bus",
            ),
            duration: metrics.histogram(
                "live_bus_publish",
                "Time to publish on the live bus, failures included",
                Unit::Seconds,
                &SECONDS,
            ),
        }
    }
}
