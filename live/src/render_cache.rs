//! Results of pushes as bytes, kept beside the ring for whoever comes next with the same selection: the newest ones,
//! as many as a budget of memory holds, over all shapes together.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::ring::FeedOffset;
use crate::selection::SelectionKey;
use crate::visibility::ChangeKind;

/// Memory for results. Beyond it the least useful are dropped, and made again if somebody asks.
const BYTES: u64 = 64 << 20;
/// Results that the tables are made for at first.
const RESULTS: usize = 10_000;

type Key = (SelectionKey, FeedOffset, ChangeKind);

/// What has been render_cache.
pub(crate) struct RenderCache(Cache<Key, Arc<str>, ByLength>);

impl Default for RenderCache {
    fn default() -> Self {
        Self(Cache::with_weighter(RESULTS, BYTES, ByLength))
    }
}

impl RenderCache {
    /// The result for one selection and change. Whoever asks first makes it, and others that ask meanwhile wait for that
    /// one instead of making their own.
    pub(crate) fn get_or_render(
        &self,
        selection: SelectionKey,
        offset: FeedOffset,
        kind: ChangeKind,
        make: impl FnOnce() -> Arc<str>,
    ) -> Arc<str> {
        let made = self.0.get_or_insert_with(&(selection, offset, kind), || {
            Ok::<_, std::convert::Infallible>(make())
        });
        match made {
            Ok(result) => result,
            Err(never) => match never {},
        }
    }

    /// Drops everything: the tables were built anew.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Arc<str>> for ByLength {
    fn weight(&self, _key: &Key, result: &Arc<str>) -> u64 {
        // The text, and about what the tables take for it.
        160 + result.len() as u64
    }
}
