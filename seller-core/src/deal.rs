//! The rules of a deal: pure functions from what is and what is asked to what shall be, or to every reason why not.

mod items;
#[cfg(test)]
mod tests;

use backbone::contract::{
    Applied, Deal, DealCause, DealFact, DealField, DealStatus, Previous, Recent,
};
use backbone::ids::{DealId, EventId, SellerId};
use backbone::money::{Discount, MinorUnits};
use backbone::time::Timestamp;

use crate::{DealUpdate, NewDeal, Patch, Refusal, check};
use backbone::FieldError;

/// Who is who in a creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The creator.
    pub(crate) seller: SellerId,
    /// The deal to be.
    pub(crate) deal: DealId,
    /// The event to be, from which new items have their ids.
    pub(crate) event: EventId,
}

/// What an update makes of a deal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    /// The deal after it.
    pub(crate) deal: Deal,
    /// What differs; never nothing.
    pub(crate) fields: Vec<DealField>,
    /// The filterable fields before it.
    pub(crate) previous: Previous,
}

/// The first version of a deal.
pub(crate) fn create(
    input: &NewDeal,
    identity: Identity,
    now: Timestamp,
) -> Result<Deal, Vec<FieldError>> {
    let mut errors = Vec::new();
    let name = check::text(&input.name, "name", &mut errors);
    let total_price = check::price(input.total_price, "totalPrice", &mut errors);
    let currency = check::currency(&input.currency, &mut errors);
    let discount = input
        .discount
        .and_then(|discount| check::discount(discount, &mut errors));
    if let Some(total_price) = total_price {
        check::fits(discount, total_price, "discount.amount", &mut errors);
    }
    let items = items::list(&input.items, &[], identity.event, &mut errors);
    match (total_price, currency) {
        (Some(total_price), Some(currency)) if errors.is_empty() => Ok(Deal {
            id: identity.deal,
            seller_id: identity.seller,
            name,
            total_price,
            currency,
            status: input.status,
            discount,
            items,
            version: 1,
            created_at: now,
            updated_at: now,
        }),
        _ => Err(errors),
    }
}

/// The next version of a deal; `None` when it would be as it is.
///
/// # Errors
/// [`Refusal::VersionConflict`] before anything else: what is wrong with a request made for another version is
/// nobody's concern. Then [`Refusal::Invalid`].
pub(crate) fn update(
    deal: &Deal,
    input: &DealUpdate,
    event: EventId,
    now: Timestamp,
) -> Result<Option<Changed>, Refusal> {
    let mut errors = Vec::new();
    match input.expected_version {
        Some(expected) if expected < 1 => {
            errors.push(FieldError::new("expectedVersion", "must be 1 or more"));
        }
        Some(expected) if expected.unsigned_abs() != deal.version => {
            return Err(Refusal::VersionConflict {
                current: deal.version,
            });
        }
        _ => {}
    }
    let next = merged(deal, input, event, &mut errors);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let fields = differences(deal, &next);
    if fields.is_empty() {
        return Ok(None);
    }
    // The clock may have stepped back since; a later version is never older.
    let updated_at = now.max(deal.updated_at);
    Ok(Some(Changed {
        deal: Deal {
            version: deal.version + 1,
            updated_at,
            ..next
        },
        fields,
        previous: Previous {
            status: deal.status,
            total_price: deal.total_price,
        },
    }))
}

/// The deal with what is asked for in place of what it had. With violations added, what is returned is of no use.
fn merged(deal: &Deal, input: &DealUpdate, event: EventId, errors: &mut Vec<FieldError>) -> Deal {
    let name = input
        .name
        .as_ref()
        .map(|name| check::text(name, "name", errors));
    if input
        .currency
        .as_ref()
        .is_some_and(|currency| currency != deal.currency.code())
    {
        let message = format!(
            "is {} since the deal was created, and stays",
            deal.currency.code()
        );
        errors.push(FieldError::new("currency", message));
    }
    let status = input.status.unwrap_or(deal.status);
    if !may_become(deal.status, status) {
        let (from, to) = (deal.status.as_str(), status.as_str());
        errors.push(FieldError::new(
            "status",
            format!("cannot become {to}: the deal is {from}"),
        ));
    }
    let (total_price, discount) = merged_price(deal, input, errors);
    let items = input
        .items
        .as_ref()
        .map(|items| items::list(items, &deal.items, event, errors));
    Deal {
        name: name.unwrap_or_else(|| deal.name.clone()),
        total_price,
        status,
        discount,
        items: items.unwrap_or_else(|| deal.items.clone()),
        ..deal.clone()
    }
}

/// Price and discount, each valid in itself, must also fit each other: whichever of them is new.
fn merged_price(
    deal: &Deal,
    input: &DealUpdate,
    errors: &mut Vec<FieldError>,
) -> (MinorUnits, Option<Discount>) {
    let before = errors.len();
    let total_price = match input.total_price {
        Some(price) => check::price(price, "totalPrice", errors).unwrap_or(deal.total_price),
        None => deal.total_price,
    };
    let discount = match input.discount {
        Patch::Keep => deal.discount,
        Patch::Remove => None,
        Patch::Set(discount) => check::discount(discount, errors),
    };
    if errors.len() == before {
        let path = if input.discount == Patch::Keep {
            "totalPrice"
        } else {
            "discount.amount"
        };
        check::fits(discount, total_price, path, errors);
    }
    (total_price, discount)
}

/// SOLD is for good, and what was taken back can only be offered anew.
fn may_become(from: DealStatus, to: DealStatus) -> bool {
    from == to
        || match from {
            DealStatus::Available | DealStatus::Reserved => true,
            DealStatus::Withdrawn => to == DealStatus::Available,
            DealStatus::Sold => false,
        }
}

fn differences(old: &Deal, new: &Deal) -> Vec<DealField> {
    let differs = |field: &DealField| match field {
        DealField::Name => old.name != new.name,
        DealField::TotalPrice => old.total_price != new.total_price,
        DealField::Status => old.status != new.status,
        DealField::Discount => old.discount != new.discount,
        DealField::Items => old.items != new.items,
    };
    DealField::ALL.into_iter().filter(differs).collect()
}

/// What the log keeps of a creation.
pub(crate) fn created(deal: Deal, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Created,
        revision: 1,
        deal,
        changed: DealField::ALL.to_vec(),
        previous: None,
        recent: Recent::first(applied),
    }
}

/// What the log keeps of an update.
pub(crate) fn updated(last: &DealFact, changed: Changed, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Updated,
        revision: last.revision + 1,
        deal: changed.deal,
        changed: changed.fields,
        previous: Some(changed.previous),
        recent: last.recent.then(applied),
    }
}
