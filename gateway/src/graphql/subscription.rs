//! Declaration of subscriptions, and the changes that they push. A declared resolver checks its arguments and yields
//! nothing: changes come from the live engine, which renders them by the document's plan.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Result, SimpleObject, Subscription as SubscriptionRoot};
use backbone::contract;
use backbone::deal_table::StoredDeal;
use buyer_core::feed::ChangeBody;
use documents::object;
use futures_util::Stream;
use futures_util::stream;
use live::{ChangeKind, PushedChange};
use serde::Serialize;

use super::context::RootContext;
use super::deal::{Deal, DealField};
use super::deal_filter::DealFilter;
use super::roots::{self, AccessChangedArgs, DealChangedArgs};
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
    /// Fields that differ from the version before; at creation, all fields.
    changed_fields: Vec<DealField>,
    /// Position of the change. Store it, and pass it as after to resume without missing or repeating a change.
    position: Position,
}

object!(DealChange as "DealChange", |change| {
    "type" => change.r#type,
    "deal" => change.deal,
    "changedFields" => change.changed_fields,
    "position" => change.position,
});

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

pub struct Subscription;

/// Live changes, over a websocket or server-sent events.
#[SubscriptionRoot]
impl Subscription {
    /// Pushes every change of every deal that the viewer may see: for a buyer, deals of sellers that granted access; for a
    /// seller, the seller's own. Each change is pushed exactly once, in the order of the log. Changes since the position
    /// `after` come first. A position that is older than what the server keeps ends the subscription with
    /// POSITION_EXPIRED: query again, then subscribe after the position of the answer.
    async fn deal_changed(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = DealChange>> {
        let arguments = DealChangedArgs { filter, after };
        roots::deal_changed(RootContext::of(context), arguments)?;
        Ok(stream::empty())
    }

    /// Pushes every grant and revocation of access that names the viewer, exactly once and in the order of the log. After a
    /// grant, a buyer queries the seller's deals: `dealChanged` pushes only what changes from the grant on.
    async fn access_changed(
        &self,
        context: &Context<'_>,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = AccessChange>> {
        roots::access_changed(RootContext::of(context), AccessChangedArgs { after })?;
        Ok(stream::empty())
    }
}

impl DealChange {
    /// Returns a pushed change of a deal; `None` for a change of access.
    pub(super) fn of(pushed: &PushedChange) -> Option<Self> {
        let ChangeBody::Deal { deal, changed, .. } = &pushed.change.body else {
            return None;
        };

        let field = |field: &contract::DealField| DealField::from(*field);

        Some(Self {
            r#type: match pushed.kind {
                ChangeKind::Created => DealChangeType::Created,
                ChangeKind::Updated => DealChangeType::Updated,
                ChangeKind::Left => DealChangeType::Left,
            },
            deal: Deal(StoredDeal {
                deal: Arc::clone(deal),
                sequence: pushed.change.sequence,
            }),
            changed_fields: changed.iter().map(field).collect(),
            position: pushed.position().into(),
        })
    }
}

impl AccessChange {
    /// Returns a pushed change of access; `None` for a change of a deal.
    pub(super) fn of(pushed: &PushedChange) -> Option<Self> {
        let ChangeBody::Access { buyer, granted } = &pushed.change.body else {
            return None;
        };

        Some(Self {
            seller_id: pushed.change.seller_id.into(),
            buyer_id: (*buyer).into(),
            granted: *granted,
            position: pushed.position().into(),
        })
    }
}
