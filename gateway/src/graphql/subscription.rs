//! Subscriptions.
//!
//! A root field is resolved for two purposes. When a client subscribes, it only records its arguments in the [`Plan`] of
//! the context. When the live engine pushes a change, it shows the [`PushedChange`] of the context.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Result, SimpleObject, Subscription as SubscriptionRoot};
use backbone::accounts::Role;
use backbone::contract;
use backbone::ids::{BuyerId, SellerId};
use buyer_core::feed::ChangeBody;
use futures_util::Stream;
use futures_util::stream;
use live::{ChangeFilter, ChangeKind, PushedChange, Subscription as LiveSubscription, Viewer};
use parking_lot::Mutex;

use super::context::principal;
use super::deal::{Deal, DealField};
use super::deal_filter::DealFilter;
use super::scalars::Position;
use crate::error::Problem;

/// Effect of a change on the deals that match the subscription's filter.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum DealChangeType {
    /// The deal was created, and matches.
    Created,
    /// The deal was changed and matches, whether or not it matched before.
    Updated,
    /// The deal matched before and no longer does. Sent once, with the state that made it leave.
    Left,
}

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

/// Arguments of a subscription's root field, recorded while it is resolved for a client that subscribes.
// Behind a lock because the library hands resolvers shared references only; it is never contended.
#[derive(Clone, Default)]
pub(super) struct Plan(Arc<Mutex<Option<LiveSubscription>>>);

impl Plan {
    /// Takes the recorded request; `None` before the root field has been resolved.
    pub(super) fn take(&self) -> Option<LiveSubscription> {
        self.0.lock().take()
    }
}

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
        let change = match context.data_opt::<PushedChange>() {
            Some(pushed) => deal_change(pushed),
            None => {
                let filter = DealFilter::check(filter)?;
                record_plan(context, ChangeFilter::Deals(filter), after)?;
                None
            }
        };

        Ok(stream::iter(change))
    }

    /// Pushes every grant and revocation of access that names the viewer, exactly once and in the order of the log. After a
    /// grant, a buyer queries the seller's deals: `dealChanged` pushes only what changes from the grant on.
    async fn access_changed(
        &self,
        context: &Context<'_>,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = AccessChange>> {
        let change = match context.data_opt::<PushedChange>() {
            Some(pushed) => access_change(pushed),
            None => {
                record_plan(context, ChangeFilter::Access, after)?;
                None
            }
        };

        Ok(stream::iter(change))
    }
}

fn record_plan(
    context: &Context<'_>,
    filter: ChangeFilter,
    after: Option<Position>,
) -> Result<(), Problem> {
    let caller = principal(context)?;
    let viewer = match caller.role() {
        Role::Seller => Viewer::Seller(SellerId(caller.id())),
        Role::Buyer => Viewer::Buyer(BuyerId(caller.id())),
        Role::Admin => {
            return Err(Problem::forbidden(
                "Only sellers and buyers can subscribe to changes",
            ));
        }
    };

    let after = match after {
        Some(text) => {
            let position = backbone::position::Position::decode(&text.0);
            let position = position.ok_or_else(|| Problem::input("after", "must be a position"))?;
            Some(position)
        }
        None => None,
    };

    let plan = context.data_unchecked::<Plan>();
    *plan.0.lock() = Some(LiveSubscription {
        viewer,
        filter,
        after,
    });
    Ok(())
}

fn deal_change(pushed: &PushedChange) -> Option<DealChange> {
    let ChangeBody::Deal { deal, changed, .. } = &pushed.change.body else {
        return None;
    };

    let field = |field: &contract::DealField| DealField::from(*field);

    Some(DealChange {
        r#type: match pushed.kind {
            ChangeKind::Created => DealChangeType::Created,
            ChangeKind::Updated => DealChangeType::Updated,
            ChangeKind::Left => DealChangeType::Left,
        },
        deal: Deal(Arc::clone(deal)),
        changed_fields: changed.iter().map(field).collect(),
        position: pushed.position().into(),
    })
}

fn access_change(pushed: &PushedChange) -> Option<AccessChange> {
    let ChangeBody::Access { buyer, granted } = &pushed.change.body else {
        return None;
    };

    Some(AccessChange {
        seller_id: pushed.change.seller_id.into(),
        buyer_id: (*buyer).into(),
        granted: *granted,
        position: pushed.position().into(),
    })
}
