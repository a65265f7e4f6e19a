//! Consequences of the log: the changes that are due to a reader, and the text that tells each.
//!
//! Every rule is written a second time here, from the contract of the events and the schema: the code that is tested
//! must not be its own measure.

use std::collections::{HashMap, HashSet};

use backbone::contract::{self, Deal, Event, Fact, Item};
use backbone::money::Discount;
use backbone::position::{Epoch, Position};
use uuid::Uuid;

use super::plan::{Filter, ReaderPlan, Subject};

/// Names of what can change of a deal, in the order in which changes list them.
const FIELDS: [&str; 5] = ["NAME", "TOTAL_PRICE", "STATUS", "DISCOUNT", "ITEMS"];

/// Change that is due to a reader.
pub(super) struct Due<'a> {
    pub(super) sequence: u64,
    what: What<'a>,
}

enum What<'a> {
    Deal(Effect, &'a Deal),
    Access {
        seller: Uuid,
        buyer: Uuid,
        granted: bool,
    },
}

/// Effect on the deals that match a filter.
#[derive(Clone, Copy)]
struct Effect {
    kind: Kind,
    /// Marks of those [`FIELDS`] that differ from before.
    changed: [bool; FIELDS.len()],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Created,
    Updated,
    Left,
}

/// Returns what a reader is to be shown after a place: what lies within the access that its party has there, and has to
/// do with the deals that it reads.
pub(super) fn due<'a>(events: &'a [Event], plan: &ReaderPlan, begin: u64) -> Vec<Due<'a>> {
    let party = plan.party.id();
    let mut open = HashSet::from([party]);
    let mut deals: HashMap<contract::Subject, &'a Deal> = HashMap::new();
    let mut due = Vec::new();

    for (event, sequence) in events.iter().zip(1_u64..) {
        let what = match (&event.fact, pair_of(event), plan.subject) {
            (Fact::Deal(fact), _, subject) => {
                let before = deals.insert(event.subject, &fact.deal);
                match subject {
                    Subject::Deals(filter) if open.contains(&fact.deal.seller_id.0) => {
                        effect(filter, before, &fact.deal)
                            .map(|effect| What::Deal(effect, &fact.deal))
                    }
                    _ => None,
                }
            }
            (Fact::Access(fact), Some((seller, buyer)), subject) => {
                match (buyer == party, fact.granted) {
                    (true, true) => open.insert(seller),
                    (true, false) => open.remove(&seller),
                    _ => false,
                };
                let named = subject == Subject::Access && [seller, buyer].contains(&party);
                named.then_some(What::Access {
                    seller,
                    buyer,
                    granted: fact.granted,
                })
            }
            _ => None,
        };
        due.extend(
            what.filter(|_| sequence > begin)
                .map(|what| Due { sequence, what }),
        );
    }
    due
}

/// Returns who grants whom, by an event on access.
pub(super) fn pair_of(event: &Event) -> Option<(Uuid, Uuid)> {
    match event.subject {
        contract::Subject::Access { seller, buyer } => Some((seller.0, buyer.0)),
        _ => None,
    }
}

/// Returns what a change means to whoever reads the deals that match a filter; none if they never see it.
fn effect(filter: Filter, before: Option<&Deal>, deal: &Deal) -> Option<Effect> {
    let matched = before.is_some_and(|before| matches(filter, before));
    let kind = match (before, matched, matches(filter, deal)) {
        (None, _, true) => Kind::Created,
        (Some(_), _, true) => Kind::Updated,
        (_, true, false) => Kind::Left,
        (_, false, false) => return None,
    };

    Some(Effect {
        kind,
        changed: differences(before, deal),
    })
}

fn matches(filter: Filter, deal: &Deal) -> bool {
    let price = deal.total_price.get();

    match filter {
        Filter::All => true,
        Filter::OfSeller(seller) => deal.seller_id.0 == seller.id(),
        Filter::Priced(min, max) => deal.currency.code() == "GBP" && min <= price && price <= max,
        Filter::InStatus(status) => deal.status.as_str() == status,
    }
}

/// Returns which of [`FIELDS`] differ; all of them at creation.
fn differences(before: Option<&Deal>, deal: &Deal) -> [bool; FIELDS.len()] {
    let Some(before) = before else {
        return [true; FIELDS.len()];
    };

    [
        before.name != deal.name,
        before.total_price != deal.total_price,
        before.status != deal.status,
        before.discount != deal.discount,
        before.items != deal.items,
    ]
}

impl Due<'_> {
    /// Returns the deal that changed; none for a change of access.
    pub(super) fn deal(&self) -> Option<Uuid> {
        match self.what {
            What::Deal(_, deal) => Some(deal.id.0),
            What::Access { .. } => None,
        }
    }

    /// Returns whether a deal no longer matches the filter.
    pub(super) fn is_left(&self) -> bool {
        matches!(&self.what, What::Deal(effect, _) if effect.kind == Kind::Left)
    }

    fn effect(&self) -> Option<Effect> {
        match self.what {
            What::Deal(effect, _) => Some(effect),
            What::Access { .. } => None,
        }
    }
}

/// Returns the text of the result that stands for changes of one deal that follow each other, or for one change of
/// anything.
pub(super) fn text(changes: &[&Due<'_>], epoch: Epoch) -> String {
    let last = changes.last().expect("a result stands for something");
    let position = Position {
        epoch,
        sequence: last.sequence,
        index: 0,
    };
    let position = position.encode();

    match &last.what {
        What::Access {
            seller,
            buyer,
            granted,
        } => format!(
            r#"{{"position":"{position}","granted":{granted},"buyerId":"{buyer}","sellerId":"{seller}"}}"#
        ),
        What::Deal(_, deal) => {
            let effects: Vec<Effect> = changes.iter().filter_map(|due| due.effect()).collect();
            let kind = folded(&effects);
            let changed: Vec<String> = (0..FIELDS.len())
                .filter(|field| effects.iter().any(|effect| effect.changed[*field]))
                .map(|field| format!("\"{}\"", FIELDS[field]))
                .collect();
            let changed = changed.join(",");
            let skipped = changes.len() - 1;
            let deal = deal_text(deal);
            format!(
                r#"{{"type":"{kind}","changedFields":[{changed}],"skipped":{skipped},"deal":{deal},"position":"{position}"}}"#
            )
        }
    }
}

/// Returns what changes mean together to somebody who has seen none of them.
fn folded(effects: &[Effect]) -> &'static str {
    let kinds = (
        effects.first().map(|effect| effect.kind),
        effects.last().map(|effect| effect.kind),
    );

    match kinds {
        (_, Some(Kind::Left)) => "LEFT",
        (Some(Kind::Created), _) => "CREATED",
        _ => "UPDATED",
    }
}

/// Returns a deal with the fields of the readers' selection, in its order.
fn deal_text(deal: &Deal) -> String {
    let Deal {
        id,
        seller_id,
        version,
        created_at,
        updated_at,
        ..
    } = deal;
    let name = string(&deal.name);
    let status = deal.status.as_str();
    let total = deal.total_price.get();
    let discount = discount_text(deal.discount);
    let reduced = final_price(total, deal.discount);
    let currency = deal.currency.code();
    let items: Vec<String> = deal.items.iter().map(item_text).collect();
    let items = items.join(",");

    [
        format!(r#"{{"version":{version},"id":"{id}","sellerId":"{seller_id}","name":{name},"#),
        format!(r#""status":"{status}","totalPrice":{total},"discount":{discount},"#),
        format!(r#""finalPrice":{reduced},"currency":"{currency}","items":[{items}],"#),
        format!(r#""createdAt":"{created_at}","updatedAt":"{updated_at}"}}"#),
    ]
    .concat()
}

fn item_text(item: &Item) -> String {
    let Item { id, name, price } = item;
    let name = string(name);
    let price = price.get();

    format!(r#"{{"id":"{id}","price":{price},"name":{name}}}"#)
}

fn discount_text(discount: Option<Discount>) -> String {
    match discount {
        None => "null".to_owned(),
        Some(Discount::Flat { amount }) => {
            let amount = amount.get();
            format!(r#"{{"type":"FLAT","percentage":null,"amount":{amount}}}"#)
        }
        Some(Discount::Percentage { basis_points }) => {
            let percentage = serde_json::json!(basis_points.percentage());
            format!(r#"{{"type":"PERCENTAGE","percentage":{percentage},"amount":null}}"#)
        }
    }
}

/// Returns a price less a discount, with half a minor unit rounded up.
fn final_price(total: i64, discount: Option<Discount>) -> i64 {
    match discount {
        None => total,
        Some(Discount::Flat { amount }) => total - amount.get(),
        Some(Discount::Percentage { basis_points }) => {
            let points = (basis_points.percentage() * 100.0).round() as i64;
            (total * (10_000 - points) + 5_000).div_euclid(10_000)
        }
    }
}

fn string(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}
