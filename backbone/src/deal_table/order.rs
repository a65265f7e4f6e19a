//! Orders of deals, and the places of deals in them.

use std::cmp::Ordering;

use uuid::Uuid;

use super::stored_deal::StoredDeal;
use crate::position::Sequence;

/// Order of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DealOrder {
    /// Most recently changed deals first.
    #[default]
    LastChangedFirst,
    /// Ascending total price, then id; requires `currency`.
    PriceAscending,
    /// Descending total price, then id; requires `currency`.
    PriceDescending,
}

/// Place of a deal in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DealKey {
    /// Place in [`DealOrder::LastChangedFirst`]: sequence of the deal's last change.
    Change(Sequence),
    /// Place in the price orders: total price in minor units, and id.
    Price(i64, Uuid),
}

impl DealOrder {
    /// Returns the place of a deal in this order.
    pub fn key(self, deal: &StoredDeal) -> DealKey {
        match self {
            Self::LastChangedFirst => DealKey::Change(deal.sequence),
            Self::PriceAscending | Self::PriceDescending => {
                DealKey::Price(deal.deal.total_price.get(), deal.deal.id.0)
            }
        }
    }

    /// Compares two places in this order. [`Ordering::Less`] comes first.
    pub fn compare(self, one: DealKey, other: DealKey) -> Ordering {
        match self {
            Self::PriceAscending => one.cmp(&other),
            Self::LastChangedFirst | Self::PriceDescending => other.cmp(&one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_compares_places_by_its_direction() {
        let cheap = DealKey::Price(12, Uuid::from_u128(9));
        let dear = DealKey::Price(13, Uuid::nil());
        assert_eq!(
            DealOrder::PriceAscending.compare(cheap, dear),
            Ordering::Less
        );
        assert_eq!(
            DealOrder::PriceDescending.compare(cheap, dear),
            Ordering::Greater
        );

        let newer = DealKey::Change(78);
        let older = DealKey::Change(77);
        assert_eq!(
            DealOrder::LastChangedFirst.compare(newer, older),
            Ordering::Less
        );
    }
}
