//! Ids of items.

use backbone::contract::Item;

use super::*;
use crate::identity;

/// Returns the ids that new items get over old ones, which are given as (id, name, price).
fn ids_over(old: &[(u128, &str, i64)], new: Vec<NewItem>, by: EventId) -> Vec<ItemId> {
    let items = old
        .iter()
        .map(|&(number, name, price)| item_with_id(number, name, price))
        .collect();
    let deal = created(&NewDeal {
        items,
        ..new_deal()
    })
    .unwrap();
    let input = DealUpdate {
        items: Some(new),
        name: Some("Wood".to_owned()),
        ..empty_update()
    };
    let changed = update(&deal, &input, by, LATER)
        .unwrap()
        .expect("the name changes");
    changed
        .deal
        .items
        .iter()
        .map(|item: &Item| item.id)
        .collect()
}

#[test]
fn item_that_stays_the_same_keeps_its_id() {
    let old = [(1, "oak", 600), (2, "oak", 600), (3, "ash", 400)];
    let by = event_id(73);
    let fresh = |index| identity::item(by, index, |_| false);
    let table = [
        (
            "equal ones in order",
            vec![item("oak", 600), item("oak", 600)],
            vec![item_id(1), item_id(2)],
        ),
        (
            "moved",
            vec![item("ash", 400), item(" oak ", 600)],
            vec![item_id(3), item_id(1)],
        ),
        (
            "another name or price",
            vec![item("oak", 601), item("elm", 400)],
            vec![fresh(0), fresh(1)],
        ),
        (
            "one too many",
            vec![item("ash", 400), item("ash", 400)],
            vec![item_id(3), fresh(1)],
        ),
        (
            "named later",
            vec![item("oak", 600), item_with_id(1, "elm", 1)],
            vec![item_id(2), item_id(1)],
        ),
        (
            "named with its own",
            vec![item_with_id(2, "oak", 600), item("oak", 600)],
            vec![item_id(2), item_id(1)],
        ),
        (
            "named anew",
            vec![item_with_id(9, "oak", 600), item("oak", 600)],
            vec![item_id(9), item_id(1)],
        ),
    ];
    for (what, new, expected) in table {
        assert_eq!(ids_over(&old, new, by), expected, "{what}");
    }
}

#[test]
fn new_item_has_the_same_id_in_every_attempt_and_another_in_another_mutation() {
    let new = || vec![item("elm", 1), item("elm", 1)];
    let first = ids_over(&[(1, "oak", 600)], new(), event_id(73));
    assert_eq!(
        first,
        ids_over(&[(3, "ash", 1), (4, "fir", 2)], new(), event_id(73)),
        "another attempt"
    );
    assert_ne!(first[0], first[1]);
    let other = ids_over(&[(1, "oak", 600)], new(), event_id(74));
    assert!(first.iter().all(|id| !other.contains(id)));
}

#[test]
fn predicted_item_id_is_not_assigned_twice() {
    let predicted = identity::item(event_id(73), 0, |_| false);
    let new = vec![
        item("elm", 1),
        NewItem {
            id: Some(predicted),
            ..item("fir", 1)
        },
    ];
    let ids = ids_over(&[(1, "oak", 600)], new, event_id(73));
    assert_eq!(ids[1], predicted);
    assert_ne!(ids[0], ids[1]);
}
