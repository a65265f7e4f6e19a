//! Queries.
//!
//! Root fields are nullable on purpose: a store that is down nulls the fields that need it, not the whole answer.

use async_graphql::{Context, ID, Interface, Object, Result};
use backbone::accounts::Role;
use backbone::deal_table::{self, DealOrder as Order, StoredDeal, Window};
use backbone::ids::{BuyerId, DealId, DeliveryId, SellerId, WebhookId};
use backbone::position;
use seller_core::AccessWindow;
use uuid::Uuid;

use super::access::AccessConnection;
use super::account::Viewer;
use super::connection::{DealConnection, WindowArgs, id_window};
use super::context::{principal, services};
use super::deal::Deal;
use super::deal_filter::{DealFilter, DealOrder};
use super::ids::parse_id;
use super::scalars::Position;
use super::webhook::{DeliveryState, Webhook, WebhookDelivery, WebhookDeliveryConnection};
use crate::error::Problem;
use crate::services::min_position;

/// Object with a UUID that is unique over all types, in its canonical form.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "UUID of the object, unique over all types."
))]
pub(super) enum Node {
    Deal(Deal),
    Webhook(Webhook),
    WebhookDelivery(WebhookDelivery),
}

#[derive(Default)]
pub struct Query;

/// Reads. An argument minPosition makes a field wait for up to one second until the tables include that position, and
/// fail with POSITION_NOT_REACHED if they do not. Pages have 20 entries unless first or last, 0 to 100, says otherwise.
#[Object]
impl Query {
    /// Returns the account whose API key the request was made with.
    async fn viewer(&self, context: &Context<'_>) -> Result<Option<Viewer>> {
        let caller = principal(context)?;
        let viewer = Viewer {
            role: caller.role().into(),
            id: caller.id().into(),
            name: caller.name().to_owned(),
        };

        Ok(Some(viewer))
    }

    /// Returns the object with this id: a deal or, for a buyer, one of its webhooks or deliveries. null if there is none
    /// that the caller may see.
    async fn node(&self, context: &Context<'_>, id: ID) -> Result<Option<Node>> {
        let id = parse_id("id", &id)?;
        if let Some(deal) = visible_deal(context, id, None).await? {
            return Ok(Some(Node::Deal(Deal(deal.deal))));
        }

        let caller = principal(context)?;
        if caller.role() != Role::Buyer {
            return Ok(None);
        }

        let buyer = caller.buyer()?;
        let services = services(context);
        let webhooks = &services.webhooks;

        if let Some(webhook) = services.read(webhooks.find(buyer, WebhookId(id))).await? {
            return Ok(Some(Node::Webhook(webhook.into())));
        }

        let delivery = services
            .read(webhooks.delivery(buyer, DeliveryId(id)))
            .await?;

        Ok(delivery.map(|delivery| Node::WebhookDelivery(delivery.into())))
    }

    /// Returns a deal of the calling seller, or one that the calling buyer has access to; null for any other id.
    async fn deal(
        &self,
        context: &Context<'_>,
        id: ID,
        min_position: Option<Position>,
    ) -> Result<Option<Deal>> {
        let id = parse_id("id", &id)?;
        let deal = visible_deal(context, id, min_position).await?;

        Ok(deal.map(|deal| Deal(deal.deal)))
    }

    /// Buyers only. Returns the deals of every seller that grants the buyer access. first and last must not be combined.
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
        let buyer = principal(context)?.buyer()?;
        let window = WindowArgs {
            first,
            after,
            last,
            before,
        };
        let (filter, order, window) = page_args(filter, order_by, window)?;

        let at = at(min_position.as_ref())?;
        let services = services(context);
        let page = services
            .read(services.reads.page(buyer, filter, order, window, at))
            .await?;

        Ok(Some(page.into()))
    }

    /// Sellers only. Returns the seller's own deals. first and last must not be combined.
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
        let seller = principal(context)?.seller()?;
        let window = WindowArgs {
            first,
            after,
            last,
            before,
        };
        let (filter, order, window) = page_args(filter, order_by, window)?;

        reach(context, min_position).await?;

        let services = services(context);
        let page = services
            .read(services.sellers.deals(seller, filter, order, window))
            .await?;

        Ok(Some(page.into()))
    }

    /// Buyers only. Returns the access that sellers grant the buyer, ordered by seller id.
    async fn access_for_buyer(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<AccessConnection>> {
        let buyer = principal(context)?.buyer()?;
        let (limit, after) = id_window(first, after)?;

        reach(context, min_position).await?;

        let services = services(context);
        let page = services
            .read(services.buyers.grants(buyer, limit, after.map(SellerId)))
            .await?;

        let grants = page
            .grants
            .iter()
            .map(|grant| (grant.seller_id.0, grant.seller_id, buyer, grant.since));
        let connection = AccessConnection::new(grants, page.has_next, after.is_some());

        Ok(Some(connection))
    }

    /// Sellers only. Returns the access that the seller grants to buyers, ordered by buyer id.
    async fn access_for_seller(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        min_position: Option<Position>,
    ) -> Result<Option<AccessConnection>> {
        let seller = principal(context)?.seller()?;
        let (limit, after) = id_window(first, after)?;

        reach(context, min_position).await?;

        let services = services(context);
        let window = AccessWindow {
            limit,
            after: after.map(BuyerId),
        };
        let page = services
            .read(services.sellers.grants(seller, window))
            .await?;

        let grants = page
            .grants
            .iter()
            .map(|grant| (grant.buyer.0, seller, grant.buyer, grant.since));
        let connection = AccessConnection::new(grants, page.has_next, after.is_some());

        Ok(Some(connection))
    }

    /// Buyers only. Returns the buyer's webhooks, oldest first.
    async fn webhooks(&self, context: &Context<'_>) -> Result<Option<Vec<Webhook>>> {
        let buyer = principal(context)?.buyer()?;
        let services = services(context);

        let webhooks = services.read(services.webhooks.list(buyer)).await?;
        Ok(Some(webhooks.into_iter().map(Webhook::from).collect()))
    }

    /// Buyers only. Returns the deliveries of the buyer's webhooks, newest first. Deliveries of a deleted webhook are
    /// returned only if webhookId names it.
    async fn webhook_deliveries(
        &self,
        context: &Context<'_>,
        webhook_id: Option<ID>,
        state: Option<DeliveryState>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<WebhookDeliveryConnection>> {
        let buyer = principal(context)?.buyer()?;
        let webhook = webhook_id
            .map(|id| parse_id("webhookId", &id))
            .transpose()?
            .map(WebhookId);
        let (limit, after) = id_window(first, after)?;

        let services = services(context);
        let page = services.webhooks.deliveries(
            buyer,
            webhook,
            state.map(Into::into),
            limit,
            after.map(DeliveryId),
        );
        let page = services.read(page).await?;

        Ok(Some(WebhookDeliveryConnection::new(page, after.is_some())))
    }
}

/// Waits until the tables that the caller reads include a position.
async fn reach(context: &Context<'_>, position: Option<Position>) -> Result<(), Problem> {
    let position = position.as_ref().map(|position| position.0.as_str());
    services(context).reach(principal(context)?, position).await
}

/// Decodes the argument minPosition.
fn at(position: Option<&Position>) -> Result<Option<position::Position>, Problem> {
    min_position(position.map(|position| position.0.as_str()))
}

async fn visible_deal(
    context: &Context<'_>,
    id: Uuid,
    position: Option<Position>,
) -> Result<Option<StoredDeal>, Problem> {
    let caller = principal(context)?;
    let services = services(context);
    let id = DealId(id);

    match caller.role() {
        Role::Seller => {
            reach(context, position).await?;
            services
                .read(services.sellers.deal(caller.seller()?, id))
                .await
        }
        Role::Buyer => {
            let at = at(position.as_ref())?;
            services
                .read(services.reads.deal(caller.buyer()?, id, at))
                .await
        }
        Role::Admin => Err(Problem::forbidden("Only sellers and buyers can read deals")),
    }
}

fn page_args(
    filter: Option<DealFilter>,
    order: DealOrder,
    window: WindowArgs,
) -> Result<(deal_table::DealFilter, Order, Window), Problem> {
    let order = Order::from(order);
    let filter = DealFilter::check(filter)?;

    // Amounts of different currencies do not compare.
    if order != Order::LastChangedFirst && filter.currency.is_none() {
        return Err(Problem::input("orderBy", "requires filter.currency"));
    }

    Ok((filter, order, window.check(order)?))
}
