//! Root fields that read accounts, deals and access.

use async_graphql::ID;
use backbone::accounts::Role;
use backbone::deal_table::{self, DealOrder as Order, StoredDeal, Window};
use backbone::ids::{BuyerId, DealId, DeliveryId, SellerId, WebhookId};
use seller_core::AccessWindow;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::Problem;
use crate::graphql::access::AccessConnection;
use crate::graphql::account::Viewer;
use crate::graphql::connection::{DealConnection, WindowArgs, id_window};
use crate::graphql::context::RootContext;
use crate::graphql::deal::Deal;
use crate::graphql::deal_filter::{DealFilter, DealOrder};
use crate::graphql::ids::parse_id;
use crate::graphql::node::Node;
use crate::graphql::scalars::Position;
use crate::services::min_position;

/// Arguments of fields that take the id of an object.
#[derive(Deserialize)]
pub(in crate::graphql) struct IdArgs {
    pub(in crate::graphql) id: ID,
}

/// Arguments of `deal`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct DealArgs {
    pub(in crate::graphql) id: ID,
    pub(in crate::graphql) min_position: Option<Position>,
}

/// Arguments of `dealsForBuyer` and `dealsForSeller`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct DealsArgs {
    pub(in crate::graphql) filter: Option<DealFilter>,
    pub(in crate::graphql) order_by: DealOrder,
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<String>,
    pub(in crate::graphql) last: Option<i32>,
    pub(in crate::graphql) before: Option<String>,
    pub(in crate::graphql) min_position: Option<Position>,
}

/// Arguments of `accessForBuyer` and `accessForSeller`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct AccessArgs {
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<String>,
    pub(in crate::graphql) min_position: Option<Position>,
}

/// Returns the account of the caller.
pub(in crate::graphql) fn viewer(context: RootContext<'_>) -> Result<Option<Viewer>, Problem> {
    let caller = context.principal()?;

    Ok(Some(Viewer {
        role: caller.role().into(),
        id: caller.id().into(),
        name: caller.name().to_owned(),
    }))
}

/// Finds a deal or, for a buyer, a webhook or a delivery.
pub(in crate::graphql) async fn node(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<Option<Node>, Problem> {
    let id = parse_id("id", &arguments.id)?;
    if let Some(deal) = visible_deal(context, id, None).await? {
        return Ok(Some(Node::Deal(Deal(deal))));
    }

    let caller = context.principal()?;
    if caller.role() != Role::Buyer {
        return Ok(None);
    }

    let buyer = caller.buyer()?;
    let services = context.services;
    let webhooks = &services.webhooks;
    let webhook = services.read(webhooks.find(buyer, WebhookId(id))).await?;
    if let Some(webhook) = webhook {
        return Ok(Some(Node::Webhook(webhook.into())));
    }

    let delivery = webhooks.delivery(buyer, DeliveryId(id));
    let delivery = services.read(delivery).await?;
    Ok(delivery.map(|delivery| Node::WebhookDelivery(delivery.into())))
}

/// Finds a deal that the caller may see.
pub(in crate::graphql) async fn deal(
    context: RootContext<'_>,
    arguments: DealArgs,
) -> Result<Option<Deal>, Problem> {
    let id = parse_id("id", &arguments.id)?;
    let deal = visible_deal(context, id, arguments.min_position).await?;
    Ok(deal.map(Deal))
}

/// Reads a page of the deals that the calling buyer may see.
pub(in crate::graphql) async fn deals_for_buyer(
    context: RootContext<'_>,
    arguments: DealsArgs,
) -> Result<Option<DealConnection>, Problem> {
    let buyer = context.principal()?.buyer()?;
    let (filter, order, window, position) = arguments.check()?;
    let position = decode(position.as_ref())?;

    let services = context.services;
    let page = services.reads.page(buyer, filter, order, window, position);
    Ok(Some(DealConnection(services.read(page).await?)))
}

/// Reads a page of the calling seller's deals.
pub(in crate::graphql) async fn deals_for_seller(
    context: RootContext<'_>,
    arguments: DealsArgs,
) -> Result<Option<DealConnection>, Problem> {
    let seller = context.principal()?.seller()?;
    let (filter, order, window, min_position) = arguments.check()?;
    reach(context, min_position).await?;

    let services = context.services;
    let page = services.sellers.deals(seller, filter, order, window);
    Ok(Some(DealConnection(services.read(page).await?)))
}

/// Reads a page of the access that sellers grant the calling buyer.
pub(in crate::graphql) async fn access_for_buyer(
    context: RootContext<'_>,
    arguments: AccessArgs,
) -> Result<Option<AccessConnection>, Problem> {
    let buyer = context.principal()?.buyer()?;
    let (limit, after) = id_window(arguments.first, arguments.after)?;
    reach(context, arguments.min_position).await?;

    let services = context.services;
    let page = services.buyers.grants(buyer, limit, after.map(SellerId));
    let page = services.read(page).await?;

    let grants = page
        .grants
        .iter()
        .map(|grant| (grant.seller_id.0, grant.seller_id, buyer, grant.since));
    let connection = AccessConnection::new(grants, page.has_next, after.is_some());
    Ok(Some(connection))
}

/// Reads a page of the access that the calling seller grants.
pub(in crate::graphql) async fn access_for_seller(
    context: RootContext<'_>,
    arguments: AccessArgs,
) -> Result<Option<AccessConnection>, Problem> {
    let seller = context.principal()?.seller()?;
    let (limit, after) = id_window(arguments.first, arguments.after)?;
    reach(context, arguments.min_position).await?;

    let services = context.services;
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

/// Waits until the tables that the caller reads include a position.
async fn reach(context: RootContext<'_>, position: Option<Position>) -> Result<(), Problem> {
    let position = position.as_ref().map(|position| position.0.as_str());
    context.services.reach(context.principal()?, position).await
}

/// Decodes the argument `minPosition`.
fn decode(position: Option<&Position>) -> Result<Option<backbone::position::Position>, Problem> {
    min_position(position.map(|position| position.0.as_str()))
}

async fn visible_deal(
    context: RootContext<'_>,
    id: Uuid,
    position: Option<Position>,
) -> Result<Option<StoredDeal>, Problem> {
    let caller = context.principal()?;
    let services = context.services;
    let id = DealId(id);

    match caller.role() {
        Role::Seller => {
            reach(context, position).await?;
            let deal = services.sellers.deal(caller.seller()?, id);
            services.read(deal).await
        }
        Role::Buyer => {
            let position = decode(position.as_ref())?;
            let deal = services.reads.deal(caller.buyer()?, id, position);
            services.read(deal).await
        }
        Role::Admin => Err(Problem::forbidden("Only sellers and buyers can read deals")),
    }
}

impl DealsArgs {
    /// Checks the arguments, and returns what to read and the position to wait for.
    fn check(self) -> Result<(deal_table::DealFilter, Order, Window, Option<Position>), Problem> {
        let order = Order::from(self.order_by);
        let filter = DealFilter::check(self.filter)?;

        // Amounts of different currencies do not compare.
        if order != Order::LastChangedFirst && filter.currency.is_none() {
            return Err(Problem::input("orderBy", "requires filter.currency"));
        }

        let window = WindowArgs {
            first: self.first,
            after: self.after,
            last: self.last,
            before: self.before,
        };
        Ok((filter, order, window.check(order)?, self.min_position))
    }
}
