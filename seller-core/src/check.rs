//! Rules of single values, whatever they are part of: each takes a raw value and where it stands, and adds what is
//! wrong with it to the violations found so far.

use backbone::money::{BasisPoints, Currency, Discount, MinorUnits};

use crate::NewDiscount;
use backbone::FieldError;

/// The most characters of a text that a caller gives.
const TEXT: usize = 200;

/// The text without the space around it: 1 … 200 characters, none of them a control character. It is what names of
/// deals, items and accounts, and labels of keys, must be. With violations added, what is returned is of no use.
pub fn text(value: &str, path: &str, errors: &mut Vec<FieldError>) -> String {
    let value = value.trim();
    characters(value, path, errors);
    value.to_owned()
}

/// An idempotency key: as [`text`], but nothing of it is cut off.
pub(crate) fn key(value: &str, errors: &mut Vec<FieldError>) {
    characters(value, "idempotencyKey", errors);
}

/// Control characters have no place in a name, and a NUL would stop a PostgreSQL projection for good.
fn characters(value: &str, path: &str, errors: &mut Vec<FieldError>) {
    if !(1..=TEXT).contains(&value.chars().count()) {
        errors.push(FieldError::new(
            path,
            format!("must be 1 to {TEXT} characters"),
        ));
    }
    if value.contains(char::is_control) {
        errors.push(FieldError::new(path, "must have no control characters"));
    }
}

/// 0 … 2^53 − 1 minor units.
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

/// An ISO 4217 alphabetic code.
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

/// A discount by itself; whether a flat one fits the price is [`fits`]'s.
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

/// Whether a flat discount is at most the total price. `path`: the one of the two that was asked for.
pub(crate) fn fits(
    discount: Option<Discount>,
    total_price: MinorUnits,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    match discount {
        Some(Discount::Flat { amount }) if amount > total_price => {
            let (amount, total) = (amount.get(), total_price.get());
            let message =
                format!("the flat discount of {amount} is above the total price of {total}");
            errors.push(FieldError::new(path, message));
        }
        _ => {}
    }
}
