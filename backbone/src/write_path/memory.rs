//! The write memory: the last event that this process wrote to a subject, used as a speculative
//! starting point that saves loading it from the log.
//!
//! An entry may be outdated. That is harmless where an append follows, because the log checks the
//! expectation; a rejection, or the decision that nothing is to be done, must never rest on it.
//! Entries of an earlier connection do not count: where a server lost its newest events in a power
//! failure, a different event may have taken the remembered sequence.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::contract::{Fact, Subject};
use crate::position::Sequence;
use crate::time::Timestamp;

/// Bound of the estimated memory of all entries, in bytes.
const CAPACITY_BYTES: u64 = 32 << 20;
/// Number of entries that the cache's tables are sized for at first.
const EXPECTED_SUBJECTS: usize = 10_000;
/// Estimate for a fact with its recent mutations, without items, in bytes.
const BYTES_PER_FACT: u64 = 3_000;
/// Estimate for an item without its name, in bytes.
const BYTES_PER_ITEM: u64 = 80;

/// A subject's last event, as far as the write path needs it.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) sequence: Sequence,
    pub(super) time: Timestamp,
    pub(super) fact: Fact,
}

/// Cache of the newest known events of recently written subjects.
#[derive(Clone)]
pub(super) struct Memory(Arc<Cache<Subject, Arc<Entry>, Estimate>>);

struct Entry {
    /// Number of the connection to the log on which the event was written or read.
    connection: u64,
    last: Last,
}

impl Default for Memory {
    fn default() -> Self {
        let cache = Cache::with_weighter(EXPECTED_SUBJECTS, CAPACITY_BYTES, Estimate);
        Self(Arc::new(cache))
    }
}

impl Memory {
    /// Returns what was last known of a subject on this connection to the log.
    pub(super) fn recall(&self, subject: &Subject, connection: u64) -> Option<Last> {
        let entry = self.0.get(subject)?;

        // Sequences are only comparable within one connection; see the module's documentation.
        (entry.connection == connection).then(|| entry.last.clone())
    }

    /// Stores a subject's newest event, replacing what was known before.
    pub(super) fn remember(&self, subject: Subject, connection: u64, last: Last) {
        self.0.insert(subject, Arc::new(Entry { connection, last }));
    }
}

#[derive(Clone)]
struct Estimate;

impl Weighter<Subject, Arc<Entry>> for Estimate {
    fn weight(&self, _subject: &Subject, entry: &Arc<Entry>) -> u64 {
        // Items are the only part of a fact whose size a caller chooses by orders of magnitude.
        let items: u64 = match &entry.last.fact {
            Fact::Deal(fact) => fact
                .deal
                .items
                .iter()
                .map(|item| BYTES_PER_ITEM + item.name.len() as u64)
                .sum(),
            _ => 0,
        };
        BYTES_PER_FACT + items
    }
}
