//! The items of a deal: a list that replaces the one before, in which what stayed the same keeps its id.

use std::collections::HashSet;

use backbone::contract::Item;
use backbone::ids::{EventId, ItemId};

use crate::{NewItem, check, identity};
use backbone::FieldError;

/// The most items of a deal.
const ITEMS: usize = 100;

/// The list that was asked for, every item with its id: the one it names; else that of the first item of `old` with
/// equal name and price which nobody has claimed, by naming its id or by coming earlier; else a new one, the same
/// whenever `event` is. With violations added, what is returned is of no use.
pub(super) fn list(
    asked: &[NewItem],
    old: &[Item],
    event: EventId,
    errors: &mut Vec<FieldError>,
) -> Vec<Item> {
    if !(1..=ITEMS).contains(&asked.len()) {
        errors.push(FieldError::new(
            "items",
            format!("must be 1 to {ITEMS} items"),
        ));
    }
    // A list that is too long is one violation: what stands beyond its bound is not looked at.
    let asked = &asked[..asked.len().min(ITEMS)];
    let mut claimed = named(asked, errors);
    let mut items = Vec::with_capacity(asked.len());
    for (index, item) in asked.iter().enumerate() {
        let name = check::text(&item.name, &format!("items.{index}.name"), errors);
        let price = check::price(item.price, &format!("items.{index}.price"), errors);
        let Some(price) = price else { continue };
        let same =
            |old: &&Item| old.name == name && old.price == price && !claimed.contains(&old.id);
        let id = item
            .id
            .or_else(|| old.iter().find(same).map(|old| old.id))
            .unwrap_or_else(|| identity::item(event, index, |id| claimed.contains(&id)));
        claimed.insert(id);
        items.push(Item { id, name, price });
    }
    items
}

/// The ids that the list names, each once.
fn named(asked: &[NewItem], errors: &mut Vec<FieldError>) -> HashSet<ItemId> {
    let mut named = HashSet::new();
    for (index, item) in asked.iter().enumerate() {
        if item.id.is_some_and(|id| !named.insert(id)) {
            errors.push(FieldError::new(
                format!("items.{index}.id"),
                "is an earlier item's",
            ));
        }
    }
    named
}
