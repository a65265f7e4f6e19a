//! Kinds of webhook events and states of deliveries, by the names that tables and the public contract use.

use serde::{Deserialize, Serialize};

/// What an endpoint is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WebhookEvent {
    /// A deal began.
    DealCreated,
    /// A deal changed, or was put right by an operator.
    DealUpdated,
    /// The buyer asked for a test; cannot be subscribed.
    Test,
}

impl WebhookEvent {
    /// The name that tables and the contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DealCreated => "DEAL_CREATED",
            Self::DealUpdated => "DEAL_UPDATED",
            Self::Test => "TEST",
        }
    }

    /// The type that bodies carry.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::DealCreated => "deal.created",
            Self::DealUpdated => "deal.updated",
            Self::Test => "test",
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It is yet to be sent, or to be sent again.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// All tries are spent.
    Dead,
    /// The endpoint was deleted before.
    Discarded,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Discarded];

    /// The name that tables and the contract use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Dead => "DEAD",
            Self::Discarded => "DISCARDED",
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
    WebhookEvent: DealCreated, DealUpdated, Test;
    DeliveryState: Pending, Delivered, Dead, Discarded;
}
