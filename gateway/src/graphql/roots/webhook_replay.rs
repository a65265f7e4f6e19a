//! Root fields of replays of webhook deliveries.

use async_graphql::ID;
use backbone::ids::WebhookId;
use serde::Deserialize;

use super::IdArgs;
use super::webhook::{answer, own_webhooks};
use crate::accounts::IdempotencyKey;
use crate::error::Problem;
use crate::graphql::context::RootContext;
use crate::graphql::ids::parse_id;
use crate::graphql::webhook_replay::{ReplayWebhookInput, WebhookReplay};

/// Arguments of `replayWebhook`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct ReplayArgs {
    pub(in crate::graphql) input: ReplayWebhookInput,
    pub(in crate::graphql) idempotency_key: Option<String>,
}

/// Arguments of `webhookReplays`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct ReplaysArgs {
    pub(in crate::graphql) webhook_id: ID,
}

/// Starts a replay of deliveries of a webhook of the calling buyer.
pub(in crate::graphql) async fn replay_webhook(
    context: RootContext<'_>,
    arguments: ReplayArgs,
) -> Result<WebhookReplay, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let key = arguments.idempotency_key.as_deref();
    if let Some(key) = key {
        IdempotencyKey::new(buyer.0, key)?;
    }
    let request = arguments.input.parse()?;

    let replay = webhooks.start_replay(buyer, &request, key);
    Ok(answer(context, "input.", replay).await?.into())
}

/// Ends a replay of the calling buyer.
pub(in crate::graphql) async fn cancel_webhook_replay(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<WebhookReplay, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let id = parse_id("id", &arguments.id)?;

    let replay = webhooks.cancel_replay(buyer, id);
    Ok(answer(context, "", replay).await?.into())
}

/// Reads the replays of a webhook of the calling buyer.
pub(in crate::graphql) async fn webhook_replays(
    context: RootContext<'_>,
    arguments: ReplaysArgs,
) -> Result<Option<Vec<WebhookReplay>>, Problem> {
    let (buyer, webhooks) = own_webhooks(context)?;
    let webhook = WebhookId(parse_id("webhookId", &arguments.webhook_id)?);

    let replays = context
        .services
        .read(webhooks.replays(buyer, webhook))
        .await?;
    Ok(Some(replays.into_iter().map(WebhookReplay::from).collect()))
}
