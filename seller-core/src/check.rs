//! Rules for single values, independent of the request that carries them. Each check takes a raw
//! value and the path of its field, and appends what is wrong to the violations found so far, so
//! that a caller hears of all of them at once.

use backbone::FieldError;
use backbone::money::{BasisPoints, Currency, Discount, MinorUnits};

use crate::input::NewDiscount;

/// Most characters of a text that a caller gives.
const MAX_CHARACTERS: usize = 200;

/// Returns the text without leading and trailing white space, which must be 1 to 200 characters
/// without control characters.
///
/// The rule holds for names of deals, items and accounts and for labels of keys. Violations are
/// appended to `errors`; the returned text is meaningless when there are any.
pub fn text(value: &str, path: &str, errors: &mut Vec<FieldError>) -> String {
    // Counted after trimming: a name of spaces alone is empty.
    let value = value.trim();
    characters(value, path, errors);

    value.to_owned()
}

/// Checks an idempotency key by the rule of [`text`], but without trimming: keys are compared as
/// they are. Violations are appended to `errors`.
pub fn key(value: &str, errors: &mut Vec<FieldError>) {
    characters(value, "idempotencyKey", errors);
}

fn characters(value: &str, path: &str, errors: &mut Vec<FieldError>) {
    if !(1..=MAX_CHARACTERS).contains(&value.chars().count()) {
        errors.push(FieldError::new(
            path,
            format!("must be 1 to {MAX_CHARACTERS} characters long"),
        ));
    }

    // PostgreSQL's text cannot hold a NUL: one that reached the log would stop the projection for
    // good.
    if value.contains(char::is_control) {
        errors.push(FieldError::new(path, "must not contain control characters"));
    }
}

/// Checks an amount: 0 to 2^53 − 1 minor units, the integers that JSON readers keep exact (RFC
/// 8259, section 6).
pub(crate) fn price(value: i64, path: &str, errors: &mut Vec<FieldError>) -> Option<MinorUnits> {
    let price = MinorUnits::new(value);
    if price.is_none() {
        errors.push(FieldError::new(
            path,
            format!("must be 0 to {} minor units", MinorUnits::MAX.get()),
        ));
    }

    price
}

/// Checks an alphabetic currency code of ISO 4217.
pub(crate) fn currency(value: &str, errors: &mut Vec<FieldError>) -> Option<Currency> {
    let currency = value.parse().ok();
    if currency.is_none() {
        errors.push(FieldError::new(
            "currency",
            "must be an ISO 4217 code of three upper-case letters",
        ));
    }

    currency
}

/// Checks a discount by itself; [`fits`] checks it against the price.
pub(crate) fn discount(value: NewDiscount, errors: &mut Vec<FieldError>) -> Option<Discount> {
    match value {
        NewDiscount::Flat(amount) => {
            price(amount, "discount.amount", errors).map(|amount| Discount::Flat { amount })
        }
        NewDiscount::Percentage(percentage) => {
            let basis_points = BasisPoints::from_percentage(percentage);
            if basis_points.is_none() {
                let message = "must be 0 to 100 with at most two decimals";
                errors.push(FieldError::new("discount.percentage", message));
            }

            basis_points.map(|basis_points| Discount::Percentage { basis_points })
        }
    }
}

/// The field that a discount above the total price is reported on: the one that the request sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blamed {
    Discount,
    TotalPrice,
}

/// Checks that a flat discount is at most the total price.
pub(crate) fn fits(
    discount: Option<Discount>,
    total_price: MinorUnits,
    blamed: Blamed,
    errors: &mut Vec<FieldError>,
) {
    let Some(Discount::Flat { amount }) = discount else {
        return;
    };
    if amount <= total_price {
        return;
    }

    errors.push(match blamed {
        Blamed::Discount => FieldError::new(
            "discount.amount",
            format!("must be at most the total price of {}", total_price.get()),
        ),
        Blamed::TotalPrice => FieldError::new(
            "totalPrice",
            format!("must be at least the flat discount of {}", amount.get()),
        ),
    });
}
