//! The ids of what mutations make: derived from the caller's idempotency key where there is one, so that a repeat
//! finds what the first made; random where there is none.
//!
//! What is derived here is kept in the log for ever. Another namespace or another order of the parts would make
//! every old key unknown.

use std::fmt::Display;

use backbone::chance;
use backbone::contract::Fingerprint;
use backbone::ids::{DealId, EventId, ItemId, SellerId};
use backbone::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// The namespace of all ids derived here (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x9fb3_2a0e_6d47_4c58_a1d5_70e8_4f2b_6c13);

/// The mutations' names in [`event`].
pub(crate) const CREATE_DEAL: &str = "createDeal";
pub(crate) const UPDATE_DEAL: &str = "updateDeal";
pub(crate) const GRANT_ACCESS: &str = "grantAccess";
pub(crate) const REVOKE_ACCESS: &str = "revokeAccess";

/// The id of a mutation's event: made once, before the first attempt.
pub(crate) fn event(seller: SellerId, mutation: &str, target: impl Display, key: Option<&str>) -> EventId {
    EventId(match key {
        // The key comes last: it alone may contain the separator.
        Some(key) => derived(&format!("event|SELLER|{seller}|{mutation}|{target}|{key}")),
        None => chance::random_id(),
    })
}

/// The id of the event that creates a deal of a fixed id. No key is empty, so no key leads here.
pub(crate) fn creation_of_fixed(seller: SellerId, deal: DealId) -> EventId {
    event(seller, CREATE_DEAL, deal, Some(""))
}

/// The id of a deal to be created.
pub(crate) fn deal(seller: SellerId, key: Option<&str>, now: Timestamp) -> DealId {
    DealId(match key {
        Some(key) => derived(&format!("deal|{seller}|{key}")),
        None => chance::row_id(now.as_micros()),
    })
}

/// The id of the item at `index` of a mutation's list. `taken`: ids that it must not be, which only somebody who
/// foresaw it can have given.
pub(crate) fn item(event: EventId, index: usize, taken: impl Fn(ItemId) -> bool) -> ItemId {
    let tries = (0_u32..).map(|again| ItemId(derived(&format!("item|{event}|{index}|{again}"))));
    tries.into_iter().find(|id| !taken(*id)).expect("a list of items is finite")
}

/// What a repeat of a request is compared by. The request is trimmed and does not hold its key.
pub(crate) fn request(of: &impl Serialize) -> Fingerprint {
    Fingerprint::of(&serde_json::to_vec(of).expect("inputs have string keys and no failing serializer"))
}

fn derived(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
