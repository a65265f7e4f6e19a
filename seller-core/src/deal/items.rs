//! The items of a deal: a new list replaces the old one, and items that stayed the same keep their
//! ids.

use std::collections::HashSet;

use backbone::FieldError;
use backbone::contract::Item;
use backbone::ids::{EventId, ItemId};

use crate::input::NewItem;
use crate::{check, identity};

/// Most items of a deal.
const MAX_ITEMS: usize = 100;

/// Returns the requested items, each with its id.
///
/// An item's id is the one that the request gives; else that of the first item of `old` with the
/// same name and price whose id no other item of the request has; else a new one, which derives
/// from `event` and is therefore the same in every attempt of a mutation. The result is meaningless
/// when violations were added to `errors`.
pub(super) fn assign_ids(
    requested: &[NewItem],
    old: &[Item],
    event: EventId,
    errors: &mut Vec<FieldError>,
) -> Vec<Item> {
    if !(1..=MAX_ITEMS).contains(&requested.len()) {
        errors.push(FieldError::new(
            "items",
            format!("must contain 1 to {MAX_ITEMS} items"),
        ));
    }

    // The matching below is quadratic, so a list that is too long is one violation and only its
    // beginning is checked.
    let requested = &requested[..requested.len().min(MAX_ITEMS)];

    // Ids that the request gives anywhere are taken before the first item is matched: a later item
    // that names its id must not lose it to an earlier one that only looks the same.
    let mut taken = given_ids(requested, errors);
    let mut items = Vec::with_capacity(requested.len());

    for (index, item) in requested.iter().enumerate() {
        let name = check::text(&item.name, &format!("items.{index}.name"), errors);
        let price = check::price(item.price, &format!("items.{index}.price"), errors);
        let Some(price) = price else { continue };

        let unchanged =
            |old: &&Item| old.name == name && old.price == price && !taken.contains(&old.id);
        let id = item
            .id
            .or_else(|| old.iter().find(unchanged).map(|old| old.id))
            .unwrap_or_else(|| identity::item(event, index, |id| taken.contains(&id)));

        taken.insert(id);
        items.push(Item { id, name, price });
    }

    items
}

/// Returns the ids that the request gives. An id that occurs twice is a violation.
fn given_ids(requested: &[NewItem], errors: &mut Vec<FieldError>) -> HashSet<ItemId> {
    let mut given = HashSet::new();

    for (index, item) in requested.iter().enumerate() {
        if item.id.is_some_and(|id| !given.insert(id)) {
            errors.push(FieldError::new(
                format!("items.{index}.id"),
                "must be unique: an earlier item has the same id",
            ));
        }
    }

    given
}
