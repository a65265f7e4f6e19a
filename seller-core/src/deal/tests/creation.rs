//! Rules of a creation.

use backbone::contract::DealStatus;

use super::*;
use crate::input::NewDiscount;

#[test]
fn creation_is_version_one_of_the_input() {
    let discount = Some(NewDiscount::Percentage(12.5));
    let deal = created(&NewDeal {
        name: " Timber\n".to_owned(),
        discount,
        ..new_deal()
    })
    .unwrap();
    assert_eq!((deal.name.as_str(), deal.version), ("Timber", 1));
    assert_eq!((deal.created_at, deal.updated_at), (NOW, NOW));
    assert_eq!(deal.final_price().get(), 875);
    assert_eq!(
        deal.items.iter().map(|item| item.id).collect::<Vec<_>>(),
        [item_id(1), item_id(2)]
    );
}

/// Asserts which paths each creation of a table violates.
fn assert_violations(table: Vec<(&str, NewDeal, &[&str])>) {
    for (case, input, expected) in table {
        let errors = created(&input).err().unwrap_or_default();
        assert_eq!(paths(&errors), expected, "{case}");
    }
}

#[test]
fn name_of_a_creation_is_bounded() {
    let text = |length: usize| "é".repeat(length);
    let name = |name: String| NewDeal { name, ..new_deal() };

    assert_violations(vec![
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
    ]);
}

#[test]
fn price_and_currency_of_a_creation_are_bounded() {
    let total = |total_price| NewDeal {
        total_price,
        ..new_deal()
    };
    let currency = |code: &str| NewDeal {
        currency: code.to_owned(),
        ..new_deal()
    };

    assert_violations(vec![
        ("a price of 0", total(0), &[]),
        ("the greatest price", total(MAX), &[]),
        ("a price below 0", total(-1), &["totalPrice"]),
        ("a price too great", total(MAX + 1), &["totalPrice"]),
        ("another currency", currency("JPY"), &[]),
        ("a currency in lower case", currency("gbp"), &["currency"]),
        ("no currency", currency(""), &["currency"]),
        ("an unknown currency", currency("ZZZ"), &["currency"]),
    ]);
}

#[test]
fn discount_of_a_creation_is_bounded() {
    let flat = |amount, total_price| NewDeal {
        discount: Some(NewDiscount::Flat(amount)),
        total_price,
        ..new_deal()
    };
    let share = |percentage| NewDeal {
        discount: Some(NewDiscount::Percentage(percentage)),
        ..new_deal()
    };

    assert_violations(vec![
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
    ]);
}

#[test]
fn items_of_a_creation_are_bounded() {
    let list = |items| NewDeal {
        items,
        ..new_deal()
    };
    let equal = |count: usize| vec![item("oak", 1); count];

    assert_violations(vec![
        ("one item", list(equal(1)), &[]),
        ("100 items", list(equal(100)), &[]),
        ("no item", list(equal(0)), &["items"]),
        ("101 items", list(equal(101)), &["items"]),
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
            list(vec![item_with_id(9, "a", 1), item_with_id(9, "b", 1)]),
            &["items.1.id"],
        ),
    ]);
}

#[test]
fn status_of_a_creation_may_be_any() {
    for status in DealStatus::ALL {
        assert_eq!(
            created(&NewDeal {
                status,
                ..new_deal()
            })
            .map(|deal| deal.status),
            Ok(status)
        );
    }
}

#[test]
fn violations_of_a_creation_are_reported_all_at_once() {
    let new = NewDeal {
        name: format!("\0{}", "x".repeat(200)),
        total_price: -1,
        currency: "pounds".to_owned(),
        discount: Some(NewDiscount::Percentage(100.5)),
        items: vec![item_with_id(1, "", -1), item_with_id(1, "\0", 0)],
        ..new_deal()
    };
    let errors = created(&NewDeal {
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
}
