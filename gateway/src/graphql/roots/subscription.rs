//! Root fields of subscriptions: from their arguments to what the live engine reads.

use backbone::accounts::Role;
use backbone::ids::{BuyerId, SellerId};
use live::{ChangeFilter, Subscription, Viewer};
use serde::Deserialize;

use crate::error::Problem;
use crate::graphql::context::RootContext;
use crate::graphql::deal_filter::DealFilter;
use crate::graphql::scalars::Position;

/// Arguments of `dealChanged`.
#[derive(Deserialize)]
pub(in crate::graphql) struct DealChangedArgs {
    pub(in crate::graphql) filter: Option<DealFilter>,
    pub(in crate::graphql) after: Option<Position>,
}

/// Arguments of `accessChanged`.
#[derive(Deserialize)]
pub(in crate::graphql) struct AccessChangedArgs {
    pub(in crate::graphql) after: Option<Position>,
}

/// Returns what a subscription to changes of deals reads.
pub(in crate::graphql) fn deal_changed(
    context: RootContext<'_>,
    arguments: DealChangedArgs,
) -> Result<Subscription, Problem> {
    let filter = DealFilter::check(arguments.filter)?;
    subscription(context, ChangeFilter::Deals(filter), arguments.after)
}

/// Returns what a subscription to changes of access reads.
pub(in crate::graphql) fn access_changed(
    context: RootContext<'_>,
    arguments: AccessChangedArgs,
) -> Result<Subscription, Problem> {
    subscription(context, ChangeFilter::Access, arguments.after)
}

fn subscription(
    context: RootContext<'_>,
    filter: ChangeFilter,
    after: Option<Position>,
) -> Result<Subscription, Problem> {
    let caller = context.principal()?;
    let viewer = match caller.role() {
        Role::Seller => Viewer::Seller(SellerId(caller.id())),
        Role::Buyer => Viewer::Buyer(BuyerId(caller.id())),
        Role::Admin => {
            return Err(Problem::forbidden(
                "Only sellers and buyers can subscribe to changes",
            ));
        }
    };

    let after = after.map(|text| {
        let position = backbone::position::Position::decode(&text.0);
        position.ok_or_else(|| Problem::input("after", "must be a position"))
    });

    Ok(Subscription {
        viewer,
        filter,
        after: after.transpose()?,
    })
}
