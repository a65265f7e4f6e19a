//! Stores and pipes of one process: embedded in a data directory, or on servers.

mod data_dir;
mod databases;

use std::path::{Path, PathBuf};

use backbone::Error;
use backbone::accounts::Accounts;
use backbone::clock::Clock;
use backbone::db::Db;
use backbone::event_log::EventLog;
use backbone::lifecycle::Lifecycle;
use backbone::live_bus::LiveBus;
use backbone::telemetry::Metrics;
use buyer_core::BuyerSide;
use buyer_core::feed::Retention;
use seller_core::SellerSide;

use crate::settings::{Config, Mode};

use databases::Databases;

pub(crate) use data_dir::write_private;
pub use data_dir::{DataDir, DataDirError};

/// Notifications that the in-process live bus keeps for a slow listener. One that falls further behind reads the feed's
/// table instead.
const LOCAL_BUS_CAPACITY: usize = 256;

/// Event log, live bus and both sides, which every role works on.
#[derive(Clone)]
pub struct Backends {
    /// Event log of the market.
    pub log: EventLog,
    /// Live bus, which carries notifications from the buyer projection to gateways.
    pub bus: LiveBus,
    /// Seller side.
    pub sellers: SellerSide,
    /// Buyer side.
    pub buyers: BuyerSide,
    /// Database of webhooks: the buyer side's on PostgreSQL, a file of its own on SQLite.
    pub webhooks: Db,
    /// Connections that the gateway's parts do not share.
    pub pools: GatewayPools,
}

/// Tables that the event log must fit before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Those of both sides.
    Tables,
    /// None: for commands that mend what does not fit.
    None,
}

/// Handles of the same databases with connections of their own: whatever requests wait for, keys are confirmed and the
/// feed is read.
#[derive(Clone)]
pub struct GatewayPools {
    /// Accounts of sellers and administrators, for the check of keys.
    pub seller_keys: Accounts,
    /// Accounts of buyers, for the check of keys.
    pub buyer_keys: Accounts,
    /// Buyer side, for the feed and for access.
    pub feed: BuyerSide,
}

impl Backends {
    /// Opens the backends that `config` names. Servers need not be reachable: calls to them fail as unavailable until
    /// they are.
    ///
    /// # Errors
    /// An invalid URL; an embedded store that cannot be opened.
    pub async fn open(
        config: &Config,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        Self::open_with(config, Proof::Tables, lifecycle, metrics).await
    }

    /// Opens the backends as [`Backends::open`] does, with a log that must fit the tables that `proof` says.
    ///
    /// # Errors
    /// Those of [`Backends::open`]. [`Error::Blocked`] without a proof if an embedded log is missing, since it would be
    /// created.
    pub(crate) async fn open_with(
        config: &Config,
        proof: Proof,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let clock = Clock::system();
        let market = config.market.as_str();

        match &config.mode {
            Mode::Embedded { data_dir } => {
                Self::open_embedded(data_dir, proof, config, clock, lifecycle, metrics).await
            }
            Mode::Production {
                nats,
                redis,
                seller_database,
                buyer_database,
            } => {
                let servers = &config.servers;
                // Several markets may share one Redis, so the channel is named after this one.
                let channel = format!("{market}.live");
                let bus = LiveBus::redis_with(
                    redis.reveal(),
                    &servers.redis,
                    channel,
                    lifecycle,
                    metrics,
                )?;
                let requests = config.pools.requests;
                let seller_db =
                    Db::postgres("seller database", seller_database.reveal(), requests)?;
                let buyer_db = Db::postgres("buyer database", buyer_database.reveal(), requests)?;
                let retention = Retention::in_partitions(config.feed).waiting(config.feed_unread);

                let webhook_db = buyer_db.clone();

                let dbs = Databases::new(seller_db, buyer_db, webhook_db, config.pools, metrics);
                let tables = dbs.tables(proof);
                let log = EventLog::jetstream_with(
                    nats.reveal(),
                    &servers.nats,
                    market,
                    tables,
                    clock.clone(),
                    metrics,
                )?;
                Ok(Self::new(log, bus, dbs, clock, retention))
            }
        }
    }

    async fn open_embedded(
        data_dir: &Path,
        proof: Proof,
        config: &Config,
        clock: Clock,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let market = config.market.as_str();
        let file = |name: &str| market_file(data_dir, market, name);

        let bus = LiveBus::local(LOCAL_BUS_CAPACITY, metrics);
        let seller_db = Db::sqlite("seller database", &file("seller"));
        let buyer_db = Db::sqlite("buyer database", &file("buyer"));
        let webhook_db = Db::sqlite("webhook database", &file("webhooks"));
        // SQLite has no partitions that could be dropped as a whole.
        let retention = Retention::in_rows(config.feed).waiting(config.feed_unread);

        if proof == Proof::None && !file("log").exists() {
            return Err(Error::blocked(
                "event log",
                "its file is missing; restore it from a backup",
            ));
        }

        // Before the log is opened, which is created only if these tables have never had one.
        seller_core::migrate(&seller_db).await?;
        buyer_core::migrate(&buyer_db).await?;
        let dbs = Databases::new(seller_db, buyer_db, webhook_db, config.pools, metrics);
        let log = EventLog::sqlite(
            &file("log"),
            market,
            dbs.tables(proof),
            clock.clone(),
            lifecycle,
            metrics,
        )
        .await?;
        Ok(Self::new(log, bus, dbs, clock, retention))
    }

    fn new(
        log: EventLog,
        bus: LiveBus,
        dbs: Databases,
        clock: Clock,
        retention: Retention,
    ) -> Self {
        let pools = GatewayPools {
            seller_keys: Accounts::new(dbs.seller_keys, clock.clone()),
            buyer_keys: Accounts::new(dbs.buyer_keys, clock.clone()),
            feed: BuyerSide::new(dbs.feed, clock.clone(), retention),
        };
        let sellers = SellerSide::new(log.clone(), dbs.sellers, clock.clone());
        let buyers = BuyerSide::new(dbs.buyers, clock, retention);

        Self {
            log,
            bus,
            sellers,
            buyers,
            webhooks: dbs.webhooks,
            pools,
        }
    }

    /// Migrates all databases to the schema of this binary, for as long as that takes.
    ///
    /// # Errors
    /// A database that is unavailable, or that has a different history than this binary.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.sellers.migrate().await?;
        self.migrate_buyers().await
    }

    /// Migrates the buyer database, and that of webhooks.
    ///
    /// # Errors
    /// As [`Backends::migrate`].
    pub async fn migrate_buyers(&self) -> Result<(), Error> {
        self.buyers.migrate().await?;
        webhooks::migrate(&self.webhooks, &self.buyers).await
    }
}

/// Returns the file of an embedded market's event log.
pub(crate) fn log_file(data_dir: &Path, market: &str) -> PathBuf {
    market_file(data_dir, market, "log")
}

fn market_file(data_dir: &Path, market: &str, name: &str) -> PathBuf {
    // Named after the market, so that a directory that is opened under a different name shows an
    // empty market instead of the wrong one.
    data_dir.join(format!("{market}-{name}.sqlite"))
}
