//! Replays in GraphQL: jobs that send finished deliveries of a webhook again.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use backbone::ids::{DealId, WebhookId};
use documents::object;
use serde::{Deserialize, Serialize};
use webhooks::ReplayRequest;

use super::ids::parse_id;
use super::scalars::{DateTime, render_enums};
use super::webhook::{DeliveryState, WebhookEvent};
use crate::error::Problem;

/// State of a replay.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "webhooks::ReplayState")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WebhookReplayState {
    /// The deliveries were counted, and none is sent.
    DryRun,
    /// Deliveries are being sent.
    Running,
    /// Every delivery was sent at least once.
    Done,
    /// The replay was cancelled, or its webhook was deleted.
    Cancelled,
}

render_enums!(WebhookReplayState);

/// A job that sends deliveries again: in the order of each deal, and behind live deliveries.
#[derive(SimpleObject)]
pub(super) struct WebhookReplay {
    /// UUID of the replay.
    pub(super) id: ID,
    /// Webhook whose deliveries are sent.
    pub(super) webhook_id: ID,
    /// State of the replay.
    pub(super) state: WebhookReplayState,
    /// Number of deliveries that were selected when the replay was requested.
    pub(super) matched: u64,
    /// Number of them that were sent at least once since.
    pub(super) sent: u64,
    /// Time of the request.
    pub(super) created_at: DateTime,
}

object!(WebhookReplay as "WebhookReplay", |replay| {
    "id" => *replay.id.as_str(),
    "webhookId" => *replay.webhook_id.as_str(),
    "state" => replay.state,
    "matched" => replay.matched,
    "sent" => replay.sent,
    "createdAt" => replay.created_at,
});

impl From<webhooks::Replay> for WebhookReplay {
    fn from(replay: webhooks::Replay) -> Self {
        Self {
            id: replay.id.into(),
            webhook_id: replay.webhook_id.into(),
            state: replay.state.into(),
            matched: replay.matched,
            sent: replay.sent,
            created_at: DateTime(replay.created_at),
        }
    }
}

/// Deliveries of a webhook to send again. Tests are left out.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayWebhookInput {
    /// UUID of the webhook.
    webhook_id: ID,
    /// State of the deliveries: DEAD or DELIVERED.
    #[graphql(default_with = "DeliveryState::Dead")]
    state: DeliveryState,
    /// Earliest time at which they were created.
    since: Option<DateTime>,
    /// Latest time at which they were created.
    until: Option<DateTime>,
    /// Events of the deliveries; absent or null for all.
    events: Option<Vec<WebhookEvent>>,
    /// UUID of the deal that changed; absent or null for every deal.
    deal_id: Option<ID>,
    /// True counts the deliveries and sends nothing.
    #[graphql(default = false)]
    dry_run: bool,
    /// Deliveries a second, 1 to 100; absent or null for 10.
    rate_per_second: Option<i32>,
}

impl ReplayWebhookInput {
    pub(super) fn parse(self) -> Result<ReplayRequest, Problem> {
        let webhook = WebhookId(parse_id("input.webhookId", &self.webhook_id)?);
        let deal = self.deal_id.map(|id| parse_id("input.dealId", &id));
        let deal = deal.transpose()?.map(DealId);

        Ok(ReplayRequest {
            webhook,
            state: self.state.into(),
            since: self.since.map(|since| since.0),
            until: self.until.map(|until| until.0),
            events: self
                .events
                .map(|events| events.into_iter().map(Into::into).collect()),
            deal,
            dry_run: self.dry_run,
            rate_per_second: self.rate_per_second,
        })
    }
}
