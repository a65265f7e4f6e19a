//! Market of the buyer side's tests, wrapped so that these tests can add methods to it.

use std::ops::Deref;

pub(crate) use buyer_core::testkit::{ANN, BOB, BUYER};

/// Market whose changes webhooks deliver.
pub(crate) struct Market(buyer_core::testkit::Market);

impl Market {
    pub(crate) async fn embedded() -> Self {
        Self(buyer_core::testkit::Market::embedded().await)
    }

    pub(crate) async fn production() -> Self {
        Self(buyer_core::testkit::Market::production().await)
    }
}

impl Deref for Market {
    type Target = buyer_core::testkit::Market;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
