//! Deals of the demo market.

use backbone::contract::DealStatus::{self, Available, Reserved, Sold};
use backbone::ids::{DealId, ItemId};
use seller_core::{NewDeal, NewDiscount, NewItem};
use uuid::{Uuid, uuid};

/// Id of the first seller's first deal, which the README updates.
pub const DEAL: Uuid = uuid!("56c5e92a-683b-430e-8466-5721c7cacb90");

const OAK_BOARDS: Uuid = uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e01");
const COPPER_PIPE: Uuid = uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e02");
const ROOF_TILES: Uuid = uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e03");
const OTHER_DEAL: Uuid = uuid!("b3f1a3c6-5d43-4f0e-8c55-0f1b8c9d2e04");

/// Returns the demo's deals, each with its seller.
pub(super) fn of_demo(seller: Uuid, other_seller: Uuid) -> [(Uuid, NewDeal); 5] {
    let mut first = of_one_item(Some(DEAL), "john doe", 122_300, Available);
    first.discount = Some(NewDiscount::Flat(1_234));

    let mut boards = of_one_item(Some(OAK_BOARDS), "Oak boards", 129_900, Available);
    boards.discount = Some(NewDiscount::Percentage(12.5));

    let pipe = of_one_item(Some(COPPER_PIPE), "Copper pipe", 45_550, Reserved);
    let tiles = of_one_item(Some(ROOF_TILES), "Roof tiles", 84_000, Sold);
    let other = of_one_item(Some(OTHER_DEAL), "Not for every eye", 99_900, Available);
    [
        (seller, first),
        (seller, boards),
        (seller, pipe),
        (seller, tiles),
        (other_seller, other),
    ]
}

/// Builds a deal of one item in GBP, whose price is the deal's price in minor units.
pub(super) fn of_one_item(id: Option<Uuid>, name: &str, price: i64, status: DealStatus) -> NewDeal {
    // A deal with a fixed id has a fixed item id as well, so that creating it again is the same request.
    let item = id.map(|deal| ItemId(Uuid::new_v5(&deal, b"item")));

    NewDeal {
        id: id.map(DealId),
        name: name.to_owned(),
        total_price: price,
        currency: "GBP".to_owned(),
        status,
        discount: None,
        items: vec![NewItem {
            id: item,
            name: name.to_owned(),
            price,
        }],
    }
}
