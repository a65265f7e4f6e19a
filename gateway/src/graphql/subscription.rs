//! Subscriptions. A root field is resolved twice over: once to read its arguments (a [`Plan`] is waiting for them),
//! then once for each change that the live engine pushes (a [`PushedChange`] is there to be shown).

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Result, SimpleObject, Subscription as SubscriptionRoot};
use backbone::accounts::Role;
use backbone::contract;
use backbone::ids::{BuyerId, SellerId};
use buyer_core::feed::ChangeBody;
use futures_util::Stream;
use futures_util::stream;
use parking_lot::Mutex;

use super::context::principal;
use super::deal::{Deal, DealField, DealFilter};
use super::scalars::Position;
use crate::error::Problem;
use live::ChangeKind;
use live::PushedChange;
use live::{ChangeFilter, Subscription as SubscriptionRequest, Viewer};

/// LEFT: the deal no longer matches the filter; sent once, with the state that made it leave
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum DealChangeType {
    Created,
    Updated,
    Left,
}

#[derive(SimpleObject)]
pub(super) struct DealChange {
    r#type: DealChangeType,
    deal: Deal,
    /// What differs from the version before; all of them at creation
    changed_fields: Vec<DealField>,
    position: Position,
}

#[derive(SimpleObject)]
pub(super) struct AccessChange {
    seller_id: ID,
    buyer_id: ID,
    granted: bool,
    position: Position,
}

/// Takes the arguments of a subscription's root field.
#[derive(Clone, Default)]
pub(super) struct Plan(Arc<Mutex<Option<SubscriptionRequest>>>);

impl Plan {
    /// What was asked for, once the root field has been resolved.
    pub(super) fn take(&self) -> Option<SubscriptionRequest> {
        self.0.lock().take()
    }
}

pub struct Subscription;

#[SubscriptionRoot]
impl Subscription {
    /// Every change of every deal that the viewer may see (buyers: of sellers that granted access; sellers: their
    /// own), each exactly once and in the order of the log. With `after`, first what was missed since that position.
    /// A position older than the feed's horizon ends the operation with code POSITION_EXPIRED: query again, then
    /// subscribe.
    async fn deal_changed(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = DealChange>> {
        let shown = match context.data_opt::<PushedChange>() {
            Some(pushed) => deal_change(pushed),
            None => {
                plan(
                    context,
                    ChangeFilter::Deals(DealFilter::check(filter)?),
                    after,
                )?;
                None
            }
        };
        Ok(stream::iter(shown))
    }

    /// Access granted or revoked; after a grant, query the new seller's deals
    async fn access_changed(
        &self,
        context: &Context<'_>,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = AccessChange>> {
        let shown = match context.data_opt::<PushedChange>() {
            Some(pushed) => access_change(pushed),
            None => {
                plan(context, ChangeFilter::Access, after)?;
                None
            }
        };
        Ok(stream::iter(shown))
    }
}

fn plan(
    context: &Context<'_>,
    filter: ChangeFilter,
    after: Option<Position>,
) -> Result<(), Problem> {
    let caller = principal(context)?;
    let viewer = match caller.role() {
        Role::Seller => Viewer::Seller(SellerId(caller.id())),
        Role::Buyer => Viewer::Buyer(BuyerId(caller.id())),
        Role::Admin => return Err(Problem::forbidden("this is for sellers and buyers")),
    };
    let after = match after {
        Some(text) => {
            let position = backbone::position::Position::decode(&text.0);
            Some(position.ok_or_else(|| Problem::input("after", "is no position"))?)
        }
        None => None,
    };
    let plan = context.data_unchecked::<Plan>();
    *plan.0.lock() = Some(SubscriptionRequest {
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
