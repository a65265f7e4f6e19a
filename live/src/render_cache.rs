//! Cache of rendered changes, kept beside the ring for the next subscriber with the same selection.
//!
//! One memory budget covers all selections together, so a popular selection may use what others do not.

use std::convert::Infallible;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::conflation::Shown;
use crate::rendered::Rendered;
use crate::ring::FeedOffset;
use crate::visibility::ChangeKind;

/// Memory for renderings, in bytes. Beyond it the least useful ones are evicted, and rendered again on demand.
const CACHE_BYTES: u64 = 64 << 20;

/// Number of renderings that the cache's tables are allocated for at first.
const INITIAL_CAPACITY: usize = 10_000;

/// Memory that the cache's tables take for one entry, beside its text, in bytes (an estimate).
const ENTRY_OVERHEAD: u64 = 160;

/// Opaque identity of a selection: a hash of everything that decides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SelectionKey(pub [u8; 16]);

/// The last number is that of the changes that a conflated one stands for, 0 for one that stands for itself.
type Key = (SelectionKey, FeedOffset, ChangeKind, u64);

/// Rendered changes by selection, feed offset, kind, and what they stand for.
pub(crate) struct RenderCache(Cache<Key, Arc<Rendered>, ByLength>);

impl Default for RenderCache {
    fn default() -> Self {
        Self(Cache::with_weighter(
            INITIAL_CAPACITY,
            CACHE_BYTES,
            ByLength,
        ))
    }
}

impl RenderCache {
    /// Returns the rendering of one change for one selection, calling `render` if the cache does not hold it.
    pub(crate) fn get_or_render(
        &self,
        selection: SelectionKey,
        shown: &Shown,
        render: impl FnOnce() -> Arc<Rendered>,
    ) -> Arc<Rendered> {
        // A change wakes all its subscribers at the same moment. The cache lets the first of them render and the others
        // wait for it, where a plain look-up and insert would let each render its own copy.
        let stands_for = shown
            .conflated
            .as_ref()
            .map_or(0, |conflated| conflated.digest);
        let key = (selection, shown.change.order(), shown.kind, stands_for);
        let rendering = self
            .0
            .get_or_insert_with(&key, || Ok::<_, Infallible>(render()));

        match rendering {
            Ok(rendering) => rendering,
            Err(never) => match never {},
        }
    }

    /// Drops every rendering, as after a rebuild of the tables that the changes come from.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

/// Weighs a rendering by its length.
#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Arc<Rendered>> for ByLength {
    fn weight(&self, _key: &Key, rendering: &Arc<Rendered>) -> u64 {
        ENTRY_OVERHEAD + rendering.json().len() as u64
    }
}
