//! The gateway's copy of the feed's newest part, and the way to the rest.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backbone::ids::SellerId;
use backbone::position::{Epoch, Position};
use backbone::telemetry::{Counter, Gauge, Metrics};
use backbone::{Error, event_log::EventLog};
use buyer_core::BuyerSide;
use buyer_core::feed::Change;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::access_cache::AccessCache;
use crate::backlog::{Backlog, Found, ReadRequest, Stopped};
use crate::error::SubscribeError;
use crate::render_cache::RenderCache;
use crate::ring::FeedOffset;
use crate::ring::{Changes, Ring, SLICE, Slice};
use crate::wakeups::{Registration, Topic, Wakeups};

/// Memory for changes; a reader further behind reads the table.
const RING_BYTES: usize = 64 << 20;

/// The live feed of one gateway.
pub struct Feed {
    buyers: BuyerSide,
    log: EventLog,
    /// Read by every subscriber for every batch that concerns it.
    state: RwLock<Option<State>>,
    /// The ring's tip, or a moment ahead of it: for those who only ask whether there is more.
    tip_ahead: AtomicU64,
    backlog: Backlog,
    pub(crate) wakeups: Arc<Wakeups>,
    pub(crate) access: AccessCache,
    pub(crate) render_cache: RenderCache,
    metrics: FeedMetrics,
}

struct State {
    epoch: Epoch,
    generation: i32,
    ring: Ring,
}

pub(crate) struct FeedMetrics {
    tip: Gauge,
    pub(crate) heals: Counter,
}

/// What a reader finds after its offset.
pub(crate) enum Read {
    /// These changes, and the offset that they lead to.
    Changes(Changes, FeedOffset),
    /// Older than the ring, which begins after this event.
    Behind(u64),
    /// The feed has not been read yet.
    NotYet,
}

impl Feed {
    /// Empty until [`super::keep`] has read where the feed stands.
    pub fn new(buyers: BuyerSide, log: EventLog, metrics: &Metrics) -> Arc<Self> {
        let backlog = Backlog::new(buyers.clone(), metrics);
        let metrics = FeedMetrics {
            tip: metrics.gauge("feed_tip", "Log sequence of the gateway's feed"),
            heals: metrics.counter(
                "feed_heals",
                "Times that the feed was read on from the table",
            ),
        };
        Arc::new(Self {
            buyers,
            log,
            state: RwLock::new(None),
            tip_ahead: AtomicU64::new(0),
            backlog,
            wakeups: Arc::default(),
            access: AccessCache::default(),
            render_cache: RenderCache::default(),
            metrics,
        })
    }

    pub(crate) fn buyers(&self) -> &BuyerSide {
        &self.buyers
    }

    pub(crate) fn metrics(&self) -> &FeedMetrics {
        &self.metrics
    }

    /// The log's identity and the newest offset held; `None` before the first look.
    pub fn tip(&self) -> Option<Position> {
        self.state()
            .as_ref()
            .map(|state| Position::end_of(state.epoch, state.ring.tip()))
    }

    /// Whether there may be changes after a offset. A no holds until the next [`Wakeups::announce`], which comes after
    /// whatever makes it a yes.
    pub(crate) fn goes_beyond(&self, offset: FeedOffset) -> bool {
        (self.tip_ahead.load(Ordering::SeqCst), Position::END) > offset
    }

    /// Begins, or begins anew, with the changes after a offset up to a tip: readers from before go to the table.
    pub(crate) fn begin(
        &self,
        (epoch, generation): (Epoch, i32),
        floor: u64,
        changes: Vec<Change>,
        tip: u64,
    ) {
        let mut ring = Ring::new(floor, RING_BYTES);
        ring.append(changes, tip);
        *self.write() = Some(State {
            epoch,
            generation,
            ring,
        });
        self.render_cache.clear();
        self.tip_ahead.store(tip, Ordering::SeqCst);
        self.metrics.tip.set(tip as i64);
    }

    /// Epoch, generation and tip.
    pub(crate) fn standing(&self) -> Option<(Epoch, i32, u64)> {
        self.state()
            .as_ref()
            .map(|state| (state.epoch, state.generation, state.ring.tip()))
    }

    /// Takes what follows the tip. Readers are told before they can read it, so that none goes to sleep on it.
    pub(crate) fn append(&self, changes: Vec<Change>, tip: u64) {
        let mut held = self.write();
        let Some(state) = held.as_mut() else { return };
        let known = state.ring.tip();
        let new: Vec<Arc<Change>> = state.ring.append(changes, tip);
        if state.ring.tip() == known {
            return;
        }
        self.tip_ahead.store(state.ring.tip(), Ordering::SeqCst);
        // Still under the lock: whoever reads the new tip finds access and wake-ups done.
        self.access.take(&new);
        self.wakeups.notify(&new);
        let tip = state.ring.tip();
        drop(held);
        self.metrics.tip.set(tip as i64);
    }

    /// Reads from memory.
    pub(crate) fn read(&self, offset: FeedOffset) -> Read {
        match self
            .state()
            .as_ref()
            .map(|state| state.ring.after(offset, SLICE))
        {
            Some(Slice::Changes(changes, reached)) => Read::Changes(changes, reached),
            Some(Slice::Behind(floor)) => Read::Behind(floor),
            None => Read::NotYet,
        }
    }

    /// Reads what the ring, which begins after `floor`, no longer holds; never beyond the tip, for what is known of
    /// access is as old as the tip.
    pub(crate) async fn read_behind(
        &self,
        offset: FeedOffset,
        floor: u64,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, Stopped> {
        let Some((_, generation, tip)) = self.standing() else {
            return Err(Stopped::Away(Error::unavailable(
                "feed",
                "it has not been read yet",
            )));
        };
        self.backlog
            .after(
                ReadRequest {
                    offset,
                    floor,
                    tip,
                    generation,
                },
                sellers,
            )
            .await
    }

    /// Where a subscriber begins: after the position it names, or at the tip.
    pub async fn start(
        &self,
        after: Option<Position>,
    ) -> Result<(Epoch, FeedOffset), SubscribeError> {
        let tip = self.tip().ok_or(SubscribeError::NotReady)?;
        let Some(after) = after else {
            return Ok((tip.epoch, tip.order()));
        };
        if after.epoch != tip.epoch {
            return Err(SubscribeError::OtherMarket);
        }
        // Beyond the tip but not beyond the log: it will come, the subscriber waits for it.
        if after.sequence > tip.sequence && after.sequence > self.log.head().await? {
            return Err(SubscribeError::NotReached);
        }
        Ok((tip.epoch, after.order()))
    }

    pub(crate) fn register(&self, topics: HashSet<Topic>) -> Registration {
        let mut registration = Registration::new(Arc::clone(&self.wakeups));
        registration.follow(topics);
        registration
    }

    fn state(&self) -> RwLockReadGuard<'_, Option<State>> {
        self.state.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state.write()
    }
}
