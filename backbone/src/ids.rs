//! Identities: one type per kind of thing, so that a buyer's id cannot stand where a seller's belongs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A seller.
    SellerId
);
id!(
    /// A buyer.
    BuyerId
);
id!(
    /// A deal.
    DealId
);
id!(
    /// An item within a deal; unique within its deal only.
    ItemId
);
id!(
    /// An event in the log. It is the same through every attempt of one mutation.
    EventId
);
id!(
    /// An endpoint that is called with changes.
    WebhookId
);
id!(
    /// One call owed to one endpoint: the same through all attempts and replays.
    DeliveryId
);
