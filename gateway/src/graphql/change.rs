//! Changes of deals and of access, as subscriptions push them and `changes` returns them.

use std::sync::Arc;

use async_graphql::{Enum, ID, SimpleObject};
use backbone::contract;
use backbone::deal_table::StoredDeal;
use buyer_core::feed::ChangeBody;
use documents::object;
use live::{ChangeKind, Pulled, PushedChange, Shown};
use serde::Serialize;

use super::deal::{Deal, DealField};
use super::scalars::{Position, render_enums};

/// Effect of a change on the deals that match the subscription's filter.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DealChangeType {
    /// The deal was created, and matches.
    Created,
    /// The deal was changed and matches, whether or not it matched before.
    Updated,
    /// The deal matched before and no longer does. Sent once, with the state that made it leave.
    Left,
}

render_enums!(DealChangeType);

/// Change of a deal.
#[derive(SimpleObject)]
pub(super) struct DealChange {
    /// Effect of the change on the deals that match the filter.
    r#type: DealChangeType,
    /// The deal after the change.
    deal: Deal,
    /// Fields that differ from the version before; at creation, all fields. With conflate, those of all changes that this
    /// one stands for.
    changed_fields: Vec<DealField>,
    /// Number of changes of this deal that a conflated subscription left out before this one; otherwise 0.
    skipped: i32,
    /// Position of the change. Store it, and pass it as after to resume without missing or repeating a change.
    position: Position,
}

object!(DealChange as "DealChange", |change| {
    "type" => change.r#type,
    "deal" => change.deal,
    "changedFields" => change.changed_fields,
    "skipped" => change.skipped,
    "position" => change.position,
});

/// Changes of deals after a position.
#[derive(SimpleObject)]
pub(super) struct DealChangePage {
    /// Changes in the order of the log.
    changes: Vec<DealChange>,
    /// Position to pass as after the next time.
    position: Position,
    /// True if there is more already.
    more: bool,
}

object!(DealChangePage as "DealChangePage", |page| {
    "changes" => page.changes,
    "position" => page.position,
    "more" => page.more,
});

impl From<Pulled> for DealChangePage {
    fn from(pulled: Pulled) -> Self {
        Self {
            changes: pulled.changes.iter().filter_map(DealChange::of).collect(),
            position: pulled.position.into(),
            more: pulled.more,
        }
    }
}

/// Grant or revocation of a buyer's access to a seller's deals.
#[derive(SimpleObject)]
pub(super) struct AccessChange {
    /// Seller who granted or revoked the access.
    seller_id: ID,
    /// Buyer whose access changed.
    buyer_id: ID,
    /// True if the buyer has access after the change.
    granted: bool,
    /// Position of the change. Store it, and pass it as after to resume without missing or repeating a change.
    position: Position,
}

object!(AccessChange as "AccessChange", |change| {
    "sellerId" => *change.seller_id.as_str(),
    "buyerId" => *change.buyer_id.as_str(),
    "granted" => change.granted,
    "position" => change.position,
});

impl DealChange {
    /// Returns a pushed change of a deal; `None` for a change of access.
    pub(super) fn of(pushed: &PushedChange) -> Option<Self> {
        let Shown {
            kind,
            change,
            conflated,
        } = &pushed.shown;
        let ChangeBody::Deal { deal, changed, .. } = &change.body else {
            return None;
        };
        let (skipped, changed) = match conflated {
            Some(conflated) => (conflated.skipped, &conflated.changed),
            None => (0, changed),
        };

        let field = |field: &contract::DealField| DealField::from(*field);

        Some(Self {
            r#type: match kind {
                ChangeKind::Created => DealChangeType::Created,
                ChangeKind::Updated => DealChangeType::Updated,
                ChangeKind::Left => DealChangeType::Left,
            },
            deal: Deal(StoredDeal {
                deal: Arc::clone(deal),
                sequence: change.sequence,
            }),
            changed_fields: changed.iter().map(field).collect(),
            skipped: i32::try_from(skipped).unwrap_or(i32::MAX),
            position: pushed.position().into(),
        })
    }
}

impl AccessChange {
    /// Returns a pushed change of access; `None` for a change of a deal.
    pub(super) fn of(pushed: &PushedChange) -> Option<Self> {
        let change = &pushed.shown.change;
        let ChangeBody::Access { buyer, granted } = &change.body else {
            return None;
        };

        Some(Self {
            seller_id: change.seller_id.into(),
            buyer_id: (*buyer).into(),
            granted: *granted,
            position: pushed.position().into(),
        })
    }
}
