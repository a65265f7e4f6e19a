//! The recent mutations of a subject, carried by each of its events, by which a repeat of a
//! mutation is recognised.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::EventId;

/// Number of a subject's newest events that are remembered, besides its first.
pub const RECENT_EVENTS: usize = 16;

/// The first 128 bits of a SHA-256 digest, as lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Computes the fingerprint of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        // Half of a SHA-256 still makes collisions infeasible, and every event carries many.
        Self(hex::encode(&digest[..16]))
    }
}

/// Record of the mutation that produced an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Id of the event.
    pub event: EventId,
    /// Fingerprint of the caller's idempotency key, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// Fingerprint of the request.
    pub request: Fingerprint,
    /// Version that the mutation produced.
    pub version: u32,
}

impl Applied {
    /// Returns whether both records are of the same request under the same idempotency key.
    pub fn same_request(&self, other: &Self) -> bool {
        self.request == other.request && self.key == other.key
    }
}

/// The mutations behind a subject's first and newest events, the carrying event included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recent {
    /// Mutation behind the first event, kept for ever so that a repeated creation is always
    /// recognised.
    pub creation: Applied,
    /// Mutations behind the newest events, oldest first, at most [`RECENT_EVENTS`]. The last one is
    /// behind the carrying event.
    pub latest: Vec<Applied>,
}

impl Recent {
    /// Builds the list of a subject's first event.
    pub fn first(applied: Applied) -> Self {
        Self {
            creation: applied.clone(),
            latest: vec![applied],
        }
    }

    /// Returns the list of the next event, from which the oldest mutation is dropped if it is full.
    pub fn then(&self, applied: Applied) -> Self {
        // Lists of other versions may be longer or shorter than ours.
        let forgotten = (self.latest.len() + 1).saturating_sub(RECENT_EVENTS);
        let mut latest = self.latest[forgotten.min(self.latest.len())..].to_vec();
        latest.push(applied);

        Self {
            creation: self.creation.clone(),
            latest,
        }
    }

    /// Finds the mutation behind `event`, if it is still remembered.
    pub fn find(&self, event: EventId) -> Option<&Applied> {
        self.latest
            .iter()
            // Newest first: a repeat usually follows its first attempt closely.
            .rev()
            .chain([&self.creation])
            .find(|applied| applied.event == event)
    }

    /// Returns whether every event after `revision` is remembered, given the subject's present
    /// revision `current`.
    pub fn reaches_back_to(&self, revision: u64, current: u64) -> bool {
        current.saturating_sub(revision) <= self.latest.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(number: u128) -> Applied {
        Applied {
            event: EventId(uuid::Uuid::from_u128(number)),
            key: None,
            request: Fingerprint::of(b"request"),
            version: number as u32,
        }
    }

    #[test]
    fn recent_mutations_are_the_creation_and_the_last_sixteen() {
        let recent = (2..=40).fold(Recent::first(applied(1)), |recent, number| {
            recent.then(applied(number))
        });

        assert_eq!(recent.latest.len(), RECENT_EVENTS);
        for (number, known) in [
            (1, true),
            (2, false),
            (24, false),
            (25, true),
            (40, true),
            (41, false),
        ] {
            assert_eq!(
                recent.find(applied(number).event).is_some(),
                known,
                "event {number}"
            );
        }

        assert!(recent.reaches_back_to(24, 40));
        assert!(!recent.reaches_back_to(23, 40));
    }
}
