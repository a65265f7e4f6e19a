//! The sockets of a gateway: hands each new connection to the next shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backbone::clock::Clock;
use backbone::lifecycle::Lifecycle;
use backbone::telemetry::Metrics;
use live::{Feed, Subscriber};
use tokio::io::duplex;
use tokio::sync::oneshot;

use crate::event_stream::{self, EventStream};
use crate::link::WriteHalf;
use crate::metrics::SocketMetrics;
use crate::opening::Opening;
use crate::service::Service;
use crate::settings::Settings;
use crate::shard::{Inbox, Newcomer, Shard, Shared, Wire};
use crate::stagger::Staggers;

/// The sockets of a gateway. Clones are the same.
pub struct Sockets<S: Service> {
    shards: Arc<[Inbox<S>]>,
    next: Arc<AtomicUsize>,
}

impl<S: Service> Clone for Sockets<S> {
    fn clone(&self) -> Self {
        Self {
            shards: Arc::clone(&self.shards),
            next: Arc::clone(&self.next),
        }
    }
}

impl<S: Service> Sockets<S> {
    /// Starts the shards as tasks of the process.
    pub fn start(
        service: S,
        feed: Arc<Feed>,
        settings: Settings,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Self {
        let shared = Arc::new(Shared {
            service: Arc::new(service),
            feed,
            clock: Clock::system(),
            settings,
            metrics: SocketMetrics::new(metrics),
            staggers: Staggers::default(),
            draining: lifecycle.draining(),
            stopping: lifecycle.stopping(),
        });

        let start = |_| {
            let (shard, inbox) = Shard::new(Arc::clone(&shared));
            lifecycle.spawn("sockets", shard.run());
            inbox
        };

        Self {
            shards: (0..settings.shards.max(1)).map(start).collect(),
            next: Arc::default(),
        }
    }

    /// Opens a websocket.
    pub fn open(&self, opening: Opening<S::Credentials>) {
        self.inbox().add(Newcomer::WebSocket(opening));
    }

    /// Opens an event stream for a subscription that has begun. With `positions`, each result tells the position of the
    /// one before it.
    pub fn open_stream(
        &self,
        subscriber: Box<Subscriber>,
        caller: S::Caller,
        positions: bool,
    ) -> EventStream {
        // Each end learns when the other is dropped.
        let (reads, writes) = duplex(event_stream::BUFFER);
        let (closed, is_closed) = oneshot::channel();

        self.inbox().add(Newcomer::EventStream {
            writes: WriteHalf::Stream(Box::new(writes)),
            is_closed,
            caller,
            subscriber,
            wire: Wire::event_stream(positions),
        });
        EventStream::new(reads, closed)
    }

    fn inbox(&self) -> &Inbox<S> {
        // Relaxed: a number that spreads the sockets, and orders nothing.
        let number = self.next.fetch_add(1, Ordering::Relaxed);

        &self.shards[number % self.shards.len()]
    }
}
