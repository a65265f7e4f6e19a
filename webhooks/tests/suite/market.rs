//! Market of the buyer side's tests, wrapped so that these tests can add methods to it.

use std::ops::Deref;

use backbone::db::Db;
use backbone::position::Sequence;
pub(crate) use buyer_core::testkit::{ANN, BOB, BUYER, HOUR};
use tempfile::TempDir;

/// Market whose changes webhooks deliver.
pub(crate) struct Market {
    market: buyer_core::testkit::Market,
    /// Database of the webhooks' tables.
    pub(crate) webhook_db: Db,
    _folder: Option<TempDir>,
}

impl Market {
    pub(crate) async fn embedded() -> Self {
        let market = buyer_core::testkit::Market::embedded().await;
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let webhook_db = Db::sqlite("webhook database", &folder.path().join("webhooks.db"));

        Self::open(market, webhook_db, Some(folder)).await
    }

    pub(crate) async fn production() -> Self {
        let market = buyer_core::testkit::Market::production().await;
        let webhook_db = market.db.clone();

        Self::open(market, webhook_db, None).await
    }

    async fn open(
        market: buyer_core::testkit::Market,
        webhook_db: Db,
        folder: Option<TempDir>,
    ) -> Self {
        webhooks::migrate(&webhook_db, &market.side)
            .await
            .expect("the tables can be created");

        Self {
            market,
            webhook_db,
            _folder: folder,
        }
    }

    /// Returns the market with another database of webhooks.
    pub(crate) fn with_webhook_db(self, webhook_db: Db) -> Self {
        Self { webhook_db, ..self }
    }

    /// Runs the projection up to the head of the log, without the fan-out. Returns the head.
    pub(crate) async fn project_only(&self) -> Sequence {
        self.market.project().await
    }
}

impl Deref for Market {
    type Target = buyer_core::testkit::Market;

    fn deref(&self) -> &Self::Target {
        &self.market
    }
}
