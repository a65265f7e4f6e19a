//! Declaration of queries: their names, arguments and descriptions. Each resolver is one call of the root function that
//! does the work.
//!
//! Root fields are nullable on purpose: a store that is down nulls the fields that need it, not the whole answer. Those that
//! are null for no other reason say so by `@semanticNonNull`.

use async_graphql::{Context, ID, Object, Result};

use super::access::AccessConnection;
use super::account::{ApiKey, Viewer};
use super::change::DealChangePage;
use super::connection::DealConnection;
use super::context::RootContext;
use super::deal::Deal;
use super::deal_filter::{DealFilter, DealOrder};
use super::directives::semantic_non_null;
use super::node::Node;
use super::operator::{DeadEvent, ProjectionState, Side, StoredEvent};
use super::roots::{
    self, AccessArgs, ChangesArgs, DeadEventsArgs, DealArgs, DealsArgs, DeliveriesArgs, EventArgs,
    IdArgs, KeysArgs, ReplaysArgs,
};
use super::scalars::{DateTime, Position};
use super::webhook::{DeliveryState, Webhook, WebhookDeliveryConnection, WebhookEvent};
use super::webhook_replay::WebhookReplay;

#[derive(Default)]
pub struct Query;

/// Reads. An argument minPosition makes a field wait for up to one second until the tables include that position, and
/// fail with POSITION_NOT_REACHED if they do not. Pages have 20 entries unless first or last, 0 to 100, says otherwise.
#[Object]
impl Query {
    /// Returns the account whose API key the request was made with.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn viewer(&self, context: &Context<'_>) -> Result<Option<Viewer>> {
        Ok(roots::viewer(RootContext::of(context))?)
    }

    /// Returns the object with this id: a deal or, for a buyer, one of its webhooks or deliveries. null if there is none
    /// that the caller may see.
    async fn node(&self, context: &Context<'_>, id: ID) -> Result<Option<Node>> {
        Ok(roots::node(RootContext::of(context), IdArgs { id }).await?)
    }

    /// Returns a deal of the calling seller, or one that the calling buyer has access to; null for any other id.
    async fn deal(
        &self,
        context: &Context<'_>,
        id: ID,
        min_position: Option<Position>,
    ) -> Result<Option<Deal>> {
        Ok(roots::deal(RootContext::of(context), DealArgs { id, min_position }).await?)
    }

    /// Buyers only. Returns the deals of every seller that grants the buyer access. first and last must not be combined.
    #[graphql(directive = semantic_non_null::apply(None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the arguments of the public contract"
    )]
    async fn deals_for_buyer(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        #[graphql(default)] order_by: DealOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<DealConnection>> {
        Ok(roots::deals_for_buyer(
            RootContext::of(context),
            DealsArgs {
                filter,
                order_by,
                first,
                after,
                last,
                before,
                min_position,
            },
        )
        .await?)
    }

    /// Sellers only. Returns the seller's own deals. first and last must not be combined.
    #[graphql(directive = semantic_non_null::apply(None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the arguments of the public contract"
    )]
    async fn deals_for_seller(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        #[graphql(default)] order_by: DealOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<DealConnection>> {
        Ok(roots::deals_for_seller(
            RootContext::of(context),
            DealsArgs {
                filter,
                order_by,
                first,
                after,
                last,
                before,
                min_position,
            },
        )
        .await?)
    }

    /// Buyers only. Returns the access that sellers grant the buyer, ordered by seller id.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn access_for_buyer(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<AccessConnection>> {
        Ok(roots::access_for_buyer(
            RootContext::of(context),
            AccessArgs {
                first,
                after,
                min_position,
            },
        )
        .await?)
    }

    /// Sellers only. Returns the access that the seller grants to buyers, ordered by buyer id.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn access_for_seller(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<AccessConnection>> {
        Ok(roots::access_for_seller(
            RootContext::of(context),
            AccessArgs {
                first,
                after,
                min_position,
            },
        )
        .await?)
    }

    /// Returns what the subscription `dealChanged` would push after a position: the feed by pull, for jobs and for
    /// backends that cannot keep a connection open. Ask again after the position of the page. first is 1 to 500 and 100
    /// by default. Without a change the field waits for one, for up to wait seconds, 0 to 30 and 0 by default. A position
    /// that is older than what the server keeps fails with POSITION_EXPIRED.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn changes(
        &self,
        context: &Context<'_>,
        filter: Option<DealFilter>,
        after: Position,
        first: Option<i32>,
        wait: Option<i32>,
    ) -> Result<Option<DealChangePage>> {
        Ok(roots::changes(
            RootContext::of(context),
            ChangesArgs {
                filter,
                after,
                first,
                wait,
            },
        )
        .await?)
    }

    /// Returns the newest API keys of the caller, at most 1,000, newest first. Administrators must name the account.
    async fn api_keys(
        &self,
        context: &Context<'_>,
        account_id: Option<ID>,
    ) -> Result<Option<Vec<ApiKey>>> {
        Ok(roots::api_keys(RootContext::of(context), KeysArgs { account_id }).await?)
    }

    /// Buyers only. Returns the buyer's webhooks, oldest first.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn webhooks(&self, context: &Context<'_>) -> Result<Option<Vec<Webhook>>> {
        Ok(roots::webhooks(RootContext::of(context)).await?)
    }

    /// Buyers only. Returns the deliveries of the buyer's webhooks, newest first. Deliveries of a deleted webhook are
    /// returned only if webhookId names it. since and until are about their creation; error restricts the list to those
    /// whose last attempt failed.
    #[graphql(directive = semantic_non_null::apply(None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the arguments of the public contract"
    )]
    async fn webhook_deliveries(
        &self,
        context: &Context<'_>,
        webhook_id: Option<ID>,
        state: Option<DeliveryState>,
        events: Option<Vec<WebhookEvent>>,
        deal_id: Option<ID>,
        since: Option<DateTime>,
        until: Option<DateTime>,
        error: Option<bool>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<WebhookDeliveryConnection>> {
        Ok(roots::webhook_deliveries(
            RootContext::of(context),
            DeliveriesArgs {
                webhook_id,
                state,
                events,
                deal_id,
                since,
                until,
                error,
                first,
                after,
            },
        )
        .await?)
    }

    /// Buyers only. Returns the newest replays of a webhook, newest first and at most 100.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn webhook_replays(
        &self,
        context: &Context<'_>,
        webhook_id: ID,
    ) -> Result<Option<Vec<WebhookReplay>>> {
        Ok(roots::webhook_replays(RootContext::of(context), ReplaysArgs { webhook_id }).await?)
    }

    /// Administrators only. Returns how far the tables of both sides have read the event log.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn projections(&self, context: &Context<'_>) -> Result<Option<Vec<ProjectionState>>> {
        Ok(roots::projections(RootContext::of(context)).await?)
    }

    /// Administrators only. Returns the events after an event that the tables of a side have set aside, in the order of
    /// the log; with settled, also those that have been settled.
    #[graphql(directive = semantic_non_null::apply(None))]
    async fn dead_events(
        &self,
        context: &Context<'_>,
        side: Side,
        #[graphql(default = false)] settled: bool,
        first: Option<i32>,
        after: Option<ID>,
    ) -> Result<Option<Vec<DeadEvent>>> {
        Ok(roots::dead_events(
            RootContext::of(context),
            DeadEventsArgs {
                side,
                settled,
                first,
                after,
            },
        )
        .await?)
    }

    /// Administrators only. Returns an event as the log stores it, readable or not; null if there is none of this number.
    async fn stored_event(
        &self,
        context: &Context<'_>,
        sequence: ID,
    ) -> Result<Option<StoredEvent>> {
        Ok(roots::stored_event(RootContext::of(context), EventArgs { sequence }).await?)
    }
}
