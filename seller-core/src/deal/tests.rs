//! Every rule at each of its bounds, as tables.

use backbone::contract::{Deal, DealField, DealStatus, Item};
use backbone::ids::{DealId, EventId, ItemId, SellerId};
use backbone::time::Timestamp;
use uuid::Uuid;

use super::{Changed, Identity, create, update};
use crate::{DealUpdate, NewDeal, NewDiscount, NewItem, Patch, Refusal};
use backbone::FieldError;

const MAX: i64 = (1 << 53) - 1;
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const LATER: Timestamp = Timestamp::from_micros(1_700_000_001_000_000);

fn id(number: u128) -> ItemId {
    ItemId(Uuid::from_u128(number))
}

fn event(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

fn item(name: &str, price: i64) -> NewItem {
    NewItem {
        id: None,
        name: name.to_owned(),
        price,
    }
}

fn named(number: u128, name: &str, price: i64) -> NewItem {
    NewItem {
        id: Some(id(number)),
        ..item(name, price)
    }
}

fn input() -> NewDeal {
    NewDeal {
        id: None,
        name: "Timber".to_owned(),
        total_price: 1_000,
        currency: "GBP".to_owned(),
        status: DealStatus::Available,
        discount: None,
        items: vec![named(1, "oak", 600), named(2, "ash", 400)],
    }
}

fn made(input: &NewDeal) -> Result<Deal, Vec<FieldError>> {
    let (seller, deal) = (SellerId(Uuid::from_u128(70)), DealId(Uuid::from_u128(71)));
    create(
        input,
        Identity {
            seller,
            deal,
            event: event(72),
        },
        NOW,
    )
}

fn deal() -> Deal {
    made(&input()).unwrap()
}

fn change() -> DealUpdate {
    DealUpdate::of(deal().id)
}

fn changed(deal: &Deal, input: &DealUpdate) -> Changed {
    update(deal, input, event(73), LATER)
        .unwrap()
        .expect("something changes")
}

fn paths(errors: &[FieldError]) -> Vec<&str> {
    errors.iter().map(|error| error.path.as_str()).collect()
}

/// The paths of what is wrong with an update; none when nothing is.
fn wrong(deal: &Deal, input: &DealUpdate) -> Vec<String> {
    match update(deal, input, event(73), LATER) {
        Ok(_) => Vec::new(),
        Err(Refusal::Invalid(errors)) => errors.into_iter().map(|error| error.path).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_creation_is_version_one_of_what_was_asked() {
    let discount = Some(NewDiscount::Percentage(12.5));
    let deal = made(&NewDeal {
        name: " Timber\n".to_owned(),
        discount,
        ..input()
    })
    .unwrap();
    assert_eq!((deal.name.as_str(), deal.version), ("Timber", 1));
    assert_eq!((deal.created_at, deal.updated_at), (NOW, NOW));
    assert_eq!(deal.final_price().get(), 875);
    assert_eq!(
        deal.items.iter().map(|item| item.id).collect::<Vec<_>>(),
        [id(1), id(2)]
    );
}

#[test]
fn a_creation_is_bounded_everywhere() {
    let text = |length: usize| "é".repeat(length);
    let items = |count: usize| vec![item("oak", 1); count];
    let flat = |amount, total_price| NewDeal {
        discount: Some(NewDiscount::Flat(amount)),
        total_price,
        ..input()
    };
    let share = |percentage| NewDeal {
        discount: Some(NewDiscount::Percentage(percentage)),
        ..input()
    };
    let currency = |code: &str| NewDeal {
        currency: code.to_owned(),
        ..input()
    };
    let name = |name: String| NewDeal { name, ..input() };
    let total = |total_price| NewDeal {
        total_price,
        ..input()
    };
    let list = |items| NewDeal { items, ..input() };
    let table: Vec<(&str, NewDeal, &[&str])> = vec![
        ("one character", name(text(1)), &[]),
        ("200 characters of two bytes", name(text(200)), &[]),
        (
            "200 characters within space",
            name(format!(" \t{}\n", text(200))),
            &[],
        ),
        ("201 characters", name(text(201)), &["name"]),
        ("no character", name(String::new()), &["name"]),
        ("space", name(" \t ".to_owned()), &["name"]),
        ("a NUL", name("a\0b".to_owned()), &["name"]),
        ("a line break", name("a\nb".to_owned()), &["name"]),
        ("a C1 control", name("a\u{85}b".to_owned()), &["name"]),
        ("a price of 0", total(0), &[]),
        ("the greatest price", total(MAX), &[]),
        ("a price below 0", total(-1), &["totalPrice"]),
        ("a price too great", total(MAX + 1), &["totalPrice"]),
        ("another currency", currency("JPY"), &[]),
        ("a currency in lower case", currency("gbp"), &["currency"]),
        ("no currency", currency(""), &["currency"]),
        ("an unknown currency", currency("ZZZ"), &["currency"]),
        ("all of it off", flat(1_000, 1_000), &[]),
        (
            "more than all of it off",
            flat(1_001, 1_000),
            &["discount.amount"],
        ),
        ("a discount below 0", flat(-1, 1_000), &["discount.amount"]),
        (
            "a discount too great",
            flat(MAX + 1, MAX),
            &["discount.amount"],
        ),
        ("a discount of a wrong price", flat(10, -1), &["totalPrice"]),
        ("0 %", share(0.0), &[]),
        ("100 %", share(100.0), &[]),
        ("two decimals", share(33.33), &[]),
        ("three decimals", share(33.333), &["discount.percentage"]),
        ("less than 0 %", share(-0.01), &["discount.percentage"]),
        ("more than 100 %", share(100.01), &["discount.percentage"]),
        ("not a number", share(f64::NAN), &["discount.percentage"]),
        ("one item", list(items(1)), &[]),
        ("100 items", list(items(100)), &[]),
        ("no item", list(items(0)), &["items"]),
        ("101 items", list(items(101)), &["items"]),
        (
            "an item without a name",
            list(vec![item("", 1)]),
            &["items.0.name"],
        ),
        (
            "an item of a price below 0",
            list(vec![item("a", 0), item("b", -1)]),
            &["items.1.price"],
        ),
        (
            "an item's id twice",
            list(vec![named(9, "a", 1), named(9, "b", 1)]),
            &["items.1.id"],
        ),
    ];
    for (what, input, expected) in table {
        let errors = made(&input).err().unwrap_or_default();
        assert_eq!(paths(&errors), expected, "{what}");
    }
}

#[test]
fn every_status_may_be_the_first() {
    for status in DealStatus::ALL {
        assert_eq!(
            made(&NewDeal { status, ..input() }).map(|deal| deal.status),
            Ok(status)
        );
    }
}

#[test]
fn all_violations_are_said_at_once() {
    let new = NewDeal {
        name: format!("\0{}", "x".repeat(200)),
        total_price: -1,
        currency: "pounds".to_owned(),
        discount: Some(NewDiscount::Percentage(100.5)),
        items: vec![named(1, "", -1), named(1, "\0", 0)],
        ..input()
    };
    let errors = made(&NewDeal {
        discount: Some(NewDiscount::Percentage(101.0)),
        ..new.clone()
    })
    .unwrap_err();
    let in_items = [
        "items.1.id",
        "items.0.name",
        "items.0.price",
        "items.1.name",
    ];
    let expected = [
        ["name", "name", "totalPrice", "currency"].as_slice(),
        &["discount.percentage"],
        &in_items,
    ];
    assert_eq!(paths(&errors), expected.concat());

    let sold = Deal {
        status: DealStatus::Sold,
        ..deal()
    };
    let input = DealUpdate {
        expected_version: Some(0),
        name: Some(String::new()),
        total_price: Some(MAX + 1),
        currency: Some("EUR".to_owned()),
        status: Some(DealStatus::Available),
        discount: Patch::Set(NewDiscount::Flat(-1)),
        items: Some(Vec::new()),
        ..change()
    };
    let expected = [
        "expectedVersion",
        "name",
        "currency",
        "status",
        "totalPrice",
        "discount.amount",
        "items",
    ];
    assert_eq!(wrong(&sold, &input), expected);
}

#[test]
fn an_update_moves_the_version_and_tells_what_was() {
    let deal = deal();
    let Changed {
        deal: new,
        fields,
        previous,
    } = changed(
        &deal,
        &DealUpdate {
            total_price: Some(900),
            status: Some(DealStatus::Reserved),
            ..change()
        },
    );
    assert_eq!(fields, [DealField::TotalPrice, DealField::Status]);
    assert_eq!(
        (previous.status, previous.total_price.get()),
        (DealStatus::Available, 1_000)
    );
    assert_eq!(
        (new.version, new.created_at, new.updated_at),
        (2, NOW, LATER)
    );
    let kept = Deal {
        version: 1,
        updated_at: NOW,
        total_price: deal.total_price,
        status: deal.status,
        ..new.clone()
    };
    assert_eq!(kept, deal, "what was not asked for stays");
}

#[test]
fn every_field_is_seen_to_change_and_only_when_it_does() {
    let deal = Deal {
        discount: None,
        ..deal()
    };
    let off = |discount| DealUpdate {
        discount,
        ..change()
    };
    let table = [
        (
            DealUpdate {
                name: Some("Wood".to_owned()),
                ..change()
            },
            vec![DealField::Name],
        ),
        (
            DealUpdate {
                total_price: Some(7),
                ..change()
            },
            vec![DealField::TotalPrice],
        ),
        (
            DealUpdate {
                status: Some(DealStatus::Sold),
                ..change()
            },
            vec![DealField::Status],
        ),
        (
            off(Patch::Set(NewDiscount::Flat(0))),
            vec![DealField::Discount],
        ),
        (
            DealUpdate {
                items: Some(vec![item("ash", 400)]),
                ..change()
            },
            vec![DealField::Items],
        ),
        (
            DealUpdate {
                items: Some(vec![item("ash", 400), item("oak", 600)]),
                ..change()
            },
            vec![DealField::Items],
        ),
        (change(), vec![]),
        (
            DealUpdate {
                name: Some(" Timber ".to_owned()),
                ..change()
            },
            vec![],
        ),
        (
            DealUpdate {
                expected_version: Some(1),
                currency: Some("GBP".to_owned()),
                ..change()
            },
            vec![],
        ),
        (
            DealUpdate {
                items: Some(vec![item("oak", 600), item("ash", 400)]),
                ..change()
            },
            vec![],
        ),
        (
            DealUpdate {
                status: Some(DealStatus::Available),
                ..change()
            },
            vec![],
        ),
        (off(Patch::Remove), vec![]),
    ];
    for (input, expected) in table {
        let fields = update(&deal, &input, event(73), LATER)
            .unwrap()
            .map_or(vec![], |changed| changed.fields);
        assert_eq!(fields, expected, "{input:?}");
    }
}

#[test]
fn a_status_never_leaves_sold_and_leaves_withdrawn_only_for_available() {
    use DealStatus::{Available, Reserved, Sold, Withdrawn};
    for from in DealStatus::ALL {
        for to in DealStatus::ALL {
            let refused = [
                (Sold, Available),
                (Sold, Reserved),
                (Sold, Withdrawn),
                (Withdrawn, Reserved),
                (Withdrawn, Sold),
            ]
            .contains(&(from, to));
            let deal = Deal {
                status: from,
                ..deal()
            };
            let expected: &[&str] = if refused { &["status"] } else { &[] };
            assert_eq!(
                wrong(
                    &deal,
                    &DealUpdate {
                        status: Some(to),
                        ..change()
                    }
                ),
                expected,
                "{from:?} to {to:?}"
            );
        }
        let corrected = DealUpdate {
            name: Some("Wood".to_owned()),
            ..change()
        };
        assert_eq!(
            changed(
                &Deal {
                    status: from,
                    ..deal()
                },
                &corrected
            )
            .deal
            .name,
            "Wood",
            "{from:?}"
        );
    }
}

#[test]
fn a_flat_discount_fits_the_price_whichever_is_new() {
    let flat = |amount| Patch::Set(NewDiscount::Flat(amount));
    let discounted = changed(
        &deal(),
        &DealUpdate {
            discount: flat(500),
            ..change()
        },
    )
    .deal;
    let table: [(Option<i64>, Patch<NewDiscount>, &[&str]); 9] = [
        (Some(500), Patch::Keep, &[]),
        (Some(499), Patch::Keep, &["totalPrice"]),
        (Some(499), Patch::Remove, &[]),
        (Some(499), Patch::Set(NewDiscount::Percentage(100.0)), &[]),
        (None, flat(1_000), &[]),
        (None, flat(1_001), &["discount.amount"]),
        (Some(2_000), flat(2_000), &[]),
        (Some(400), flat(401), &["discount.amount"]),
        (Some(-1), flat(2_000), &["totalPrice"]),
    ];
    for (total_price, discount, expected) in table {
        let input = DealUpdate {
            total_price,
            discount,
            ..change()
        };
        assert_eq!(
            wrong(&discounted, &input),
            expected,
            "{total_price:?} {discount:?}"
        );
    }
}

#[test]
fn the_currency_stays() {
    for currency in ["EUR", "gbp", ""] {
        let input = DealUpdate {
            currency: Some(currency.to_owned()),
            ..change()
        };
        assert_eq!(wrong(&deal(), &input), ["currency"], "{currency}");
    }
}

#[test]
fn another_version_is_a_conflict_whatever_else_is_wrong() {
    let deal = Deal {
        version: 7,
        ..deal()
    };
    for (expected_version, conflict) in [(6, true), (7, false), (8, true), (i32::MAX, true)] {
        let input = DealUpdate {
            expected_version: Some(expected_version),
            name: Some(String::new()),
            ..change()
        };
        let expected = if conflict {
            Refusal::VersionConflict { current: 7 }
        } else {
            Refusal::Invalid(vec![FieldError::new("name", "must be 1 to 200 characters")])
        };
        assert_eq!(
            update(&deal, &input, event(73), LATER),
            Err(expected),
            "{expected_version}"
        );
    }
    for not_a_version in [0, -7, i32::MIN] {
        let input = DealUpdate {
            expected_version: Some(not_a_version),
            ..change()
        };
        assert_eq!(wrong(&deal, &input), ["expectedVersion"], "{not_a_version}");
    }
}

#[test]
fn a_version_is_never_older_than_the_one_before() {
    let deal = Deal {
        updated_at: LATER,
        ..deal()
    };
    let input = DealUpdate {
        name: Some("Wood".to_owned()),
        ..change()
    };
    let changed = update(&deal, &input, event(73), NOW)
        .unwrap()
        .expect("the name changes");
    assert_eq!(changed.deal.updated_at, LATER);
}

/// The ids of a new list over an old one of (id, name, price).
fn ids_over(old: &[(u128, &str, i64)], new: Vec<NewItem>, by: EventId) -> Vec<ItemId> {
    let items = old
        .iter()
        .map(|&(number, name, price)| named(number, name, price))
        .collect();
    let deal = made(&NewDeal { items, ..input() }).unwrap();
    let input = DealUpdate {
        items: Some(new),
        name: Some("Wood".to_owned()),
        ..change()
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
fn an_item_that_stayed_the_same_keeps_its_id() {
    let old = [(1, "oak", 600), (2, "oak", 600), (3, "ash", 400)];
    let by = event(73);
    let fresh = |index| crate::identity::item(by, index, |_| false);
    let table = [
        (
            "equal ones in order",
            vec![item("oak", 600), item("oak", 600)],
            vec![id(1), id(2)],
        ),
        (
            "moved",
            vec![item("ash", 400), item(" oak ", 600)],
            vec![id(3), id(1)],
        ),
        (
            "another name or price",
            vec![item("oak", 601), item("elm", 400)],
            vec![fresh(0), fresh(1)],
        ),
        (
            "one too many",
            vec![item("ash", 400), item("ash", 400)],
            vec![id(3), fresh(1)],
        ),
        (
            "named later",
            vec![item("oak", 600), named(1, "elm", 1)],
            vec![id(2), id(1)],
        ),
        (
            "named with its own",
            vec![named(2, "oak", 600), item("oak", 600)],
            vec![id(2), id(1)],
        ),
        (
            "named anew",
            vec![named(9, "oak", 600), item("oak", 600)],
            vec![id(9), id(1)],
        ),
    ];
    for (what, new, expected) in table {
        assert_eq!(ids_over(&old, new, by), expected, "{what}");
    }
}

#[test]
fn a_new_item_has_the_same_id_in_every_attempt_and_another_in_another_mutation() {
    let new = || vec![item("elm", 1), item("elm", 1)];
    let first = ids_over(&[(1, "oak", 600)], new(), event(73));
    assert_eq!(
        first,
        ids_over(&[(3, "ash", 1), (4, "fir", 2)], new(), event(73)),
        "another attempt"
    );
    assert_ne!(first[0], first[1]);
    let other = ids_over(&[(1, "oak", 600)], new(), event(74));
    assert!(first.iter().all(|id| !other.contains(id)));
}

#[test]
fn an_id_that_was_foreseen_is_not_given_twice() {
    let foreseen = crate::identity::item(event(73), 0, |_| false);
    let new = vec![
        item("elm", 1),
        NewItem {
            id: Some(foreseen),
            ..item("fir", 1)
        },
    ];
    let ids = ids_over(&[(1, "oak", 600)], new, event(73));
    assert_eq!(ids[1], foreseen);
    assert_ne!(ids[0], ids[1]);
}
