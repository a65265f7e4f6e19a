//! Kinds of webhook events and states of deliveries, with the names that the tables and the public
//! contract use.

use serde::{Deserialize, Serialize};

/// Kind of event that an endpoint is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WebhookEvent {
    /// A deal was created.
    DealCreated,
    /// A deal was updated, or repaired by an operator.
    DealUpdated,
    /// A buyer requested a test call. Endpoints cannot subscribe to it.
    Test,
}

impl WebhookEvent {
    /// Returns the name in the tables and in the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DealCreated => "DEAL_CREATED",
            Self::DealUpdated => "DEAL_UPDATED",
            Self::Test => "TEST",
        }
    }

    /// Returns the `type` in the body of a call.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::DealCreated => "deal.created",
            Self::DealUpdated => "deal.updated",
            Self::Test => "test",
        }
    }
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// The call is still to be made, or to be retried.
    Pending,
    /// The endpoint accepted the call.
    Delivered,
    /// Every attempt failed, and none is left.
    Dead,
    /// The endpoint was deleted before it was called.
    Discarded,
}

impl DeliveryState {
    /// All states, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Discarded];

    /// Returns the name in the tables and in the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Dead => "DEAD",
            Self::Discarded => "DISCARDED",
        }
    }
}

/// Implements the reading of a type from the names in the tables.
macro_rules! from_name {
    ($($type:ident: $($value:ident),+;)+) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(name: String) -> Result<Self, String> {
                [$(Self::$value),+]
                    .into_iter()
                    .find(|value| value.as_str() == name)
                    .ok_or_else(|| format!("unknown {}: {name}", stringify!($type)))
            }
        }
    )+};
}

from_name! {
    WebhookEvent: DealCreated, DealUpdated, Test;
    DeliveryState: Pending, Delivered, Dead, Discarded;
}
