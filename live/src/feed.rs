//! The live feed of one gateway: its newest part in memory, and the way to the rest.

use std::future::poll_fn;
use std::sync::Arc;

use backbone::deal_table::StoredDeal;
use backbone::ids::SellerId;
use backbone::position::{Epoch, Position, Sequence};
use backbone::telemetry::{Counter, Gauge, Metrics};
use backbone::{Error, event_log::EventLog};
use buyer_core::BuyerSide;
use buyer_core::feed::Change;
use parking_lot::RwLock;

use crate::access_cache::AccessCache;
use crate::backlog::{Backlog, BacklogError, Found, ReadRequest};
use crate::error::SubscribeError;
use crate::liveness::Liveness;
use crate::render_cache::RenderCache;
use crate::ring::{Changes, FeedOffset, Ring, SLICE, Slice};
use crate::tip::{Tip, TipReader};

/// Memory for the ring, in bytes. A reader further behind reads the feed's table.
const RING_BYTES: usize = 64 << 20;

/// The live feed of one gateway.
pub struct Feed {
    buyers: BuyerSide,
    log: EventLog,
    // A lock for readers and writers: every shard and every View reads it for every batch, and a write happens once for
    // each batch.
    state: RwLock<Option<State>>,
    /// Tip of the ring, or a moment behind it.
    tip: Arc<Tip>,
    backlog: Backlog,
    pub(crate) access: AccessCache,
    pub(crate) render_cache: RenderCache,
    pub(crate) liveness: Liveness,
    metrics: FeedMetrics,
}

struct State {
    epoch: Epoch,
    generation: i32,
    ring: Ring,
}

/// Metrics of the feed.
pub(crate) struct FeedMetrics {
    tip: Gauge,
    /// Number of times that the ring was completed from the feed's table.
    pub(crate) heals: Counter,
}

/// Log, table build and sequence up to which the ring is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncState {
    /// Identity of the log.
    pub(crate) epoch: Epoch,
    /// Build of the tables that the changes come from.
    pub(crate) generation: i32,
    /// Sequence of the newest event that the ring covers.
    pub(crate) tip: u64,
}

/// Result of reading the feed from memory after an offset.
pub enum Read {
    /// Changes in order, and the offset to which they lead.
    Changes(Changes, FeedOffset),
    /// The offset is older than the ring, which begins after the event with this sequence.
    Behind(u64),
    /// The feed has not been loaded yet.
    NotLoaded,
}

/// Result of reading everything up to the tip from memory.
pub(crate) enum Since {
    /// Changes in order, and the tip to which they lead.
    Changes {
        /// The changes.
        changes: Changes,
        /// State of the ring that they were read from.
        synced: SyncState,
    },
    /// There are more changes than requested, or the ring no longer has them all.
    TooFar,
    /// The feed has not been loaded yet.
    NotLoaded,
}

impl Feed {
    /// Creates a feed that is empty until [`run_feed_sync`](crate::run_feed_sync) has loaded it.
    pub fn new(buyers: BuyerSide, log: EventLog, metrics: &Metrics) -> Arc<Self> {
        let backlog = Backlog::new(buyers.clone(), metrics);
        let metrics = FeedMetrics {
            tip: metrics.gauge("feed_tip", "Log sequence of the gateway's feed"),
            heals: metrics.counter(
                "feed_heals",
                "Times that the feed was completed from its table instead of the live bus",
            ),
        };

        Arc::new(Self {
            buyers,
            log,
            state: RwLock::new(None),
            tip: Arc::default(),
            backlog,
            access: AccessCache::default(),
            render_cache: RenderCache::default(),
            liveness: Liveness::default(),
            metrics,
        })
    }

    /// Returns the newest position that the feed covers; `None` before it is loaded.
    pub fn tip(&self) -> Option<Position> {
        self.state
            .read()
            .as_ref()
            .map(|state| Position::end_of(state.epoch, state.ring.tip()))
    }

    /// Returns the number of the build of the tables that the ring's changes come from; `None` before it is loaded.
    ///
    /// Access is read again before a new generation shows here, and a change of the new tables is read only after that.
    pub fn generation(&self) -> Option<i32> {
        self.state.read().as_ref().map(|state| state.generation)
    }

    /// Returns where a subscriber begins: after the position it names, or at the tip if it names none.
    ///
    /// # Errors
    /// [`SubscribeError::NotReady`] before the feed is loaded, [`SubscribeError::OtherLog`] for a position of another
    /// epoch, [`SubscribeError::NotReached`] for one beyond the head of the log, and [`SubscribeError::Store`] when the
    /// head cannot be read.
    pub async fn start(
        &self,
        after: Option<Position>,
    ) -> Result<(Epoch, FeedOffset), SubscribeError> {
        let tip = self.tip().ok_or(SubscribeError::NotReady)?;
        let Some(after) = after else {
            return Ok((tip.epoch, tip.order()));
        };

        if after.epoch != tip.epoch {
            return Err(SubscribeError::OtherLog);
        }

        // A client may come from a gateway that was ahead of this one. A position between the tip and the head will be
        // reached soon, and the subscriber waits for it. The log is asked only then, since that costs a round trip.
        if after.sequence > tip.sequence && after.sequence > self.log.head().await? {
            return Err(SubscribeError::NotReached);
        }

        Ok((tip.epoch, after.order()))
    }

    pub(crate) fn buyers(&self) -> &BuyerSide {
        &self.buyers
    }

    pub(crate) fn metrics(&self) -> &FeedMetrics {
        &self.metrics
    }

    /// Returns what the ring covers; `None` before it is loaded.
    pub(crate) fn sync_state(&self) -> Option<SyncState> {
        self.state.read().as_ref().map(|state| SyncState {
            epoch: state.epoch,
            generation: state.generation,
            tip: state.ring.tip(),
        })
    }

    /// Replaces the ring by one that begins after event `floor` and holds `changes` up to the tip of `synced`. Readers
    /// whose offsets are older than the new floor go to the table.
    pub(crate) fn reset(&self, synced: SyncState, floor: u64, changes: Vec<Change>) {
        let SyncState {
            epoch,
            generation,
            tip,
        } = synced;
        let mut ring = Ring::new(floor, RING_BYTES);

        ring.append(changes, tip);

        *self.state.write() = Some(State {
            epoch,
            generation,
            ring,
        });

        // Tables that were built anew may give a change of the same offset another content.
        self.render_cache.clear();
        self.announce(tip);
    }

    /// Appends what follows the tip and wakes the subscribers concerned. Does nothing unless the tip moves.
    pub(crate) fn append(&self, changes: Vec<Change>, tip: u64) {
        let mut guard = self.state.write();
        let Some(state) = guard.as_mut() else { return };

        let old_tip = state.ring.tip();
        let new: Vec<Arc<Change>> = state.ring.append(changes, tip);
        let new_tip = state.ring.tip();

        if new_tip == old_tip {
            return;
        }

        // Still under the lock: whoever reads the new changes finds access as they left it.
        self.access.apply(&new);
        drop(guard);

        self.announce(new_tip);
    }

    /// Wakes those that wait for a newer tip, once everything up to it can be read.
    fn announce(&self, tip: Sequence) {
        // Without the ring's lock: whoever is woken takes it at once.
        self.tip.advance(tip);
        self.metrics.tip.set(tip as i64);
    }

    /// Returns a reader that is woken whenever the tip moves.
    pub fn tip_reader(&self) -> TipReader {
        Tip::reader(&self.tip)
    }

    /// Reads from memory what follows an offset: at most 64 changes.
    pub fn read(&self, offset: FeedOffset) -> Read {
        let state = self.state.read();
        match state.as_ref().map(|state| state.ring.after(offset, SLICE)) {
            Some(Slice::Changes(changes, reached)) => Read::Changes(changes, reached),
            Some(Slice::Behind(floor)) => Read::Behind(floor),
            None => Read::NotLoaded,
        }
    }

    /// Reads everything that follows the end of event `place`, if that is at most `max` changes, and how far it leads.
    pub(crate) fn since(&self, place: Sequence, max: usize) -> Since {
        // One lock section: the changes lead exactly to the tip that is returned with them.
        let state = self.state.read();
        let Some(state) = state.as_ref() else {
            return Since::NotLoaded;
        };

        let tip = state.ring.tip();
        let end = (tip, Position::END);
        match state.ring.after((place, Position::END), max) {
            Slice::Changes(changes, reached) if reached >= end => Since::Changes {
                changes,
                synced: SyncState {
                    epoch: state.epoch,
                    generation: state.generation,
                    tip,
                },
            },
            Slice::Changes(..) | Slice::Behind(_) => Since::TooFar,
        }
    }

    /// Replaces each of these deals by the ring's own, if the ring holds the same: both then share one place in memory.
    pub(crate) fn share(&self, deals: &mut [StoredDeal]) {
        let state = self.state.read();
        let Some(state) = state.as_ref() else { return };

        for stored in deals {
            let held = state.ring.deal(stored.sequence, stored.deal.id);

            // Compared, since tables that were built anew may give an event another effect than the feed has of it.
            if let Some(held) = held.filter(|held| **held == stored.deal) {
                stored.deal = Arc::clone(held);
            }
        }
    }

    /// Completes when the tip has reached a sequence.
    pub(crate) async fn reaches(&self, sequence: Sequence) {
        let Some(before) = sequence.checked_sub(1) else {
            return;
        };

        let reader = self.tip_reader();
        poll_fn(|context| reader.poll_beyond(before, context)).await;
    }

    /// Reads from the table what the ring, which begins after event `floor`, no longer holds.
    ///
    /// # Errors
    /// [`BacklogError::Expired`] when the table no longer has it either, [`BacklogError::Unavailable`] when the database
    /// does not answer.
    pub(crate) async fn read_behind(
        &self,
        offset: FeedOffset,
        floor: u64,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, BacklogError> {
        let Some(synced) = self.sync_state() else {
            let not_loaded = Error::unavailable("feed", "it has not been loaded yet");
            return Err(BacklogError::Unavailable(not_loaded));
        };

        // The read ends at the tip although the table may be ahead of it: access intervals are only as new as the tip,
        // and a change beyond it could be shown to a buyer whose access has just been revoked.
        let request = ReadRequest {
            offset,
            floor,
            tip: synced.tip,
            generation: synced.generation,
        };

        self.backlog.after(request, sellers).await
    }
}
