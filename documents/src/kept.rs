//! Bytes of rendered objects, kept for the next response that selects the same of the same state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::select::{Selection, SelectionKey};

/// Memory that the cache's tables take for one entry, beside its bytes, in bytes (an estimate).
const ENTRY_OVERHEAD: u64 = 150;

/// Smallest number of fields for which bytes are kept. Fewer are written faster than they are found.
const MIN_FIELDS: u64 = 5;

/// State of an object: equal states are rendered to equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectState {
    /// Id of the object, unique over all types.
    pub id: [u8; 16],
    /// Number that differs for every state of the object.
    pub version: u64,
}

type Key = (SelectionKey, ObjectState);

/// Rendered objects by selection and state, bounded by memory.
pub struct Kept {
    cache: Cache<Key, Arc<[u8]>, ByLength>,
    renders: AtomicU64,
    copies: AtomicU64,
}

impl Kept {
    /// Creates an empty cache of at most `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            cache: Cache::with_weighter(10_000, bytes, ByLength),
            renders: AtomicU64::new(0),
            copies: AtomicU64::new(0),
        }
    }

    /// Returns how many objects were rendered and kept.
    pub fn renders(&self) -> u64 {
        self.renders.load(Ordering::Relaxed)
    }

    /// Returns how many objects were copied instead of rendered.
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// Returns the memory in use, in bytes (an estimate).
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// Drops everything, as after a change of what states mean.
    pub fn clear(&self) {
        self.cache.clear();
    }

    /// Returns whether objects with this selection are kept at all.
    pub(crate) fn is_worthwhile(&self, selection: &Selection) -> bool {
        selection.cost().fixed >= MIN_FIELDS
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<[u8]>> {
        let found = self.cache.get(key);
        if found.is_some() {
            self.copies.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    pub(crate) fn insert(&self, key: Key, bytes: &[u8]) {
        self.renders.fetch_add(1, Ordering::Relaxed);
        self.cache.insert(key, bytes.into());
    }
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Arc<[u8]>> for ByLength {
    fn weight(&self, _key: &Key, bytes: &Arc<[u8]>) -> u64 {
        ENTRY_OVERHEAD + bytes.len() as u64
    }
}
