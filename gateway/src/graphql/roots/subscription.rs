//! Root fields of subscriptions: from their arguments to what the live engine reads.

use std::time::Duration;

use live::{ChangeFilter, Subscription};
use serde::Deserialize;

use crate::error::Problem;
use crate::graphql::change::DealChangePage;
use crate::graphql::context::RootContext;
use crate::graphql::deal_filter::DealFilter;
use crate::graphql::scalars::Position;
use crate::services::PullWindow;

/// Arguments of `dealChanged`.
#[derive(Deserialize)]
pub(in crate::graphql) struct DealChangedArgs {
    pub(in crate::graphql) filter: Option<DealFilter>,
    pub(in crate::graphql) after: Option<Position>,
    pub(in crate::graphql) conflate: Option<i32>,
}

/// Arguments of `accessChanged`.
#[derive(Deserialize)]
pub(in crate::graphql) struct AccessChangedArgs {
    pub(in crate::graphql) after: Option<Position>,
}

/// Arguments of `changes`.
#[derive(Deserialize)]
pub(in crate::graphql) struct ChangesArgs {
    pub(in crate::graphql) filter: Option<DealFilter>,
    pub(in crate::graphql) after: Position,
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) wait: Option<i32>,
}

/// Reads what `dealChanged` would have pushed after a position.
pub(in crate::graphql) async fn changes(
    context: RootContext<'_>,
    arguments: ChangesArgs,
) -> Result<Option<DealChangePage>, Problem> {
    let ChangesArgs {
        filter,
        after,
        first,
        wait,
    } = arguments;
    let filter = DealFilter::check(filter)?;
    let subscription = subscription(context, ChangeFilter::Deals(filter), Some(after))?;
    let window = PullWindow::check(first.map(i64::from), wait.map(i64::from))?;

    let feed = &context.services.feed;
    let pulled = feed.pull(subscription, window.first, window.wait).await?;
    Ok(Some(pulled.into()))
}

/// Returns what a subscription to changes of deals reads.
pub(in crate::graphql) fn deal_changed(
    context: RootContext<'_>,
    arguments: DealChangedArgs,
) -> Result<Subscription, Problem> {
    let filter = DealFilter::check(arguments.filter)?;
    let conflate = arguments.conflate.map(|seconds| {
        let seconds = u64::try_from(seconds).ok();
        let seconds = seconds.filter(|seconds| (1..=60).contains(seconds));
        let seconds = seconds.map(Duration::from_secs);
        seconds.ok_or_else(|| Problem::input("conflate", "must be between 1 and 60 seconds"))
    });

    let subscription = subscription(context, ChangeFilter::Deals(filter), arguments.after)?;
    Ok(Subscription {
        conflate: conflate.transpose()?,
        ..subscription
    })
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
    let viewer = context.principal()?.viewer()?;
    let after = after.map(|text| {
        let position = backbone::position::Position::decode(&text.0);
        position.ok_or_else(|| Problem::input("after", "must be a position"))
    });

    Ok(Subscription {
        viewer,
        filter,
        after: after.transpose()?,
        conflate: None,
    })
}
