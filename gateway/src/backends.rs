//! The stores and pipes of one process: embedded in a data directory, or on servers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
use webhooks::seal::SealKey;

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
    pub async fn open(
        config: &Config,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let (clock, market) = (Clock::system(), config.market.as_str());
        let (log, bus, seller_db, buyer_db, retention) = match &config.mode {
            Mode::Embedded { data_dir } => {
                let file = |name: &str| data_dir.join(format!("{market}-{name}.sqlite"));
                let log = EventLog::sqlite(&file("log"), market, clock.clone(), lifecycle, metrics)
                    .await?;
                let bus = LiveBus::local(LOCAL_BUS, metrics);
                let seller_db = Db::sqlite("seller database", &file("seller"));
                let buyer_db = Db::sqlite("buyer database", &file("buyer"));
                (
                    log,
                    bus,
                    seller_db,
                    buyer_db,
                    Retention::in_rows(config.feed),
                )
            }
            Mode::Production {
                nats,
                redis,
                seller_database,
                buyer_database,
            } => (
                EventLog::jetstream(nats.reveal(), market, clock.clone(), metrics)?,
                LiveBus::redis(redis.reveal(), format!("{market}.live"), lifecycle, metrics)?,
                Db::postgres("seller database", seller_database.reveal())?,
                Db::postgres("buyer database", buyer_database.reveal())?,
                Retention::in_partitions(config.feed),
            ),
        };
        let sellers = SellerSide::new(log.clone(), seller_db, clock.clone());
        Ok(Self {
            log,
            bus,
            sellers,
            buyers: BuyerSide::new(buyer_db, clock, retention),
        })
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
    /// The file of the key to webhook secrets holds none: without the right one no webhook can be called.
    #[error("{} holds no key of 32 bytes in base64", .0.display())]
    Key(PathBuf),
}

/// The file that webhook secrets are encrypted with.
const SECRETS_KEY_FILE: &str = "webhook-secrets.key";

/// Writes a line that nobody but the owner of the file can read; whole, or not at all.
pub(crate) fn write_private(path: &Path, line: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

impl DataDir {
    /// Makes the directory if it is absent, and locks it.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let failed = |why| DataDirError::Io {
            path: path.to_owned(),
            why,
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        }
    }

    /// The key that webhook secrets are encrypted with, made if there is none yet.
    ///
    /// # Errors
    /// It cannot be read or written, or is none.
    pub fn webhook_secrets_key(&self) -> Result<SealKey, DataDirError> {
        let path = self.path.join(SECRETS_KEY_FILE);
        let failed = |why| DataDirError::Io {
            path: path.clone(),
            why,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => SealKey::parse(text.trim()).map_err(|_| DataDirError::Key(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = SealKey::generate();
                write_private(&path, &key.to_base64()).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
