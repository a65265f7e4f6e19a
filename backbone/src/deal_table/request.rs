//! Requests for pages of deals, and their results.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::contract::{Deal, DealStatus};
use crate::ids::SellerId;
use crate::money::{Currency, MinorUnits};
use crate::position::{Position, Sequence};

/// The sellers whose deals a reader may see.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// One seller.
    Seller(SellerId),
    /// The sellers that a query with one parameter yields, given as the SQL text around it.
    Sellers {
        /// SQL text before the parameter.
        before: &'static str,
        /// Value of the parameter.
        of: Uuid,
        /// SQL text after the parameter.
        after: &'static str,
    },
}

/// Conditions that a deal must meet; absent ones restrict nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealFilter {
    /// Sellers, any of which the deal belongs to.
    pub seller_ids: Option<Vec<SellerId>>,
    /// Statuses, any of which the deal has.
    pub statuses: Option<Vec<DealStatus>>,
    /// Currency of the deal.
    pub currency: Option<Currency>,
    /// Lowest total price; requires `currency`.
    pub min_total_price: Option<MinorUnits>,
    /// Highest total price; requires `currency`.
    pub max_total_price: Option<MinorUnits>,
}

/// Order of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DealOrder {
    /// Most recently changed deals first.
    #[default]
    LastChangedFirst,
    /// Ascending total price, then id; requires `currency`.
    PriceAscending,
    /// Descending total price, then id; requires `currency`.
    PriceDescending,
}

/// Position of a deal in an order, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Position in [`DealOrder::LastChangedFirst`]: sequence of the deal's last change.
    Change(Sequence),
    /// Position in the price orders: total price in minor units, and id.
    Price(i64, Uuid),
}

impl Cursor {
    /// Encodes the cursor as the text that clients send back.
    pub fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(25);
        match self {
            Self::Change(sequence) => {
                bytes.push(b'c');
                bytes.extend(sequence.to_be_bytes());
            }
            Self::Price(price, id) => {
                bytes.push(b'p');
                bytes.extend(price.to_be_bytes());
                bytes.extend(id.as_bytes());
            }
        }

        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes a cursor of this order; `None` for any other text.
    pub fn decode(text: &str, order: DealOrder) -> Option<Self> {
        // The first byte names the order: a cursor of another order is rejected, not misread.
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        match (order, bytes.as_slice()) {
            (DealOrder::LastChangedFirst, [b'c', sequence @ ..]) => {
                let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
                // Tables hold sequences as signed 64-bit integers; a larger one is forged.
                i64::try_from(sequence).ok().map(|_| Self::Change(sequence))
            }
            (DealOrder::PriceAscending | DealOrder::PriceDescending, [b'p', rest @ ..]) => {
                let (price, id) = rest.split_first_chunk::<8>()?;
                Some(Self::Price(
                    i64::from_be_bytes(*price),
                    Uuid::from_slice(id).ok()?,
                ))
            }
            _ => None,
        }
    }
}

/// Size and limits of a page.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Largest number of deals.
    pub limit: u32,
    /// Takes the last deals of the order instead of the first. They are still returned in order.
    pub backwards: bool,
    /// Cursor that every deal of the page comes after.
    pub after: Option<Cursor>,
    /// Cursor that every deal of the page comes before.
    pub before: Option<Cursor>,
}

/// Request for a page.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Sellers whose deals may be on the page.
    pub scope: Scope,
    /// Conditions that the deals meet.
    pub filter: DealFilter,
    /// Order of the deals.
    pub order: DealOrder,
    /// Size and limits of the page.
    pub window: Window,
}

/// A deal as the tables or the feed hold it, with the event that made this state.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDeal {
    /// State of the deal.
    pub deal: Arc<Deal>,
    /// Sequence of the event that made the state. A deal has only one state for a sequence.
    pub sequence: Sequence,
}

/// A deal of a page, with its cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct PageDeal {
    /// Position of the deal in the order of the page.
    pub cursor: Cursor,
    /// The deal.
    pub deal: StoredDeal,
}

/// A page and the position of the log that it shows, from one snapshot.
#[derive(Clone, Debug)]
pub struct Page {
    /// Deals of the page in order.
    pub deals: Vec<PageDeal>,
    /// Set when more deals follow.
    pub has_next: bool,
    /// Set when more deals precede.
    pub has_previous: bool,
    /// End of the last event in the tables.
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_decodes_only_in_its_own_order() {
        let change = Cursor::Change(77);
        let price = Cursor::Price(12, Uuid::from_u128(9));
        assert_eq!(
            Cursor::decode(&change.encode(), DealOrder::LastChangedFirst),
            Some(change)
        );

        assert_eq!(
            Cursor::decode(&price.encode(), DealOrder::PriceDescending),
            Some(price)
        );

        assert_eq!(
            Cursor::decode(&change.encode(), DealOrder::PriceAscending),
            None
        );

        assert_eq!(
            Cursor::decode(&price.encode(), DealOrder::LastChangedFirst),
            None
        );

        assert_eq!(Cursor::decode("garbage", DealOrder::LastChangedFirst), None);
    }
}
