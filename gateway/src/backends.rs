//! The stores and pipes of one process: embedded in a data directory, or on servers.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use backbone::Error;
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

/// Announcements that wait for a slow listener inside the process.
const LOCAL_BUS: usize = 256;

/// What every role works on.
#[derive(Clone)]
pub struct Backends {
    /// The log.
    pub log: EventLog,
    /// The live bus.
    pub bus: LiveBus,
    /// The seller side.
    pub sellers: SellerSide,
    /// The buyer side.
    pub buyers: BuyerSide,
}

impl Backends {
    /// Opens them. Servers may be away: what is on them then fails as unavailable until they are there.
    ///
    /// # Errors
    /// A URL that is none; an embedded store that cannot be opened.
    pub async fn open(config: &Config, lifecycle: &Lifecycle, metrics: &Metrics) -> Result<Self, Error> {
        let (clock, market) = (Clock::system(), config.market.as_str());
        let (log, bus, seller_db, buyer_db, retention) = match &config.mode {
            Mode::Embedded { data_dir } => {
                let file = |name: &str| data_dir.join(format!("{market}-{name}.sqlite"));
                let log = EventLog::sqlite(&file("log"), market, clock.clone(), lifecycle, metrics).await?;
                let bus = LiveBus::local(LOCAL_BUS, metrics);
                let seller_db = Db::sqlite("seller database", &file("seller"));
                let buyer_db = Db::sqlite("buyer database", &file("buyer"));
                (log, bus, seller_db, buyer_db, Retention::in_rows(config.feed))
            }
            Mode::Production { nats, redis, seller_database, buyer_database } => (
                EventLog::jetstream(nats.reveal(), market, clock.clone(), metrics)?,
                LiveBus::redis(redis.reveal(), format!("{market}.live"), lifecycle, metrics)?,
                Db::postgres("seller database", seller_database.reveal())?,
                Db::postgres("buyer database", buyer_database.reveal())?,
                Retention::in_partitions(config.feed),
            ),
        };
        let sellers = SellerSide::new(log.clone(), seller_db, clock.clone());
        Ok(Self { log, bus, sellers, buyers: BuyerSide::new(buyer_db, clock, retention) })
    }

    /// Brings both databases up to this binary.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.sellers.migrate().await?;
        self.buyers.migrate().await
    }
}

/// The data directory, locked for this process as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It cannot be made or written.
    #[error("{}: {why}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
}

impl DataDir {
    /// Makes the directory if it is absent, and locks it.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let failed = |why| DataDirError::Io { path: path.to_owned(), why };
        std::fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
