//! Declaration of subscriptions. A declared resolver checks its arguments and yields
//! nothing: changes come from the live engine, which renders them by the document's plan.

use async_graphql::{Context, Result, Subscription as SubscriptionRoot};
use futures_util::Stream;
use futures_util::stream;

use super::change::{AccessChange, DealChange};
use super::context::RootContext;
use super::deal_filter::DealFilter;
use super::roots::{self, AccessChangedArgs, DealChangedArgs};
use super::scalars::Position;

pub struct Subscription;

/// Live changes, over a websocket or server-sent events.
#[SubscriptionRoot]
impl Subscription {
    /// Pushes every change of every deal that the viewer may see: for a buyer, deals of sellers that granted access; for a
    /// seller, the seller's own. Each change is pushed exactly once, in the order of the log. Changes since the position
    /// `after` come first. A position that is older than what the server keeps ends the subscription with
    /// POSITION_EXPIRED: query again, then subscribe after the position of the answer. With conflate, at most one change
    /// of each deal is pushed in so many seconds, 1 to 60: the latest, with the number of those that it stands for. Windows
    /// are aligned to the clock.
    async fn deal_changed(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        after: Option<Position>,
        conflate: Option<i32>,
    ) -> Result<impl Stream<Item = DealChange>> {
        let arguments = DealChangedArgs {
            filter,
            after,
            conflate,
        };
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
