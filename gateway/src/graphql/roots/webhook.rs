//! Root fields of webhooks and their deliveries.

use async_graphql::ID;
use backbone::ids::{BuyerId, DealId, DeliveryId, WebhookId};
use serde::Deserialize;
use webhooks::{DeliveryFilter, Refusal, Webhooks};

use super::IdArgs;
use crate::error::Problem;
use crate::graphql::connection::id_window;
use crate::graphql::context::RootContext;
use crate::graphql::ids::parse_id;
use crate::graphql::scalars::DateTime;
use crate::graphql::webhook::{
    DeleteWebhookPayload, DeliveryState, Webhook, WebhookDeliveryConnection,
    WebhookDeliveryPayload, WebhookEvent, WebhookPayload, WebhookSecretPayload,
};
use crate::graphql::webhook_input::{RegisterWebhookInput, UpdateWebhookInput};

/// Arguments of `webhookDeliveries`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct DeliveriesArgs {
    pub(in crate::graphql) webhook_id: Option<ID>,
    pub(in crate::graphql) state: Option<DeliveryState>,
    pub(in crate::graphql) events: Option<Vec<WebhookEvent>>,
    pub(in crate::graphql) deal_id: Option<ID>,
    pub(in crate::graphql) since: Option<DateTime>,
    pub(in crate::graphql) until: Option<DateTime>,
    pub(in crate::graphql) error: Option<bool>,
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<String>,
}

/// Arguments of `registerWebhook`.
#[derive(Deserialize)]
pub(in crate::graphql) struct RegisterWebhookArgs {
    pub(in crate::graphql) input: RegisterWebhookInput,
}

/// Arguments of `updateWebhook`.
#[derive(Deserialize)]
pub(in crate::graphql) struct UpdateWebhookArgs {
    pub(in crate::graphql) input: UpdateWebhookInput,
}

/// Reads the calling buyer's webhooks.
pub(in crate::graphql) async fn webhooks(
    context: RootContext<'_>,
) -> Result<Option<Vec<Webhook>>, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;

    let webhooks = context.services.read(webhooks.list(buyer)).await?;
    Ok(Some(webhooks.into_iter().map(Webhook::from).collect()))
}

/// Reads a page of the deliveries of the calling buyer's webhooks.
pub(in crate::graphql) async fn webhook_deliveries(
    context: RootContext<'_>,
    arguments: DeliveriesArgs,
) -> Result<Option<WebhookDeliveryConnection>, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let webhook = arguments.webhook_id;
    let webhook = webhook.map(|id| parse_id("webhookId", &id)).transpose()?;
    let deal = arguments.deal_id.map(|id| parse_id("dealId", &id));
    let (limit, after) = id_window(arguments.first, arguments.after)?;

    let filter = DeliveryFilter {
        webhook: webhook.map(WebhookId),
        state: arguments.state.map(Into::into),
        events: arguments
            .events
            .map(|events| events.into_iter().map(Into::into).collect()),
        deal: deal.transpose()?.map(DealId),
        since: arguments.since.map(|since| since.0),
        until: arguments.until.map(|until| until.0),
        failed: arguments.error.unwrap_or(false),
    };
    let page = webhooks.deliveries(buyer, filter, limit, after.map(DeliveryId));
    let page = context.services.read(page).await?;

    Ok(Some(WebhookDeliveryConnection::new(page, after.is_some())))
}

/// Registers a webhook of the calling buyer.
pub(in crate::graphql) async fn register_webhook(
    context: RootContext<'_>,
    arguments: RegisterWebhookArgs,
) -> Result<WebhookSecretPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let registration = arguments.input.parse()?;

    let registered = webhooks.register(buyer, registration);
    Ok(answer(context, "input.", registered).await?.into())
}

/// Changes a webhook of the calling buyer.
pub(in crate::graphql) async fn update_webhook(
    context: RootContext<'_>,
    arguments: UpdateWebhookArgs,
) -> Result<WebhookPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = parse_webhook_id("input.id", &arguments.input.id)?;
    let changes = arguments.input.parse()?;

    let updated = webhooks.update(buyer, id, changes);
    let webhook = answer(context, "input.", updated).await?.into();
    Ok(WebhookPayload { webhook })
}

/// Deletes a webhook of the calling buyer.
pub(in crate::graphql) async fn delete_webhook(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<DeleteWebhookPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = parse_webhook_id("id", &arguments.id)?;

    answer(context, "", webhooks.delete(buyer, id)).await?;
    Ok(DeleteWebhookPayload { id: arguments.id })
}

/// Gives a webhook of the calling buyer a new secret.
pub(in crate::graphql) async fn rotate_webhook_secret(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<WebhookSecretPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = parse_webhook_id("id", &arguments.id)?;

    let rotated = webhooks.rotate_secret(buyer, id);
    Ok(answer(context, "", rotated).await?.into())
}

/// Creates a test delivery for a webhook of the calling buyer.
pub(in crate::graphql) async fn test_webhook(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<WebhookDeliveryPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = parse_webhook_id("id", &arguments.id)?;

    let delivery = answer(context, "", webhooks.test(buyer, id)).await?.into();
    Ok(WebhookDeliveryPayload { delivery })
}

/// Sends a delivery of the calling buyer again.
pub(in crate::graphql) async fn replay_webhook_delivery(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<WebhookDeliveryPayload, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = DeliveryId(parse_id("id", &arguments.id)?);

    let delivery = answer(context, "", webhooks.replay(buyer, id))
        .await?
        .into();
    Ok(WebhookDeliveryPayload { delivery })
}

/// Returns the calling buyer, and the service.
pub(super) fn own_webhooks<'a>(
    context: RootContext<'a>,
) -> Result<(BuyerId, &'a Webhooks), Problem> {
    Ok((context.principal()?.buyer()?, &context.services.webhooks))
}

/// Awaits the answer to a mutation of webhooks, within the time limit of writes. `root` begins the paths of invalid fields.
pub(super) async fn answer<T>(
    context: RootContext<'_>,
    root: &str,
    request: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Problem> {
    // Two layers: an error of the time limit, and within it the answer or refusal itself.
    let answered = async { Ok::<_, Problem>(request.await) };
    let answered = context.services.write(answered).await?;
    answered.map_err(|refusal| Problem::webhook(refusal, root))
}

fn parse_webhook_id(path: &str, id: &ID) -> Result<WebhookId, Problem> {
    parse_id(path, id).map(WebhookId)
}
