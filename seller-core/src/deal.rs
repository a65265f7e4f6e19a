//! The rules of a deal: pure functions from a deal and a request to the next deal, or to every
//! violation at once.

mod items;
#[cfg(test)]
mod tests;

use backbone::FieldError;
use backbone::contract::{
    Applied, Deal, DealCause, DealFact, DealField, DealStatus, Previous, Recent,
};
use backbone::ids::{DealId, EventId, SellerId};
use backbone::money::{Discount, MinorUnits};
use backbone::time::Timestamp;

use crate::check::{self, Blamed};
use crate::input::{DealUpdate, NewDeal, Patch};
use crate::refusal::Refusal;

/// The ids that a creation is made under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Seller who creates the deal.
    pub(crate) seller: SellerId,
    /// Id of the new deal.
    pub(crate) deal: DealId,
    /// Id of the event that creates it; the ids of new items derive from it.
    pub(crate) event: EventId,
}

/// An update that changes something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    /// The deal after the update.
    pub(crate) deal: Deal,
    /// Fields that differ from the deal before; at least one.
    pub(crate) fields: Vec<DealField>,
    /// The filterable fields before the update.
    pub(crate) previous: Previous,
}

/// Returns the first version of a deal.
///
/// # Errors
/// Every violation of the input, at least one.
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

    // A price that is invalid itself is reported once, not a second time as too low for the
    // discount.
    if let Some(total_price) = total_price {
        check::fits(discount, total_price, Blamed::Discount, &mut errors);
    }

    // No old items: every id is the caller's or a new one.
    let items = items::assign_ids(&input.items, &[], identity.event, &mut errors);

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

/// Returns the next version of a deal, or `None` when the update changes nothing.
///
/// # Errors
/// [`Refusal::VersionConflict`] before anything else: the violations of a request made for another
/// version may be none for the current one. Then [`Refusal::Invalid`].
pub(crate) fn update(
    deal: &Deal,
    input: &DealUpdate,
    event: EventId,
    now: Timestamp,
) -> Result<Option<Changed>, Refusal> {
    let mut errors = Vec::new();

    match input.expected_version {
        // No deal ever has such a version: a mistake of the caller, which no fresh read would
        // resolve.
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
    if !input.versions.admit(deal.version) {
        return Err(Refusal::VersionConflict {
            current: deal.version,
        });
    }

    let next = merged(deal, input, event, &mut errors);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }

    // A request may set fields to what they are. An event without a change would move the version,
    // and with it every other caller's expected version, for nothing.
    let fields = differences(deal, &next);
    if fields.is_empty() {
        return Ok(None);
    }

    // The clock may have stepped back since the last version, and `updatedAt` must not.
    let updated_at = now.max(deal.updated_at);

    Ok(Some(Changed {
        deal: Deal {
            version: deal.version + 1,
            updated_at,
            ..next
        },
        fields,
        // Subscribers filter by these fields, and must also hear of a deal that leaves their
        // filter.
        previous: Previous {
            status: deal.status,
            total_price: deal.total_price,
        },
    }))
}

/// Returns the deal with the requested values in place of its own. The result is meaningless when
/// violations were added to `errors`.
fn merged(deal: &Deal, input: &DealUpdate, event: EventId, errors: &mut Vec<FieldError>) -> Deal {
    let name = input
        .name
        .as_ref()
        .map(|name| check::text(name, "name", errors));

    // Prices of a deal are compared across its versions, so its currency is fixed; callers who send
    // the whole deal back may repeat it.
    let currency = deal.currency.code();
    if input.currency.as_ref().is_some_and(|new| new != currency) {
        errors.push(FieldError::new(
            "currency",
            format!("cannot change: the deal was created in {currency}"),
        ));
    }

    let status = input.status.unwrap_or(deal.status);
    if !may_become(deal.status, status) {
        errors.push(FieldError::new(
            "status",
            format!(
                "cannot change from {} to {}",
                deal.status.as_str(),
                status.as_str()
            ),
        ));
    }

    let (total_price, discount) = merged_price(deal, input, errors);
    let items = input
        .items
        .as_ref()
        .map(|items| items::assign_ids(items, &deal.items, event, errors));

    Deal {
        name: name.unwrap_or_else(|| deal.name.clone()),
        total_price,
        status,
        discount,
        items: items.unwrap_or_else(|| deal.items.clone()),
        ..deal.clone()
    }
}

/// Returns the price and the discount after an update. Each must be valid by itself, and the two
/// must fit each other whichever of them is new.
fn merged_price(
    deal: &Deal,
    input: &DealUpdate,
    errors: &mut Vec<FieldError>,
) -> (MinorUnits, Option<Discount>) {
    let errors_before = errors.len();

    let total_price = match input.total_price {
        Some(price) => check::price(price, "totalPrice", errors).unwrap_or(deal.total_price),
        None => deal.total_price,
    };
    let discount = match input.discount {
        Patch::Keep => deal.discount,
        Patch::Remove => None,
        Patch::Set(discount) => check::discount(discount, errors),
    };

    // With either of them invalid, comparing the two would only add a misleading second violation.
    if errors.len() == errors_before {
        let blamed = if input.discount == Patch::Keep {
            Blamed::TotalPrice
        } else {
            Blamed::Discount
        };
        check::fits(discount, total_price, blamed, errors);
    }

    (total_price, discount)
}

/// Returns whether a deal may go from one status to another. SOLD is final, and a withdrawn deal
/// can only be offered again.
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

/// Returns the fact that the log keeps of a creation.
pub(crate) fn created(deal: Deal, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Created,
        revision: 1,
        deal,
        changed: DealField::ALL.to_vec(),
        // There was no state before that a filter could have matched.
        previous: None,
        recent: Recent::first(applied.clone()),
        mutation: Some(applied),
        operator: None,
    }
}

/// Returns the fact that the log keeps of an update.
pub(crate) fn updated(last: &DealFact, changed: Changed, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Updated,
        revision: last.revision + 1,
        deal: changed.deal,
        changed: changed.fields,
        previous: Some(changed.previous),
        recent: last.recent.then(applied.clone()),
        mutation: Some(applied),
        operator: None,
    }
}
