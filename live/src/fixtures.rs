//! Deals for the unit tests.

use backbone::contract::{Deal, DealStatus};
use backbone::ids::{DealId, SellerId};
use backbone::money::MinorUnits;
use backbone::time::Timestamp;
use uuid::Uuid;

/// Returns an available deal with this id, of the seller whose id is nil.
pub(crate) fn deal(id: u128) -> Deal {
    Deal {
        id: DealId(Uuid::from_u128(id)),
        seller_id: SellerId(Uuid::nil()),
        name: "deal".to_owned(),
        total_price: MinorUnits::MAX,
        currency: "GBP".parse().expect("a currency"),
        status: DealStatus::Available,
        discount: None,
        items: Vec::new(),
        version: 1,
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    }
}
