//! Rules of an update.

use backbone::contract::{DealField, DealStatus};

use super::*;
use crate::input::{NewDiscount, Patch};

#[test]
fn violations_of_an_update_are_reported_all_at_once() {
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
        ..empty_update()
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
    assert_eq!(violations(&sold, &input), expected);
}

#[test]
fn update_moves_the_version_and_keeps_the_previous_values() {
    let deal = deal();
    let Changed {
        deal: new,
        fields,
        previous,
    } = updated(
        &deal,
        &DealUpdate {
            total_price: Some(900),
            status: Some(DealStatus::Reserved),
            ..empty_update()
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

/// Asserts which fields each update of a table changes in a deal without a discount.
fn assert_changed_fields(table: Vec<(DealUpdate, Vec<DealField>)>) {
    let deal = Deal {
        discount: None,
        ..deal()
    };

    for (input, expected) in table {
        let fields = update(&deal, &input, event_id(73), LATER)
            .unwrap()
            .map_or(vec![], |changed| changed.fields);
        assert_eq!(fields, expected, "{input:?}");
    }
}

fn of_name(name: &str) -> DealUpdate {
    DealUpdate {
        name: Some(name.to_owned()),
        ..empty_update()
    }
}

fn of_status(status: DealStatus) -> DealUpdate {
    DealUpdate {
        status: Some(status),
        ..empty_update()
    }
}

fn of_discount(discount: Patch<NewDiscount>) -> DealUpdate {
    DealUpdate {
        discount,
        ..empty_update()
    }
}

fn of_items(items: Vec<NewItem>) -> DealUpdate {
    DealUpdate {
        items: Some(items),
        ..empty_update()
    }
}

#[test]
fn field_whose_value_differs_counts_as_changed() {
    let price = DealUpdate {
        total_price: Some(7),
        ..empty_update()
    };

    assert_changed_fields(vec![
        (of_name("Wood"), vec![DealField::Name]),
        (price, vec![DealField::TotalPrice]),
        (of_status(DealStatus::Sold), vec![DealField::Status]),
        (
            of_discount(Patch::Set(NewDiscount::Flat(0))),
            vec![DealField::Discount],
        ),
        (of_items(vec![item("ash", 400)]), vec![DealField::Items]),
        (
            of_items(vec![item("ash", 400), item("oak", 600)]),
            vec![DealField::Items],
        ),
    ]);
}

#[test]
fn field_whose_value_is_repeated_does_not_count_as_changed() {
    let version_and_currency = DealUpdate {
        expected_version: Some(1),
        currency: Some("GBP".to_owned()),
        ..empty_update()
    };

    assert_changed_fields(vec![
        (empty_update(), vec![]),
        (of_name(" Timber "), vec![]),
        (version_and_currency, vec![]),
        (of_items(vec![item("oak", 600), item("ash", 400)]), vec![]),
        (of_status(DealStatus::Available), vec![]),
        (of_discount(Patch::Remove), vec![]),
    ]);
}

#[test]
fn status_never_leaves_sold_and_leaves_withdrawn_only_for_available() {
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
                violations(
                    &deal,
                    &DealUpdate {
                        status: Some(to),
                        ..empty_update()
                    }
                ),
                expected,
                "{from:?} to {to:?}"
            );
        }
        let corrected = DealUpdate {
            name: Some("Wood".to_owned()),
            ..empty_update()
        };
        assert_eq!(
            updated(
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
fn flat_discount_must_fit_the_price_whichever_of_them_is_new() {
    let flat = |amount| Patch::Set(NewDiscount::Flat(amount));
    let discounted = updated(
        &deal(),
        &DealUpdate {
            discount: flat(500),
            ..empty_update()
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
            ..empty_update()
        };
        assert_eq!(
            violations(&discounted, &input),
            expected,
            "{total_price:?} {discount:?}"
        );
    }
}

#[test]
fn currency_cannot_change() {
    for currency in ["EUR", "gbp", ""] {
        let input = DealUpdate {
            currency: Some(currency.to_owned()),
            ..empty_update()
        };
        assert_eq!(violations(&deal(), &input), ["currency"], "{currency}");
    }
}

#[test]
fn version_conflict_comes_before_any_violation() {
    let deal = Deal {
        version: 7,
        ..deal()
    };
    for (expected_version, conflict) in [(6, true), (7, false), (8, true), (i32::MAX, true)] {
        let input = DealUpdate {
            expected_version: Some(expected_version),
            name: Some(String::new()),
            ..empty_update()
        };
        let expected = if conflict {
            Refusal::VersionConflict { current: 7 }
        } else {
            Refusal::Invalid(vec![FieldError::new(
                "name",
                "must be 1 to 200 characters long",
            )])
        };
        assert_eq!(
            update(&deal, &input, event_id(73), LATER),
            Err(expected),
            "{expected_version}"
        );
    }
    for not_a_version in [0, -7, i32::MIN] {
        let input = DealUpdate {
            expected_version: Some(not_a_version),
            ..empty_update()
        };
        assert_eq!(
            violations(&deal, &input),
            ["expectedVersion"],
            "{not_a_version}"
        );
    }
}

#[test]
fn updated_at_never_goes_back() {
    let deal = Deal {
        updated_at: LATER,
        ..deal()
    };
    let input = DealUpdate {
        name: Some("Wood".to_owned()),
        ..empty_update()
    };
    let changed = update(&deal, &input, event_id(73), NOW)
        .unwrap()
        .expect("the name changes");
    assert_eq!(changed.deal.updated_at, LATER);
}
