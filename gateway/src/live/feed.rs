//! The gateway's copy of the feed's newest part, and the way to the rest.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use backbone::ids::SellerId;
use backbone::position::{Epoch, Position};
use backbone::telemetry::{Counter, Gauge, Metrics};
use backbone::{Error, event_log::EventLog};
use buyer_core::BuyerSide;
use buyer_core::feed::Change;

use super::Place;
use super::access_book::AccessBook;
use super::history::{Asked, Found, History, Stopped};
use super::interest::{Interest, Registration, Topic};
use super::rendered::Rendered;
use super::ring::{Changes, Ring, SLICE, Slice};
use crate::error::{Code, Problem};

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
    history: History,
    pub(super) interest: Arc<Interest>,
    pub(super) access: AccessBook,
    pub(super) rendered: Rendered,
    metrics: FeedMetrics,
}

struct State {
    epoch: Epoch,
    generation: i32,
    ring: Ring,
}

pub(super) struct FeedMetrics {
    tip: Gauge,
    pub(super) heals: Counter,
}

/// What a reader finds after its place.
pub(super) enum Read {
    /// These changes, and the place that they lead to.
    Changes(Changes, Place),
    /// Older than the ring, which begins after this event.
    Behind(u64),
    /// The feed has not been read yet.
    NotYet,
}

impl Feed {
    /// Empty until [`super::keep`] has read where the feed stands.
    pub fn new(buyers: BuyerSide, log: EventLog, metrics: &Metrics) -> Arc<Self> {
        let history = History::new(buyers.clone(), metrics);
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
            history,
            interest: Arc::default(),
            access: AccessBook::default(),
            rendered: Rendered::default(),
            metrics,
        })
    }

    pub(super) fn buyers(&self) -> &BuyerSide {
        &self.buyers
    }

    pub(super) fn metrics(&self) -> &FeedMetrics {
        &self.metrics
    }

    /// The log's identity and the newest place held; `None` before the first look.
    pub fn tip(&self) -> Option<Position> {
        self.state()
            .as_ref()
            .map(|state| Position::end_of(state.epoch, state.ring.tip()))
    }

    /// Whether there may be changes after a place. A no holds until the next [`Interest::announce`], which comes after
    /// whatever makes it a yes.
    pub(super) fn goes_beyond(&self, place: Place) -> bool {
        (self.tip_ahead.load(Ordering::SeqCst), Position::END) > place
    }

    /// Begins, or begins anew, with the changes after a place up to a tip: readers from before go to the table.
    pub(super) fn begin(
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
        self.rendered.clear();
        self.tip_ahead.store(tip, Ordering::SeqCst);
        self.metrics.tip.set(tip as i64);
    }

    /// Epoch, generation and tip.
    pub(super) fn standing(&self) -> Option<(Epoch, i32, u64)> {
        self.state()
            .as_ref()
            .map(|state| (state.epoch, state.generation, state.ring.tip()))
    }

    /// Takes what follows the tip. Readers are told before they can read it, so that none goes to sleep on it.
    pub(super) fn append(&self, changes: Vec<Change>, tip: u64) {
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
        self.interest.announce(&new);
        let tip = state.ring.tip();
        drop(held);
        self.metrics.tip.set(tip as i64);
    }

    /// Reads from memory.
    pub(super) fn read(&self, place: Place) -> Read {
        match self
            .state()
            .as_ref()
            .map(|state| state.ring.after(place, SLICE))
        {
            Some(Slice::Changes(changes, reached)) => Read::Changes(changes, reached),
            Some(Slice::Behind(floor)) => Read::Behind(floor),
            None => Read::NotYet,
        }
    }

    /// Reads what the ring, which begins after `floor`, no longer holds; never beyond the tip, for what is known of
    /// access is as old as the tip.
    pub(super) async fn read_behind(
        &self,
        place: Place,
        floor: u64,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, Stopped> {
        let Some((_, generation, tip)) = self.standing() else {
            return Err(Stopped::Away(Error::unavailable(
                "feed",
                "it has not been read yet",
            )));
        };
        self.history
            .after(
                Asked {
                    place,
                    floor,
                    tip,
                    generation,
                },
                sellers,
            )
            .await
    }

    /// Where a subscriber begins: after the position it names, or at the tip.
    pub async fn start(&self, after: Option<Position>) -> Result<(Epoch, Place), Problem> {
        let tip = self
            .tip()
            .ok_or_else(|| Problem::new(Code::Unavailable, "the feed is not read yet"))?;
        let Some(after) = after else {
            return Ok((tip.epoch, tip.order()));
        };
        if after.epoch != tip.epoch {
            return Err(Problem::input("after", "is a position of another market"));
        }
        // Beyond the tip but not beyond the log: it will come, the subscriber waits for it.
        if after.sequence > tip.sequence && after.sequence > self.log.head().await? {
            return Err(Problem::input(
                "after",
                "is a position that the market has not reached",
            ));
        }
        Ok((tip.epoch, after.order()))
    }

    pub(super) fn register(&self, topics: HashSet<Topic>) -> Registration {
        let mut registration = Registration::new(Arc::clone(&self.interest));
        registration.follow(topics);
        registration
    }

    fn state(&self) -> RwLockReadGuard<'_, Option<State>> {
        self.state
            .read()
            .expect("nothing panics while it holds this lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state
            .write()
            .expect("nothing panics while it holds this lock")
    }
}
