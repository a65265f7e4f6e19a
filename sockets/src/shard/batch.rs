//! Batch of changes that a shard is writing.

use std::sync::Arc;

use live::{Change, Changes, FeedOffset};

/// Changes that a shard has read and is writing, at most 64.
#[derive(Default)]
pub(super) struct Batch {
    changes: Changes,
    begin: FeedOffset,
}

impl Batch {
    /// Creates a batch of changes that follow an offset.
    pub(super) fn new(begin: FeedOffset, changes: Changes) -> Self {
        Self { changes, begin }
    }

    /// Returns the number of changes.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns the change with an index.
    pub(super) fn change(&self, index: usize) -> &Arc<Change> {
        &self.changes[index]
    }

    /// Returns the offset of whoever has read everything before the change with an index.
    pub(super) fn before(&self, index: usize) -> FeedOffset {
        match index.checked_sub(1) {
            Some(previous) => self.changes[previous].order(),
            None => self.begin,
        }
    }
}
