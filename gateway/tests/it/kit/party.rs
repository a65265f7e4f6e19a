//! Who takes part in the demo market.

use uuid::{Uuid, uuid};

/// Keys of the demo market.
pub(crate) const SELLER_KEY: &str = "some-secret-api-key";
pub(crate) const BUYER_KEY: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";

/// Somebody with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    Seller,
    OtherSeller,
    /// The first seller has let it in.
    Buyer,
    /// Nobody has let it in.
    OtherBuyer,
}

impl Party {
    /// Who is asked for, by the name of the field, when a party looks at its deals.
    pub(crate) const fn deals_field(self) -> &'static str {
        match self {
            Self::Seller | Self::OtherSeller => "dealsForSeller",
            Self::Buyer | Self::OtherBuyer => "dealsForBuyer",
        }
    }

    pub(crate) const fn id(self) -> Uuid {
        match self {
            Self::Seller => uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcdda"),
            Self::Buyer => uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcddc"),
            Self::OtherSeller => uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a101"),
            Self::OtherBuyer => uuid!("4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102"),
        }
    }

    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Seller => SELLER_KEY,
            Self::Buyer => BUYER_KEY,
            Self::OtherSeller => "second-seller-api-key",
            Self::OtherBuyer => "second-buyer-api-key",
        }
    }
}
