//! Every rule of a deal at each of its bounds, as tables.

mod creation;
mod items;
mod update;

use backbone::FieldError;
use backbone::contract::{Deal, DealStatus};
use backbone::ids::{DealId, EventId, ItemId, SellerId};
use backbone::time::Timestamp;
use uuid::Uuid;

use super::{Changed, Identity, create, update};
use crate::input::{DealUpdate, NewDeal, NewItem};
use crate::refusal::Refusal;

const MAX: i64 = (1 << 53) - 1;
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const LATER: Timestamp = Timestamp::from_micros(1_700_000_001_000_000);

fn item_id(number: u128) -> ItemId {
    ItemId(Uuid::from_u128(number))
}

fn event_id(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

fn item(name: &str, price: i64) -> NewItem {
    NewItem {
        id: None,
        name: name.to_owned(),
        price,
    }
}

fn item_with_id(number: u128, name: &str, price: i64) -> NewItem {
    NewItem {
        id: Some(item_id(number)),
        ..item(name, price)
    }
}

fn new_deal() -> NewDeal {
    NewDeal {
        id: None,
        name: "Timber".to_owned(),
        total_price: 1_000,
        currency: "GBP".to_owned(),
        status: DealStatus::Available,
        discount: None,
        items: vec![item_with_id(1, "oak", 600), item_with_id(2, "ash", 400)],
    }
}

fn created(input: &NewDeal) -> Result<Deal, Vec<FieldError>> {
    let identity = Identity {
        seller: SellerId(Uuid::from_u128(70)),
        deal: DealId(Uuid::from_u128(71)),
        event: event_id(72),
    };

    create(input, identity, NOW)
}

fn deal() -> Deal {
    created(&new_deal()).unwrap()
}

fn empty_update() -> DealUpdate {
    DealUpdate::of(deal().id)
}

fn updated(deal: &Deal, input: &DealUpdate) -> Changed {
    update(deal, input, event_id(73), LATER)
        .unwrap()
        .expect("something changes")
}

fn paths(errors: &[FieldError]) -> Vec<&str> {
    errors.iter().map(|error| error.path.as_str()).collect()
}

/// Returns the paths of an update's violations.
fn violations(deal: &Deal, input: &DealUpdate) -> Vec<String> {
    match update(deal, input, event_id(73), LATER) {
        Ok(_) => Vec::new(),
        Err(Refusal::Invalid(errors)) => errors.into_iter().map(|error| error.path).collect(),
        Err(other) => panic!("{other}"),
    }
}
