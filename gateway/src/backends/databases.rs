//! Handles of the databases, one for each purpose, so that no purpose takes another's connections.

use backbone::checkpoint::Tables;
use backbone::db::Db;
use backbone::telemetry::Metrics;

use super::Proof;
use crate::settings::PoolSizes;

/// Handles of the databases.
pub(super) struct Databases {
    pub(super) sellers: Db,
    pub(super) buyers: Db,
    pub(super) webhooks: Db,
    pub(super) seller_keys: Db,
    pub(super) buyer_keys: Db,
    pub(super) feed: Db,
}

impl Databases {
    /// Builds the handles of all purposes, and the gauge of the connections that each has in use.
    pub(super) fn new(
        sellers: Db,
        buyers: Db,
        webhooks: Db,
        sizes: PoolSizes,
        metrics: &Metrics,
    ) -> Self {
        let databases = Self {
            seller_keys: sellers.with_own_connections(sizes.keys),
            buyer_keys: buyers.with_own_connections(sizes.keys),
            feed: buyers.with_own_connections(sizes.feed),
            sellers,
            buyers,
            webhooks,
        };

        databases.measure(metrics);
        databases
    }

    /// Returns the tables that the event log must fit.
    pub(super) fn tables(&self, proof: Proof) -> Tables {
        if proof == Proof::None {
            return Tables::none();
        }

        Tables::new([
            (self.sellers.clone(), seller_core::PROJECTION),
            (self.buyers.clone(), buyer_core::PROJECTION),
        ])
    }

    fn measure(&self, metrics: &Metrics) {
        let in_use = metrics.gauge_family::<[(&str, &str); 2]>(
            "database_connections_in_use",
            "Database connections in use, by database and purpose",
        );
        let pools = [
            ("seller", "requests", &self.sellers),
            ("buyer", "requests", &self.buyers),
            ("seller", "keys", &self.seller_keys),
            ("buyer", "keys", &self.buyer_keys),
            ("buyer", "feed", &self.feed),
        ]
        .map(|(database, purpose, db)| {
            let labels = [("database", database), ("purpose", purpose)];
            (in_use.get_or_create_owned(&labels), db.clone())
        });

        metrics.before_reading(move || {
            for (gauge, db) in &pools {
                gauge.set(db.connections_in_use().into());
            }
        });
    }
}
