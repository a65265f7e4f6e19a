//! Endpoints, their deliveries and the attempts made for them, as the public API shows them.

use std::time::Duration;

use crate::kinds::{DeliveryState, WebhookEvent};
use backbone::ids::{DealId, DeliveryId, SellerId, WebhookId};
use backbone::position::Position;
use backbone::time::Timestamp;

/// Largest number of endpoints that a buyer may have, not counting deleted ones.
pub const MAX_WEBHOOKS: usize = 20;

/// Endpoint of a buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Identity of the endpoint.
    pub id: WebhookId,
    /// URL that is called, as it was normalised at registration.
    pub url: String,
    /// Kinds of change that the endpoint is called for.
    pub events: Vec<WebhookEvent>,
    /// Sellers whose deals the endpoint is called for; `None` means every seller that grants the
    /// buyer access.
    pub seller_ids: Option<Vec<SellerId>>,
    /// Note of the buyer: at most 500 characters.
    pub description: Option<String>,
    /// State that decides whether the endpoint is called.
    pub state: WebhookState,
    /// Reason why the endpoint is disabled; `None` in every other state.
    pub disabled_reason: Option<String>,
    /// Number of its deliveries by state.
    pub counts: DeliveryCounts,
    /// Time of registration.
    pub created_at: Timestamp,
}

/// State that decides whether an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookState {
    /// Endpoint that is called.
    Active,
    /// Endpoint that its owner has paused; its deliveries accumulate.
    Paused,
    /// Endpoint that answered 410 Gone, failed for days or was deleted. Its deliveries accumulate,
    /// unless it was deleted.
    Disabled,
}

impl WebhookState {
    const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Disabled];

    /// Returns the name that tables and the public contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
        }
    }
}

impl TryFrom<String> for WebhookState {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| format!("{name:?} is not a known webhook state"))
    }
}

/// Number of an endpoint's deliveries by state. At every instant, `owed` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct DeliveryCounts {
    /// All deliveries that are kept.
    #[sqlx(try_from = "i64")]
    pub owed: u64,
    /// Deliveries that the endpoint has accepted.
    #[sqlx(try_from = "i64")]
    pub delivered: u64,
    /// Deliveries that are still to be made.
    #[sqlx(try_from = "i64")]
    pub pending: u64,
    /// Deliveries given up after their last try.
    #[sqlx(try_from = "i64")]
    pub dead: u64,
    /// Deliveries dropped because the endpoint was deleted.
    #[sqlx(try_from = "i64")]
    pub discarded: u64,
}

/// One call owed to one endpoint for one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Identity of the delivery and value of the header `webhook-id` in all its attempts. Later
    /// deliveries have greater ids.
    pub id: DeliveryId,
    /// Endpoint that is called.
    pub webhook_id: WebhookId,
    /// Kind of change.
    pub event: WebhookEvent,
    /// Progress of the delivery.
    pub state: DeliveryState,
    /// Position of the change; a test delivery has the end of the last event before it.
    pub position: Position,
    /// All calls made for the delivery, oldest first.
    pub attempts: Vec<Attempt>,
    /// Time of the next attempt. `None` when the delivery is finished, waits behind an earlier one
    /// of its deal, or its endpoint is not being called.
    pub next_attempt_at: Option<Timestamp>,
    /// Time at which the delivery was created.
    pub created_at: Timestamp,
    /// Body that is sent; `None` once it is no longer kept.
    pub body: Option<String>,
}

/// Deliveries to read; a field that is `None` restricts nothing.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Endpoint that is called.
    pub webhook: Option<WebhookId>,
    /// Progress of the deliveries.
    pub state: Option<DeliveryState>,
    /// Kinds of event.
    pub events: Option<Vec<WebhookEvent>>,
    /// Deal that changed.
    pub deal: Option<DealId>,
    /// Earliest time of creation.
    pub since: Option<Timestamp>,
    /// Latest time of creation.
    pub until: Option<Timestamp>,
    /// `true` for those whose last call failed.
    pub failed: bool,
}

/// One call made for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Number within the delivery, from 1; replays continue the numbering.
    pub number: u32,
    /// Start of the call.
    pub at: Timestamp,
    /// HTTP status of the response, if one began.
    pub status_code: Option<u16>,
    /// Short description of the failure; `None` when the call succeeded.
    pub error: Option<String>,
    /// Time until the response was read or the call was given up, in whole milliseconds.
    pub duration: Duration,
    /// First 4 KiB of the response body.
    pub response_body: Option<String>,
}

/// Page of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// Deliveries, newest first.
    pub deliveries: Vec<Delivery>,
    /// `true` if older deliveries follow.
    pub has_next: bool,
}
