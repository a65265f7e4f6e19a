//! Webhooks in GraphQL: a buyer's endpoints, what is owed to them, and every call that was made.

use async_graphql::{ComplexObject, Enum, ID, InputObject, MaybeUndefined, SimpleObject};
use backbone::ids::{DeliveryId, SellerId, WebhookId};
use webhooks::{self, Changes, Registration};

use super::connection::PageInfo;
use super::deal::uuid;
use super::scalars::{DateTime, Position};
use crate::error::Problem;

/// TEST: only from testWebhook, cannot be subscribed
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "webhooks::WebhookEvent")]
pub(super) enum WebhookEvent {
    DealCreated,
    DealUpdated,
    Test,
}

/// ACTIVE is called; PAUSED and DISABLED collect deliveries and are not
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "webhooks::WebhookState")]
pub(super) enum WebhookState {
    Active,
    Paused,
    Disabled,
}

/// DISCARDED: the webhook was deleted while the delivery was pending
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "webhooks::DeliveryState")]
pub(super) enum DeliveryState {
    Pending,
    Delivered,
    Dead,
    Discarded,
}

/// owed = delivered + pending + dead + discarded, at every instant
#[derive(SimpleObject)]
pub(super) struct DeliveryCounts {
    owed: u64,
    delivered: u64,
    pending: u64,
    dead: u64,
    discarded: u64,
}

/// An endpoint of a buyer, called for every change that it asked for
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Webhook {
    #[graphql(skip)]
    id: WebhookId,
    url: String,
    events: Vec<WebhookEvent>,
    /// Null: every seller that granted access
    seller_ids: Option<Vec<ID>>,
    description: Option<String>,
    state: WebhookState,
    disabled_reason: Option<String>,
    counts: DeliveryCounts,
    created_at: DateTime,
}

#[ComplexObject]
impl Webhook {
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

/// One call that was made
#[derive(SimpleObject)]
pub(super) struct WebhookAttempt {
    /// 1 for the first; those of replays count on
    number: u32,
    at: DateTime,
    /// What the endpoint answered, if it did
    status_code: Option<u16>,
    /// Why the call failed, if it did
    error: Option<String>,
    duration_ms: u64,
    /// The first 4 KiB of the answer
    response_body: Option<String>,
}

/// One call owed to one webhook. Its id is the header webhook-id, the same through retries and replays
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct WebhookDelivery {
    #[graphql(skip)]
    id: DeliveryId,
    webhook_id: ID,
    event: WebhookEvent,
    state: DeliveryState,
    /// The change's; a test has the end of the last event before it
    position: Position,
    /// Oldest first
    attempts: Vec<WebhookAttempt>,
    /// Null when it is finished, waits behind an earlier delivery of its deal, or its webhook is not called
    next_attempt_at: Option<DateTime>,
    created_at: DateTime,
}

#[ComplexObject]
impl WebhookDelivery {
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

#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryEdge {
    cursor: String,
    node: WebhookDelivery,
}

#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryConnection {
    edges: Vec<WebhookDeliveryEdge>,
    nodes: Vec<WebhookDelivery>,
    page_info: PageInfo,
}

impl WebhookDeliveryConnection {
    /// `after_another`: the page comes after a cursor.
    pub(super) fn new(page: webhooks::DeliveryPage, after_another: bool) -> Self {
        let cursor = |delivery: Option<&webhooks::Delivery>| {
            delivery.map(|delivery| delivery.id.to_string())
        };
        let page_info = PageInfo {
            has_next_page: page.has_next,
            has_previous_page: after_another,
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

#[derive(InputObject)]
pub(super) struct RegisterWebhookInput {
    /// https, at most 2,000 characters
    url: String,
    events: Vec<WebhookEvent>,
    /// 1 … 100 of them; absent or null: every seller that granted access
    seller_ids: Option<Vec<ID>>,
    /// At most 500 characters
    description: Option<String>,
}

/// Fields left out stay as they are; null sellerIds are every seller again, a null description removes it
#[derive(InputObject)]
pub(super) struct UpdateWebhookInput {
    pub(super) id: ID,
    url: Option<String>,
    events: Option<Vec<WebhookEvent>>,
    seller_ids: MaybeUndefined<Vec<ID>>,
    description: MaybeUndefined<String>,
    /// false makes a webhook that was disabled active, too
    paused: Option<bool>,
}

impl RegisterWebhookInput {
    pub(super) fn read(self) -> Result<Registration, Problem> {
        Ok(Registration {
            url: self.url,
            events: events(self.events),
            seller_ids: self.seller_ids.map(sellers).transpose()?,
            description: self.description,
        })
    }
}

impl UpdateWebhookInput {
    pub(super) fn read(self) -> Result<Changes, Problem> {
        Ok(Changes {
            url: self.url,
            events: self.events.map(events),
            seller_ids: given(self.seller_ids)
                .map(|ids| ids.map(sellers).transpose())
                .transpose()?,
            description: given(self.description),
            paused: self.paused,
        })
    }
}

fn events(events: Vec<WebhookEvent>) -> Vec<webhooks::WebhookEvent> {
    events
        .into_iter()
        .map(webhooks::WebhookEvent::from)
        .collect()
}

fn sellers(ids: Vec<ID>) -> Result<Vec<SellerId>, Problem> {
    let read = |(at, id)| uuid(&format!("input.sellerIds.{at}"), id).map(SellerId);
    ids.iter().enumerate().map(read).collect()
}

fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// secret: whsec_…, shown this once
#[derive(SimpleObject)]
pub(super) struct WebhookSecretPayload {
    webhook: Webhook,
    secret: String,
}

impl From<(webhooks::Webhook, webhooks::signature::Secret)> for WebhookSecretPayload {
    fn from((webhook, secret): (webhooks::Webhook, webhooks::signature::Secret)) -> Self {
        Self {
            webhook: webhook.into(),
            secret: secret.reveal(),
        }
    }
}

#[derive(SimpleObject)]
pub(super) struct WebhookPayload {
    pub(super) webhook: Webhook,
}

#[derive(SimpleObject)]
pub(super) struct DeleteWebhookPayload {
    pub(super) id: ID,
}

#[derive(SimpleObject)]
pub(super) struct WebhookDeliveryPayload {
    pub(super) delivery: WebhookDelivery,
}

#[derive(SimpleObject)]
pub(super) struct ReplayPayload {
    pub(super) count: u64,
}
