//! Ids of what mutations create: derived from the caller's idempotency key where there is one, so
//! that a repeat finds what the first call created; random where there is none.
//!
//! Derived ids stay in the log for ever. With another namespace or another order of the parts,
//! repeats of older calls would no longer be recognised.

use std::fmt::Display;

use backbone::contract::Fingerprint;
use backbone::ids::{DealId, EventId, ItemId, SellerId};
use backbone::random;
use backbone::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// Namespace of all ids derived here (RFC 9562, section 5.5: version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x9fb3_2a0e_6d47_4c58_a1d5_70e8_4f2b_6c13);

/// Names of the mutations, as parts of [`event`] ids.
pub(crate) const CREATE_DEAL: &str = "createDeal";
pub(crate) const UPDATE_DEAL: &str = "updateDeal";
pub(crate) const GRANT_ACCESS: &str = "grantAccess";
pub(crate) const REVOKE_ACCESS: &str = "revokeAccess";

/// Returns the id of a mutation's event. It is chosen once, before the first attempt, so that every
/// attempt appends the same event.
pub(crate) fn event(
    seller: SellerId,
    mutation: &str,
    target: impl Display,
    key: Option<&str>,
) -> EventId {
    EventId(match key {
        // The key comes last because it alone may contain the separator: no two keys can give the
        // same text.
        Some(key) => derived(&format!("event|SELLER|{seller}|{mutation}|{target}|{key}")),
        None => random::random_id(),
    })
}

/// Returns the id of the event that creates a deal of a fixed id.
pub(crate) fn fixed_creation(seller: SellerId, deal: DealId) -> EventId {
    // A caller's key is at least one character long, so the empty key can never collide with one.
    event(seller, CREATE_DEAL, deal, Some(""))
}

/// Returns the id of a deal to be created.
pub(crate) fn deal(seller: SellerId, key: Option<&str>, now: Timestamp) -> DealId {
    DealId(match key {
        Some(key) => derived(&format!("deal|{seller}|{key}")),
        // Ordered by time, so that rows of new deals are inserted at the end of the index.
        None => random::row_id(now.as_micros()),
    })
}

/// Returns a new id for the item at `index` of a mutation's list.
///
/// `taken` tells which ids the deal has already. The derivation is public, so a caller can predict
/// an id and give it to another item; the next one in the series is used then.
pub(crate) fn item(event: EventId, index: usize, taken: impl Fn(ItemId) -> bool) -> ItemId {
    (0_u32..)
        .map(|attempt| ItemId(derived(&format!("item|{event}|{index}|{attempt}"))))
        .find(|id| !taken(*id))
        .expect("a deal has fewer items than the series has ids")
}

/// Returns the fingerprint by which a repeat of a request is compared with the first. The request
/// must be trimmed and must not contain its idempotency key.
pub(crate) fn request(request: &impl Serialize) -> Fingerprint {
    // JSON in the order of the fields' declaration, which is why inputs may not move or rename
    // them.
    let json = serde_json::to_vec(request)
        .expect("requests have string keys and no serializer that can fail");

    Fingerprint::of(&json)
}

fn derived(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use backbone::contract::DealStatus;

    use super::*;
    use crate::input::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch, Versions};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn seller(number: u128) -> SellerId {
        SellerId(Uuid::from_u128(number))
    }

    fn target(number: u128) -> DealId {
        DealId(Uuid::from_u128(number))
    }

    #[test]
    fn event_id_is_the_same_for_the_same_key_and_only_then() {
        let id =
            |number, mutation, deal, key| event(seller(number), mutation, target(deal), Some(key));
        let ids = [
            id(1, UPDATE_DEAL, 2, "key"),
            id(9, UPDATE_DEAL, 2, "key"),
            id(1, CREATE_DEAL, 2, "key"),
            id(1, UPDATE_DEAL, 9, "key"),
            id(1, UPDATE_DEAL, 2, "kez"),
            fixed_creation(seller(1), target(2)),
        ];

        assert_eq!(ids[0], id(1, UPDATE_DEAL, 2, "key"));
        assert_eq!(HashSet::from(ids).len(), ids.len(), "every part counts");

        let random = || event(seller(1), UPDATE_DEAL, target(2), None);
        assert_ne!(random(), random());
    }

    #[test]
    fn deal_id_of_a_keyed_creation_is_always_the_same_for_its_seller() {
        let later = Timestamp::from_micros(NOW.as_micros() + 1);
        assert_eq!(
            deal(seller(1), Some("key"), NOW),
            deal(seller(1), Some("key"), later)
        );
        assert_ne!(
            deal(seller(1), Some("key"), NOW),
            deal(seller(2), Some("key"), NOW)
        );
        assert_ne!(
            deal(seller(1), Some("key"), NOW),
            deal(seller(1), Some("kez"), NOW)
        );
        assert_ne!(deal(seller(1), None, NOW), deal(seller(1), None, NOW));
    }

    /// Pins values that logs of earlier releases contain: later releases must derive the same ones.
    #[test]
    fn derived_ids_and_fingerprints_never_change() {
        let id = event(seller(1), CREATE_DEAL, target(2), Some("a key | with all"));
        assert_eq!(id.to_string(), "d7fd8ba7-952d-51df-82bd-fd914ed44c05");
        assert_eq!(
            deal(seller(1), Some("a key"), NOW).to_string(),
            "2a8eb67d-ce22-5be2-ab78-9df080f4bdc5"
        );
        assert_eq!(
            item(id, 3, |_| false).to_string(),
            "bfc13428-f8c7-5ac2-b832-5b3f7c26f135"
        );

        let items = vec![NewItem {
            id: Some(ItemId(Uuid::from_u128(5))),
            name: "oak".to_owned(),
            price: 1,
        }];
        let creation = NewDeal {
            id: None,
            name: "Timber".to_owned(),
            total_price: 10,
            currency: "GBP".to_owned(),
            status: DealStatus::Reserved,
            discount: Some(NewDiscount::Percentage(12.5)),
            items: items.clone(),
        };
        let update = DealUpdate {
            expected_version: Some(3),
            discount: Patch::Remove,
            items: Some(items),
            ..DealUpdate::of(target(2))
        };

        let known =
            |text: &str| serde_json::from_value::<Fingerprint>(text.into()).expect("a fingerprint");
        assert_eq!(
            request(&creation),
            known("c5a1cfae6e496ed2b0743f50c7d62e20")
        );
        assert_eq!(request(&update), known("70adc104325f77008cfa6d0b68defc12"));
    }

    #[test]
    fn request_fingerprints_differ_by_every_field_but_not_by_surrounding_space() {
        let empty = || DealUpdate::of(target(2));
        let named = |name: &str| DealUpdate {
            name: Some(name.to_owned()),
            ..empty()
        };

        let requests = [
            empty(),
            named("a"),
            named("b"),
            DealUpdate {
                expected_version: Some(1),
                ..empty()
            },
            DealUpdate {
                total_price: Some(1),
                ..empty()
            },
            DealUpdate {
                currency: Some("GBP".to_owned()),
                ..empty()
            },
            DealUpdate {
                status: Some(DealStatus::Sold),
                ..empty()
            },
            DealUpdate {
                discount: Patch::Remove,
                ..empty()
            },
            DealUpdate {
                discount: Patch::Set(NewDiscount::Flat(1)),
                ..empty()
            },
            DealUpdate {
                discount: Patch::Set(NewDiscount::Percentage(1.0)),
                ..empty()
            },
            DealUpdate {
                items: Some(vec![]),
                ..empty()
            },
            DealUpdate {
                versions: Versions::OneOf(vec![1]),
                ..empty()
            },
            DealUpdate {
                versions: Versions::NoneOf(vec![1]),
                ..empty()
            },
        ];

        let fingerprints: HashSet<Fingerprint> = requests.iter().map(request).collect();
        assert_eq!(fingerprints.len(), requests.len());
        assert_eq!(request(&named(" a\n").trimmed()), request(&named("a")));
    }
}
