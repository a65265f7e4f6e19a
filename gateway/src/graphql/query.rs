//! Queries. Root fields are nullable on purpose: a store that is down nulls its own field, not the whole answer.

use async_graphql::{Context, ID, Interface, Object, Result};
use backbone::accounts::Role;
use backbone::contract;
use backbone::deal_table::{self, DealOrder as Order, Window};
use backbone::ids::{BuyerId, DealId, DeliveryId, SellerId, WebhookId};
use seller_core::AccessWindow;
use uuid::Uuid;

use super::access::AccessConnection;
use super::account::Viewer;
use super::connection::{DealConnection, WindowArgs, id_window};
use super::context::{principal, services};
use super::deal::{Deal, DealFilter, DealOrder, uuid};
use super::scalars::Position;
use super::webhook::{DeliveryState, Webhook, WebhookDelivery, WebhookDeliveryConnection};
use crate::error::Problem;

/// id is a UUID in its canonical form, unique over all types
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub(super) enum Node {
    Deal(Deal),
    Webhook(Webhook),
    WebhookDelivery(WebhookDelivery),
}

#[derive(Default)]
pub struct Query;

#[Object]
impl Query {
    /// Whose key the request came with
    async fn viewer(&self, context: &Context<'_>) -> Result<Option<Viewer>> {
        let caller = principal(context)?;
        let viewer = Viewer {
            role: caller.role().into(),
            id: caller.id().into(),
            name: caller.name().to_owned(),
        };
        Ok(Some(viewer))
    }

    /// Anything by its id, if the caller may see it
    async fn node(&self, context: &Context<'_>, id: ID) -> Result<Option<Node>> {
        let id = uuid("id", &id)?;
        if let Some(deal) = visible_deal(context, id).await? {
            return Ok(Some(Node::Deal(deal.into())));
        }
        let (caller, services) = (principal(context)?, services(context));
        if caller.role() != Role::Buyer {
            return Ok(None);
        }
        let (buyer, webhooks) = (caller.buyer()?, &services.webhooks);
        if let Some(webhook) = services.read(webhooks.find(buyer, WebhookId(id))).await? {
            return Ok(Some(Node::Webhook(webhook.into())));
        }
        let delivery = services
            .read(webhooks.delivery(buyer, DeliveryId(id)))
            .await?;
        Ok(delivery.map(|delivery| Node::WebhookDelivery(delivery.into())))
    }

    /// A seller's own deal, or one a buyer has access to; null otherwise
    async fn deal(
        &self,
        context: &Context<'_>,
        id: ID,
        min_position: Option<Position>,
    ) -> Result<Option<Deal>> {
        reach(context, min_position).await?;
        Ok(visible_deal(context, uuid("id", &id)?)
            .await?
            .map(Deal::from))
    }

    /// Buyers: deals of every seller that has granted this buyer access; 20 when neither first nor last is given,
    /// at most 100, never both
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
        let (filter, order, window) = page_args(
            filter,
            order_by,
            WindowArgs {
                first,
                after,
                last,
                before,
            },
        )?;
        reach(context, min_position).await?;
        let services = services(context);
        Ok(Some(
            services
                .read(services.buyers.deals(buyer, filter, order, window))
                .await?
                .into(),
        ))
    }

    /// Sellers: their own deals
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
        let (filter, order, window) = page_args(
            filter,
            order_by,
            WindowArgs {
                first,
                after,
                last,
                before,
            },
        )?;
        reach(context, min_position).await?;
        let services = services(context);
        Ok(Some(
            services
                .read(services.sellers.deals(seller, filter, order, window))
                .await?
                .into(),
        ))
    }

    /// Buyers: who granted them access
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
        Ok(Some(AccessConnection::new(
            grants,
            page.has_next,
            after.is_some(),
        )))
    }

    /// Sellers: whom they granted access
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
        Ok(Some(AccessConnection::new(
            grants,
            page.has_next,
            after.is_some(),
        )))
    }

    /// Buyers: their webhooks, oldest first
    async fn webhooks(&self, context: &Context<'_>) -> Result<Option<Vec<Webhook>>> {
        let (buyer, services) = (principal(context)?.buyer()?, services(context));
        let webhooks = services.read(services.webhooks.list(buyer)).await?;
        Ok(Some(webhooks.into_iter().map(Webhook::from).collect()))
    }

    /// Buyers: what is owed to their webhooks and what became of it, newest first; those of deleted webhooks only by
    /// webhookId
    async fn webhook_deliveries(
        &self,
        context: &Context<'_>,
        webhook_id: Option<ID>,
        state: Option<DeliveryState>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<WebhookDeliveryConnection>> {
        let (buyer, services) = (principal(context)?.buyer()?, services(context));
        let webhook = webhook_id
            .map(|id| uuid("webhookId", &id))
            .transpose()?
            .map(WebhookId);
        let (limit, after) = id_window(first, after)?;
        let (state, older) = (state.map(Into::into), after.map(DeliveryId));
        let page = services
            .webhooks
            .deliveries(buyer, webhook, state, limit, older);
        Ok(Some(WebhookDeliveryConnection::new(
            services.read(page).await?,
            after.is_some(),
        )))
    }
}

async fn reach(context: &Context<'_>, position: Option<Position>) -> Result<(), Problem> {
    services(context)
        .reach(
            principal(context)?,
            position.as_ref().map(|position| position.0.as_str()),
        )
        .await
}

async fn visible_deal(context: &Context<'_>, id: Uuid) -> Result<Option<contract::Deal>, Problem> {
    let (caller, services, id) = (principal(context)?, services(context), DealId(id));
    match caller.role() {
        Role::Seller => {
            services
                .read(services.sellers.deal(caller.seller()?, id))
                .await
        }
        Role::Buyer => {
            services
                .read(services.buyers.deal(caller.buyer()?, id))
                .await
        }
        Role::Admin => Err(Problem::forbidden("this is for sellers and buyers")),
    }
}

fn page_args(
    filter: Option<DealFilter>,
    order: DealOrder,
    window: WindowArgs,
) -> Result<(deal_table::DealFilter, Order, Window), Problem> {
    let order = Order::from(order);
    let filter = DealFilter::check(filter)?;
    if order != Order::LastChangedFirst && filter.currency.is_none() {
        return Err(Problem::input("orderBy", "needs filter.currency"));
    }
    Ok((filter, order, window.check(order)?))
}
