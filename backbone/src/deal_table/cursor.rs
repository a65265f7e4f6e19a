//! Cursors: the places of deals in an order, as clients send them back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::order::{DealKey, DealOrder};
use crate::position::{Epoch, Position, Sequence};

/// Place of a deal in an order, and the position of the page that showed it there. Opaque to
/// clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Place of the deal.
    pub key: DealKey,
    /// Position of the page that the cursor is of; `None` for a cursor of a release whose cursors
    /// had none. The page that follows must not be older, or a deal that has moved from one to the
    /// other would be on neither.
    pub shown_at: Option<Position>,
}

/// First bytes of a cursor, which name its order. A letter in upper case is followed by the epoch
/// and the sequence of the page's position, before the key.
const CHANGE: u8 = b'c';
const PRICE: u8 = b'p';

impl Cursor {
    /// Returns the cursor of a deal on a page with this position.
    pub fn new(key: DealKey, shown_at: Position) -> Self {
        Self {
            key,
            shown_at: Some(shown_at),
        }
    }

    /// Encodes the cursor as the text that clients send back.
    pub fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(41);

        let order = match self.key {
            DealKey::Change(_) => CHANGE,
            DealKey::Price(..) => PRICE,
        };

        match self.shown_at {
            Some(position) => {
                bytes.push(order.to_ascii_uppercase());
                bytes.extend(position.epoch.0.to_be_bytes());
                bytes.extend(position.sequence.to_be_bytes());
            }
            None => bytes.push(order),
        }

        match self.key {
            DealKey::Change(sequence) => bytes.extend(sequence.to_be_bytes()),
            DealKey::Price(price, id) => {
                bytes.extend(price.to_be_bytes());
                bytes.extend(id.as_bytes());
            }
        }

        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes a cursor of this order; `None` for any other text.
    pub fn decode(text: &str, order: DealOrder) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (letter, rest) = bytes.split_first()?;

        let mut shown_at = None;
        let mut rest = rest;
        if letter.is_ascii_uppercase() {
            let (epoch, behind_epoch) = rest.split_first_chunk::<8>()?;
            let (sequence, key) = behind_epoch.split_first_chunk::<8>()?;
            let epoch = Epoch(i64::from_be_bytes(*epoch));

            shown_at = Some(Position::end_of(epoch, stored_sequence(*sequence)?));
            rest = key;
        }

        // The first byte names the order: a cursor of another order is rejected, not misread.
        let key = match (order, letter.to_ascii_lowercase()) {
            (DealOrder::LastChangedFirst, CHANGE) => {
                DealKey::Change(stored_sequence(rest.try_into().ok()?)?)
            }
            (DealOrder::PriceAscending | DealOrder::PriceDescending, PRICE) => {
                let (price, id) = rest.split_first_chunk::<8>()?;
                DealKey::Price(i64::from_be_bytes(*price), Uuid::from_slice(id).ok()?)
            }
            _ => return None,
        };

        Some(Self { key, shown_at })
    }
}

/// Reads a sequence. Tables hold sequences as signed 64-bit integers, so a larger one is forged.
fn stored_sequence(bytes: [u8; 8]) -> Option<Sequence> {
    let sequence = u64::from_be_bytes(bytes);

    i64::try_from(sequence).ok().map(|_| sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE_KEY: DealKey = DealKey::Change(77);
    const PRICE_KEY: DealKey = DealKey::Price(12, Uuid::from_u128(9));

    fn cursors(key: DealKey) -> [Cursor; 2] {
        let shown_at = Position::end_of(Epoch(5), 80);

        [
            Cursor::new(key, shown_at),
            Cursor {
                key,
                shown_at: None,
            },
        ]
    }

    #[test]
    fn cursor_decodes_only_in_its_own_order() {
        for change in cursors(CHANGE_KEY) {
            let text = change.encode();
            assert_eq!(
                Cursor::decode(&text, DealOrder::LastChangedFirst),
                Some(change)
            );
            assert_eq!(Cursor::decode(&text, DealOrder::PriceAscending), None);
        }

        for price in cursors(PRICE_KEY) {
            let text = price.encode();
            assert_eq!(
                Cursor::decode(&text, DealOrder::PriceDescending),
                Some(price)
            );
            assert_eq!(Cursor::decode(&text, DealOrder::LastChangedFirst), None);
        }

        assert_eq!(Cursor::decode("garbage", DealOrder::LastChangedFirst), None);
    }

    #[test]
    fn cursor_of_an_earlier_release_stays_valid() {
        let mut bytes = vec![b'c'];
        bytes.extend(77_u64.to_be_bytes());
        let text = URL_SAFE_NO_PAD.encode(bytes);

        let decoded = Cursor::decode(&text, DealOrder::LastChangedFirst).expect("a cursor");
        assert_eq!((decoded.key, decoded.shown_at), (CHANGE_KEY, None));
    }

    #[test]
    fn cursor_with_a_sequence_that_no_table_holds_is_refused() {
        let beyond = Cursor::new(CHANGE_KEY, Position::end_of(Epoch(5), u64::MAX)).encode();
        assert_eq!(Cursor::decode(&beyond, DealOrder::LastChangedFirst), None);
    }
}
