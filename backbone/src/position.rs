//! Places in the log's order, and their opaque public form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A log's random identity: 63 bits, never zero.
///
/// A position of another epoch belongs to another log, whatever its numbers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Epoch(pub i64);

/// The place of one event in the log: 1 for the first. 0 stands before all events.
pub type Sequence = u64;

/// A place in the market's order: an event, and a change within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// Which event.
    pub sequence: Sequence,
    /// Which change of the event; [`Position::END`] sorts after them all.
    pub index: u16,
}

/// The encoding's version: the first byte, so that it can grow without breaking what clients stored.
const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 + 8 + 2;

impl Position {
    /// The index that stands after every change of an event.
    pub const END: u16 = u16::MAX;

    /// The end of an event: what pages, payloads, heartbeats and projection rows carry.
    pub const fn end_of(epoch: Epoch, sequence: Sequence) -> Self {
        Self {
            epoch,
            sequence,
            index: Self::END,
        }
    }

    /// What orders changes of one log.
    pub const fn order(self) -> (Sequence, u16) {
        (self.sequence, self.index)
    }

    /// The opaque text that clients store.
    pub fn encode(self) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[17..19].copy_from_slice(&self.index.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Position::encode`] wrote; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [VERSION, rest @ ..] = bytes else {
            return None;
        };
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, index) = rest.split_first_chunk::<8>()?;
        let (sequence, index) = (
            u64::from_be_bytes(*sequence),
            u16::from_be_bytes([index[0], index[1]]),
        );
        // Stores count sequences in signed 64 bits.
        i64::try_from(sequence).ok()?;
        Some(Self {
            epoch: Epoch(i64::from_be_bytes(*epoch)),
            sequence,
            index,
        })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.encode())
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::decode(&String::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("not a position"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text() {
        let position = Position {
            epoch: Epoch(i64::MAX),
            sequence: 7,
            index: 3,
        };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert!(Position::end_of(Epoch(1), 7).order() > position.order());
    }

    #[test]
    fn garbage_is_no_position() {
        let good = Position::end_of(Epoch(5), 9).encode();
        let other_version = format!("B{}", &good[1..]);
        let beyond = Position {
            epoch: Epoch(5),
            sequence: u64::MAX,
            index: 0,
        }
        .encode();
        for text in [
            "",
            "abc",
            "💥",
            &good[1..],
            &format!("{good}A"),
            &other_version,
            &beyond,
        ] {
            assert_eq!(Position::decode(text), None, "{text}");
        }
    }
}
