//! Cache of rendered changes, kept beside the ring for the next subscriber with the same selection.
//!
//! One memory budget covers all selections together, so a popular selection may use what others do not.

use std::convert::Infallible;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

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

type Key = (SelectionKey, FeedOffset, ChangeKind);

/// Rendered changes by selection, feed offset and kind.
pub(crate) struct RenderCache(Cache<Key, Arc<str>, ByLength>);

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
        offset: FeedOffset,
        kind: ChangeKind,
        render: impl FnOnce() -> Arc<str>,
    ) -> Arc<str> {
        // A change wakes all its subscribers at the same moment. The cache lets the first of them render and the others
        // wait for it, where a plain look-up and insert would let each render its own copy.
        let rendering = self
            .0
            .get_or_insert_with(&(selection, offset, kind), || Ok::<_, Infallible>(render()));

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

impl Weighter<Key, Arc<str>> for ByLength {
    fn weight(&self, _key: &Key, rendering: &Arc<str>) -> u64 {
        ENTRY_OVERHEAD + rendering.len() as u64
    }
}
