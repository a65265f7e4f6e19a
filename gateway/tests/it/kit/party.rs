//! Accounts of the demo market.

use uuid::{Uuid, uuid};

/// API key of the demo's first seller.
pub(crate) const SELLER_KEY: &str = "some-secret-api-key";
/// API key of the demo's first buyer.
pub(crate) const BUYER_KEY: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";

/// Account of the demo market with an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// First seller, who has granted access to the first buyer.
    Seller,
    /// Second seller, who has granted access to nobody.
    OtherSeller,
    /// Buyer to whom the first seller has granted access.
    Buyer,
    /// Buyer without access to any seller.
    OtherBuyer,
}

impl Party {
    /// Returns the name of the query's field with the deals that the party may see.
    pub(crate) const fn deals_field(self) -> &'static str {
        match self {
            Self::Seller | Self::OtherSeller => "dealsForSeller",
            Self::Buyer | Self::OtherBuyer => "dealsForBuyer",
        }
    }

    /// Returns the id of the account.
    pub(crate) const fn id(self) -> Uuid {
        match self {
            Self::Seller => uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcdda"),
            Self::Buyer => uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcddc"),
            Self::OtherSeller => uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101"),
            Self::OtherBuyer => uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102"),
        }
    }

    /// Returns the API key of the account.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Seller => SELLER_KEY,
            Self::Buyer => BUYER_KEY,
            Self::OtherSeller => "second-seller-api-key",
            Self::OtherBuyer => "second-buyer-api-key",
        }
    }
}
