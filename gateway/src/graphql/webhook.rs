//! Webhooks in GraphQL: a buyer's endpoints, the deliveries owed to them, and the attempts that were made.

use async_graphql::{ComplexObject, Enum, ID, SimpleObject};
use backbone::ids::{DeliveryId, WebhookId};
use documents::object;
use serde::{Deserialize, Serialize};

use super::connection::PageInfo;
use super::ids::{Id, texts};
use super::scalars::{DateTime, Position, render_enums};

/// Event that a webhook is called for.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "webhooks::WebhookEvent")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WebhookEvent {
    /// A deal that the buyer may see was created.
    DealCreated,
    /// A deal that the buyer may see was changed.
    DealUpdated,
    /// A test, sent by testWebhook only. A webhook cannot be registered for it.
    Test,
}

/// State of a webhook. Deliveries are collected in every state, and sent while it is ACTIVE.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "webhooks::WebhookState")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WebhookState {
    /// Deliveries are sent.
    Active,
    /// The buyer paused the webhook.
    Paused,
    /// The server disabled the webhook, for the reason in disabledReason.
    Disabled,
}

/// State of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[graphql(remote = "webhooks::DeliveryState")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DeliveryState {
    /// Not delivered yet; there will be another attempt.
    Pending,
    /// An attempt succeeded.
    Delivered,
    /// Every attempt failed. The delivery can be replayed.
    Dead,
    /// The webhook was deleted while the delivery was pending.
    Discarded,
}

render_enums!(WebhookEvent, WebhookState, DeliveryState);

/// Numbers of a webhook's deliveries. At every moment, owed = delivered + pending + dead + discarded.
#[derive(SimpleObject)]
pub(super) struct DeliveryCounts {
    /// All deliveries.
    owed: u64,
    /// Deliveries in state DELIVERED.
    delivered: u64,
    /// Deliveries in state PENDING.
    pending: u64,
    /// Deliveries in state DEAD.
    dead: u64,
    /// Deliveries in state DISCARDED.
    discarded: u64,
}

object!(DeliveryCounts as "DeliveryCounts", |counts| {
    "owed" => counts.owed,
    "delivered" => counts.delivered,
    "pending" => counts.pending,
    "dead" => counts.dead,
    "discarded" => counts.discarded,
});

/// A URL that a buyer registered, called for every event that it was registered for.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Webhook {
    #[graphql(skip)]
    id: WebhookId,
    /// URL that is called with POST.
    url: String,
    /// Events that the webhook is called for.
    events: Vec<WebhookEvent>,
    /// Sellers whose deals the webhook is called for; null for every seller that grants access.
    seller_ids: Option<Vec<ID>>,
    /// Description for the buyer's own use.
    description: Option<String>,
    /// State of the webhook.
    state: WebhookState,
    /// Reason why the webhook is DISABLED; otherwise null.
    disabled_reason: Option<String>,
    /// Numbers of the webhook's deliveries.
    counts: DeliveryCounts,
    /// Time at which the webhook was registered.
    created_at: DateTime,
}

object!(Webhook as "Webhook", |webhook| {
    "url" => webhook.url,
    "events" => webhook.events,
    "sellerIds" => webhook.seller_ids.as_deref().map(texts),
    "description" => webhook.description,
    "state" => webhook.state,
    "disabledReason" => webhook.disabled_reason,
    "counts" => webhook.counts,
    "createdAt" => webhook.created_at,
    "id" => Id(webhook.id.0),
});

#[ComplexObject]
impl Webhook {
    /// UUID of the webhook.
    pub(super) async fn id(&self) -> ID {
        self.id.into()
    }
}

impl From<webhooks::Webhook> for Webhook {
    fn from(webhook: webhooks::Webhook) -> Self {
        let webhooks::DeliveryCounts {
            owed,
            delivered,
            pending,
            dead,
            discarded,
        } = webhook.counts;

        Self {
            id: webhook.id,
            url: webhook.url,
            events: webhook.events.into_iter().map(WebhookEvent::from).collect(),
            seller_ids: webhook
                .seller_ids
                .map(|ids| ids.into_iter().map(ID::from).collect()),
            description: webhook.description,
            state: webhook.state.into(),
            disabled_reason: webhook.disabled_reason,
            counts: DeliveryCounts {
                owed,
                delivered,
                pending,
                dead,
                discarded,
            },
            created_at: DateTime(webhook.created_at),
        }
    }
}

/// One call that was made for a delivery.
#[derive(SimpleObject)]
pub(super) struct WebhookAttempt {
    /// Number of the attempt, from 1. Attempts of replays continue the count.
    number: u32,
    /// Time of the call.
    at: DateTime,
    /// HTTP status of the answer; null if there was none.
    status_code: Option<u16>,
    /// Reason why the call failed; null if it succeeded.
    error: Option<String>,
    /// Duration of the call in milliseconds.
    duration_ms: u64,
    /// First 4 KiB of the answer's body.
    response_body: Option<String>,
}

object!(WebhookAttempt as "WebhookAttempt", |attempt| {
    "number" => attempt.number,
    "at" => attempt.at,
    "statusCode" => attempt.status_code.map(u32::from),
    "error" => attempt.error,
    "durationMs" => attempt.duration_ms,
    "responseBody" => attempt.response_body,
});

/// One event that is owed to one webhook. Its id is sent as the header webhook-id, and stays the same through retries
/// and replays.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct WebhookDelivery {
    #[graphql(skip)]
    id: DeliveryId,
    /// Webhook that the delivery is owed to.
    webhook_id: ID,
    /// Event of the delivery.
    event: WebhookEvent,
    /// State of the delivery.
    state: DeliveryState,
    /// Position of the change. For a TEST, the position of the newest event when it was requested.
    position: Position,
    /// Attempts that were made, oldest first.
    attempts: Vec<WebhookAttempt>,
    /// Time of the next attempt; null if the delivery is finished, waits behind an earlier delivery of the same deal, or
    /// the webhook is not being called.
    next_attempt_at: Option<DateTime>,
    /// Time at which the delivery was created.
    created_at: DateTime,
    /// Body that is sent; null once it is no longer kept.
    body: Option<String>,
}

object!(WebhookDelivery as "WebhookDelivery", |delivery| {
    "webhookId" => *delivery.webhook_id.as_str(),
    "event" => delivery.event,
    "state" => delivery.state,
    "position" => delivery.position,
    "attempts" => delivery.attempts,
    "nextAttemptAt" => delivery.next_attempt_at,
    "createdAt" => delivery.created_at,
    "body" => delivery.body,
    "id" => Id(delivery.id.0),
});

#[ComplexObject]
impl WebhookDelivery {
    /// UUID of the delivery.
    pub(super) async fn id(&self) -> ID {
        self.id.into()
    }
}

impl From<webhooks::Delivery> for WebhookDelivery {
    fn from(delivery: webhooks::Delivery) -> Self {
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook_id.into(),
            event: delivery.event.into(),
            state: delivery.state.into(),
            position: delivery.position.into(),
            attempts: delivery
                .attempts
                .into_iter()
                .map(WebhookAttempt::from)
                .collect(),
            next_attempt_at: delivery.next_attempt_at.map(DateTime),
            created_at: DateTime(delivery.created_at),
            body: delivery.body,
        }
    }
}

impl From<webhooks::Attempt> for WebhookAttempt {
    fn from(attempt: webhooks::Attempt) -> Self {
        Self {
            number: attempt.number,
            at: DateTime(attempt.at),
            status_code: attempt.status_code,
            error: attempt.error,
            duration_ms: attempt.duration.as_millis() as u64,
            response_body: attempt.response_body,
        }
    }
}

/// One delivery of a page, with its cursor.
#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryEdge {
    /// Cursor of the delivery, for the argument after.
    cursor: String,
    /// The delivery.
    node: WebhookDelivery,
}

object!(WebhookDeliveryEdge as "WebhookDeliveryEdge", |edge| {
    "cursor" => edge.cursor,
    "node" => edge.node,
});

/// A page of deliveries, newest first.
#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryConnection {
    /// Deliveries of the page with their cursors.
    edges: Vec<WebhookDeliveryEdge>,
    /// Deliveries of the page.
    nodes: Vec<WebhookDelivery>,
    /// Position of the page in the list.
    page_info: PageInfo,
}

object!(WebhookDeliveryConnection as "WebhookDeliveryConnection", |page| {
    "edges" => page.edges,
    "nodes" => page.nodes,
    "pageInfo" => page.page_info,
});

impl WebhookDeliveryConnection {
    /// Builds a page. `has_previous_page` tells whether it was requested after a cursor.
    pub(super) fn new(page: webhooks::DeliveryPage, has_previous_page: bool) -> Self {
        let cursor = |delivery: Option<&webhooks::Delivery>| {
            delivery.map(|delivery| delivery.id.to_string())
        };
        let page_info = PageInfo {
            has_next_page: page.has_next,
            has_previous_page,
            start_cursor: cursor(page.deliveries.first()),
            end_cursor: cursor(page.deliveries.last()),
        };

        let nodes = page
            .deliveries
            .iter()
            .cloned()
            .map(WebhookDelivery::from)
            .collect();

        let edge = |delivery: webhooks::Delivery| WebhookDeliveryEdge {
            cursor: delivery.id.to_string(),
            node: delivery.into(),
        };

        Self {
            edges: page.deliveries.into_iter().map(edge).collect(),
            nodes,
            page_info,
        }
    }
}

/// A webhook with a new secret.
#[derive(SimpleObject)]
pub(super) struct WebhookSecretPayload {
    /// The webhook.
    pub(super) webhook: Webhook,
    /// Secret with which calls are signed (Standard Webhooks), beginning with whsec_. It is returned only here and cannot
    /// be read again.
    pub(super) secret: String,
}

object!(WebhookSecretPayload as "WebhookSecretPayload", |payload| {
    "webhook" => payload.webhook,
    "secret" => payload.secret,
});

impl From<(webhooks::Webhook, webhooks::signature::Secret)> for WebhookSecretPayload {
    fn from((webhook, secret): (webhooks::Webhook, webhooks::signature::Secret)) -> Self {
        Self {
            webhook: webhook.into(),
            secret: secret.reveal(),
        }
    }
}

/// Result of changing a webhook.
#[derive(SimpleObject)]
pub(super) struct WebhookPayload {
    /// The webhook after the mutation.
    pub(super) webhook: Webhook,
}

object!(WebhookPayload as "WebhookPayload", |payload| {
    "webhook" => payload.webhook,
});

/// Result of deleting a webhook.
#[derive(SimpleObject)]
pub(super) struct DeleteWebhookPayload {
    /// Id of the deleted webhook.
    pub(super) id: ID,
}

object!(DeleteWebhookPayload as "DeleteWebhookPayload", |payload| {
    "id" => *payload.id.as_str(),
});

/// A delivery that will be attempted.
#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryPayload {
    /// The delivery.
    pub(super) delivery: WebhookDelivery,
}

object!(WebhookDeliveryPayload as "WebhookDeliveryPayload", |payload| {
    "delivery" => payload.delivery,
});
