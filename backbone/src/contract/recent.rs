//! What a subject remembers of the mutations that made it, so that a repeat is known for one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::EventId;

/// How many of a subject's newest events are remembered, besides its first.
pub const RECENT_EVENTS: usize = 16;

/// 128 bits of a SHA-256, as lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        Self(hex::encode(&digest[..16]))
    }
}

/// What one event remembers of the mutation behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The event.
    pub event: EventId,
    /// Of the caller's idempotency key; none when the caller gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// Of what was asked.
    pub request: Fingerprint,
    /// The version it made.
    pub version: u32,
}

/// The creation and the newest events of a subject, the carrying event included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recent {
    /// The subject's first event: a repeated creation is known for ever.
    pub creation: Applied,
    /// The newest events, oldest first, at most [`RECENT_EVENTS`]; the last is the carrying event.
    pub latest: Vec<Applied>,
}

impl Recent {
    /// Of a subject's first event.
    pub fn first(applied: Applied) -> Self {
        Self {
            creation: applied.clone(),
            latest: vec![applied],
        }
    }

    /// With one more event.
    pub fn then(&self, applied: Applied) -> Self {
        let forgotten = (self.latest.len() + 1).saturating_sub(RECENT_EVENTS);
        let mut latest = self.latest[forgotten.min(self.latest.len())..].to_vec();
        latest.push(applied);
        Self {
            creation: self.creation.clone(),
            latest,
        }
    }

    /// The applied of this event, if it is remembered.
    pub fn find(&self, event: EventId) -> Option<&Applied> {
        self.latest
            .iter()
            .rev()
            .chain([&self.creation])
            .find(|applied| applied.event == event)
    }

    /// Whether every event after `revision` of a subject now at `current` is remembered.
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
    fn the_creation_and_the_last_sixteen_are_remembered() {
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
