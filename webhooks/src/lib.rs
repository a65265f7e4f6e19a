//! Webhooks: the changes that subscribers see, as signed calls to the buyers' own endpoints.
//!
//! Here are the words. The public API works with the handle [`Webhooks`]; the projection writes what is owed
//! (`outbox`), the [`dispatcher`] sends it, and every call is a row of its own until it is too old to be kept.

pub mod dispatcher;
pub mod egress;
pub mod outcome;
pub mod resolver;
pub mod retention;
pub mod retry_policy;
pub mod seal;
pub mod sender;
pub mod signature;

mod claim;
mod deliveries;
mod endpoints;
mod input;
#[cfg(test)]
mod plans;
mod record;
mod service;

pub use buyer_core::outbox::{DeliveryState, WebhookEvent};
pub use dispatcher::Dispatcher;
pub use input::{Changes, Registration};
pub use service::Webhooks;

use std::time::Duration;

use backbone::ids::{DeliveryId, SellerId, WebhookId};
use backbone::position::Position;
use backbone::time::Timestamp;
use backbone::{Error, FieldError};

/// The most endpoints of one buyer.
pub const MAX_WEBHOOKS: usize = 20;

/// Whether an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookState {
    /// It is.
    Active,
    /// The buyer wants it to wait: deliveries collect.
    Paused,
    /// It said that it is gone, failed for days or was deleted: deliveries collect, unless it was deleted.
    Disabled,
}

impl WebhookState {
    /// The name that tables and the contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
        }
    }
}

/// Reads the names that tables keep.
macro_rules! from_name {
    ($($word:ident: $($value:ident),+;)+) => {$(
        impl TryFrom<String> for $word {
            type Error = String;
            fn try_from(name: String) -> Result<Self, String> {
                [$(Self::$value),+]
                    .into_iter()
                    .find(|value| value.as_str() == name)
                    .ok_or_else(|| format!("{name} is none of {}", stringify!($word)))
            }
        }
    )+};
}

from_name! {
    WebhookState: Active, Paused, Disabled;
}

/// How many of an endpoint's deliveries stand where: `owed` is the sum of the others, at every instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct DeliveryCounts {
    /// All that are kept.
    #[sqlx(try_from = "i64")]
    pub owed: u64,
    /// Taken by the endpoint.
    #[sqlx(try_from = "i64")]
    pub delivered: u64,
    /// Yet to be sent.
    #[sqlx(try_from = "i64")]
    pub pending: u64,
    /// Given up.
    #[sqlx(try_from = "i64")]
    pub dead: u64,
    /// Gone with the endpoint.
    #[sqlx(try_from = "i64")]
    pub discarded: u64,
}

/// An endpoint of a buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Names it.
    pub id: WebhookId,
    /// Where calls go.
    pub url: String,
    /// What it is called for.
    pub events: Vec<WebhookEvent>,
    /// Whose deals; `None`: those of every seller that grants access.
    pub seller_ids: Option<Vec<SellerId>>,
    /// The buyer's note: at most 500 characters.
    pub description: Option<String>,
    /// Whether it is called.
    pub state: WebhookState,
    /// Why it is not, when that was not the buyer's choice.
    pub disabled_reason: Option<String>,
    /// Its deliveries.
    pub counts: DeliveryCounts,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// One call owed to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The header `webhook-id` of all its attempts; later ones are newer.
    pub id: DeliveryId,
    /// To whom.
    pub webhook_id: WebhookId,
    /// What for.
    pub event: WebhookEvent,
    /// Where it stands.
    pub state: DeliveryState,
    /// The change's place; for a test the end of the last event before it.
    pub position: Position,
    /// Every call made, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is tried next; `None` when it is finished, waits behind an earlier one of its deal, or its endpoint is
    /// not called.
    pub next_attempt_at: Option<Timestamp>,
    /// When it came to be owed.
    pub created_at: Timestamp,
}

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first; replays count on.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// What the endpoint answered, if it did.
    pub status_code: Option<u16>,
    /// Why the call failed, in a word; `None` when it did not.
    pub error: Option<String>,
    /// Until the answer was read or the call was given up, in whole milliseconds.
    pub duration: Duration,
    /// The first 4 KiB of the answer.
    pub response_body: Option<String>,
}

/// Some deliveries, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// In order.
    pub deliveries: Vec<Delivery>,
    /// There are older ones.
    pub has_next: bool,
}

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The input breaks the rules; every violation, never none.
    #[error("the input breaks the rules")]
    Invalid(Vec<FieldError>),
    /// This buyer has no such endpoint or delivery.
    #[error("not found")]
    NotFound,
    /// The buyer has [`MAX_WEBHOOKS`] endpoints.
    #[error("a buyer has at most {MAX_WEBHOOKS} webhooks")]
    LimitExceeded,
    /// It is not in a state to be asked for.
    #[error("{0}")]
    Conflict(&'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}
