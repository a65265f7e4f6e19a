//! What this process wrote last, by subject: a guess at the subject's last event that saves asking the log for it.
//!
//! A guess may be old. That is harmless where something is appended, since the log checks the expectation; a "no", or
//! that nothing is to be done, must never rest on it. A guess from before a lost connection is none: where a server
//! forgot its newest events in a power loss, another event may stand at the sequence that was known.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::contract::{Fact, Subject};
use crate::position::Sequence;

/// Memory for guesses, as estimated.
const KEPT_BYTES: u64 = 32 << 20;
/// Subjects that the tables are made for at first.
const SUBJECTS: usize = 10_000;

/// A subject's last event, as far as the write path needs it.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) sequence: Sequence,
    pub(super) fact: Fact,
}

/// The newest known state of subjects written lately.
#[derive(Clone)]
pub(super) struct Memory(Arc<Cache<Subject, Arc<Kept>, Estimate>>);

struct Kept {
    connection: u64,
    last: Last,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Cache::with_weighter(
            SUBJECTS, KEPT_BYTES, Estimate,
        )))
    }
}

impl Memory {
    /// What was last known of a subject on this connection to the log.
    pub(super) fn recall(&self, subject: &Subject, connection: u64) -> Option<Last> {
        let kept = self.0.get(subject)?;
        (kept.connection == connection).then(|| kept.last.clone())
    }

    pub(super) fn keep(&self, subject: Subject, connection: u64, last: Last) {
        self.0.insert(subject, Arc::new(Kept { connection, last }));
    }
}

#[derive(Clone)]
struct Estimate;

impl Weighter<Subject, Arc<Kept>> for Estimate {
    fn weight(&self, _subject: &Subject, kept: &Arc<Kept>) -> u64 {
        let items = match &kept.last.fact {
            Fact::Deal(fact) => fact
                .deal
                .items
                .iter()
                .map(|item| 80 + item.name.len() as u64)
                .sum(),
            _ => 0,
        };
        // The state itself, and the mutations that it remembers.
        3_000 + items
    }
}
