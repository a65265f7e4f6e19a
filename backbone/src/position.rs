//! Positions in the log's order, and their opaque public form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Random identity of a log: 63 bits, never zero.
///
/// Positions of different epochs belong to different logs and cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Epoch(pub i64);

/// Number of an event in the log, from 1. The number 0 stands before all events.
pub type Sequence = u64;

/// Position in the log's order: an event, and a change within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Epoch of the log.
    pub epoch: Epoch,
    /// Sequence of the event.
    pub sequence: Sequence,
    /// Index of the change within the event, from 0; [`Position::END`] sorts after every change.
    pub index: u16,
}

/// Version of the encoding, its first byte: a later one must not break what clients have stored.
const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 + 8 + 2;

impl Position {
    /// Index after every change of an event.
    pub const END: u16 = u16::MAX;

    /// Returns the end of an event, which pages, payloads, heartbeats and projection rows carry.
    pub const fn end_of(epoch: Epoch, sequence: Sequence) -> Self {
        Self {
            epoch,
            sequence,
            index: Self::END,
        }
    }

    /// Returns the sort key within one log.
    pub const fn order(self) -> (Sequence, u16) {
        (self.sequence, self.index)
    }

    /// Encodes the position as the opaque text that clients store.
    pub fn encode(self) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[17..19].copy_from_slice(&self.index.to_be_bytes());

        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes a text of [`Position::encode`]; `None` for any other text.
    pub fn decode(text: &str) -> Option<Self> {
        // A fixed length first: everything after it is total.
        let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [VERSION, rest @ ..] = bytes else {
            return None;
        };

        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, index) = rest.split_first_chunk::<8>()?;
        let sequence = u64::from_be_bytes(*sequence);
        let index = u16::from_be_bytes([index[0], index[1]]);

        // Tables hold sequences as signed 64-bit integers; a larger one is forged.
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
            .ok_or_else(|| de::Error::custom("must be a position that this service issued"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_survives_encoding_and_decoding() {
        let position = Position {
            epoch: Epoch(i64::MAX),
            sequence: 7,
            index: 3,
        };

        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert!(Position::end_of(Epoch(1), 7).order() > position.order());
    }

    #[test]
    fn position_is_not_decoded_from_other_text() {
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
