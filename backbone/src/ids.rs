//! Ids with one type for each kind of object, so that a buyer's id cannot be used as a seller's.

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
    /// Id of a seller.
    SellerId
);
id!(
    /// Id of a buyer.
    BuyerId
);
id!(
    /// Id of a deal.
    DealId
);
id!(
    /// Id of an item, unique within its deal only.
    ItemId
);
id!(
    /// Id of an event, the same in every attempt of one mutation.
    EventId
);
id!(
    /// Id of a webhook endpoint.
    WebhookId
);
id!(
    /// Id of a delivery, the same in all attempts and replays.
    DeliveryId
);
