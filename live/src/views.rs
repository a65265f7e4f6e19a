//! Views: pages of deals from memory.
//!
//! A View is a reader with a position, as a subscriber is. It holds the first deals of one (buyer, filter, order), exact
//! at its place, and catches up from the ring when it is read. So a seller that changes much costs nothing until somebody
//! reads, and no change ever drops a page.
//!
//! Locks are taken in one order: a View's own, then the feed's for reading. The feed's writer takes no View's lock.

mod index;
mod settings;
mod slot;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use backbone::telemetry::{Gauge, Metrics};
use backbone::time::Timestamp;
use parking_lot::Mutex;

use index::Index;

pub use settings::ViewSettings;
pub(crate) use slot::{Found, Slot};
#[cfg(test)]
pub(crate) use view::View;
pub(crate) use view::ViewKey;

/// The Views of a gateway.
pub(crate) struct Views {
    settings: ViewSettings,
    // Taken for a look-up or an insert only, never while a View is read or loaded.
    index: Mutex<Index>,
    views: Gauge,
    bytes: Gauge,
}

impl Views {
    /// Creates the collection, empty.
    pub(crate) fn new(settings: ViewSettings, metrics: &Metrics) -> Self {
        Self {
            settings,
            index: Mutex::new(Index::new(settings)),
            views: metrics.gauge("views", "Pages that are kept exact in memory"),
            bytes: metrics.gauge("view_bytes", "Memory of the pages that are kept exact"),
        }
    }

    /// Returns whether pages are served from memory at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// Returns the slot of a View that is kept, or that is requested for the second time within a short time; `None` for
    /// any other.
    pub(crate) fn admit(&self, key: &ViewKey, now: Timestamp) -> Option<Arc<Slot>> {
        let mut index = self.index.lock();
        let slot = index.admit(key, now);

        self.show(&index);
        slot
    }

    /// Takes note of what a View weighs after it has changed.
    pub(crate) fn weigh(&self, slot: &Slot, weight: u64) {
        let mut index = self.index.lock();
        index.weigh(slot, weight);

        self.show(&index);
    }

    fn show(&self, index: &Index) {
        self.views.set(index.len() as i64);
        self.bytes.set(index.bytes() as i64);
    }
}
