//! Stores that a command works on directly, without a server in between.

use std::time::Duration;

use backbone::Error;
use backbone::lifecycle::Lifecycle;
use backbone::telemetry::Metrics;
use tokio::time::{Instant, sleep};

use crate::accounts::MarketAccounts;
use crate::backends::{Backends, DataDir, DataDirError, Proof};
use crate::settings::{Config, Mode};

/// Failure of a command, printed on standard error.
pub(super) type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Time that a command waits for servers that are starting.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two attempts to reach a server.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Opened stores of a market.
pub(super) struct Stores {
    pub(super) backends: Backends,
    lifecycle: Lifecycle,
    _data_dir: Option<DataDir>,
}

impl Stores {
    /// Opens the stores that `config` names.
    ///
    /// # Errors
    /// Another process holds the data directory of an embedded market; a URL is invalid.
    pub(super) async fn open(config: Config) -> Result<Self, CommandError> {
        Self::open_with(config, Proof::Tables).await
    }

    /// Opens the stores as [`Stores::open`] does, with a log that need not be the one of the tables: to mend what does not
    /// fit. Creates no log.
    ///
    /// # Errors
    /// Those of [`Stores::open`]; the log of an embedded market is missing.
    pub(super) async fn open_beside_any_log(config: Config) -> Result<Self, CommandError> {
        Self::open_with(config, Proof::None).await
    }

    async fn open_with(config: Config, proof: Proof) -> Result<Self, CommandError> {
        let data_dir = match &config.mode {
            Mode::Embedded { data_dir } => Some(lock(data_dir)?),
            Mode::Production { .. } => None,
        };

        let lifecycle = Lifecycle::new();
        let backends = Backends::open_with(&config, proof, &lifecycle, &Metrics::new()).await?;
        Ok(Self {
            backends,
            lifecycle,
            _data_dir: data_dir,
        })
    }

    /// Migrates both databases, waiting for them for up to 30 s.
    pub(super) async fn migrate(&self) -> Result<(), CommandError> {
        retry_while_unavailable("the databases", || self.backends.migrate()).await
    }

    /// Migrates both databases and waits for the event log, for up to 30 s each.
    pub(super) async fn prepare(&self) -> Result<(), CommandError> {
        self.migrate().await?;
        self.await_log().await
    }

    /// Waits for the event log, for up to 30 s.
    pub(super) async fn await_log(&self) -> Result<(), CommandError> {
        retry_while_unavailable("the event log", || async {
            self.backends.log.prepare().await.map(|_| ())
        })
        .await
    }

    /// Waits for the event log, whether it exists or not, for up to 30 s.
    pub(super) async fn await_log_server(&self) -> Result<(), CommandError> {
        retry_while_unavailable("the event log", || async {
            self.backends.log.describe().await.map(|_| ())
        })
        .await
    }

    /// Waits for an event log that need not be the one of the tables, for up to 30 s.
    ///
    /// # Errors
    /// There is no log, or one that has holes or could lose events.
    pub(super) async fn await_any_log(&self) -> Result<(), CommandError> {
        retry_while_unavailable("the event log", || async {
            self.backends.log.epochs().await.map(|_| ())
        })
        .await
    }

    /// Accounts of the market.
    pub(super) fn accounts(&self) -> MarketAccounts {
        MarketAccounts::new(&self.backends.sellers, &self.backends.buyers)
    }

    /// Closes the stores and waits for their tasks.
    pub(super) async fn close(self) -> Result<(), CommandError> {
        let Self {
            backends,
            lifecycle,
            _data_dir,
        } = self;
        // The stores' tasks end when the last handle is gone; the data directory stays locked until they have.
        drop(backends);

        // No time to drain: a command has awaited all that it wrote, and has no clients.
        lifecycle.finish(Duration::ZERO).await?;
        Ok(())
    }
}

/// Locks a data directory.
///
/// # Errors
/// Another process holds it.
pub(super) fn lock(path: &std::path::Path) -> Result<DataDir, CommandError> {
    DataDir::lock(path).map_err(|error| match error {
        in_use @ DataDirError::InUse(_) => format!("{in_use}; stop that process first").into(),
        other => other.into(),
    })
}

/// Repeats `attempt` while it fails as unavailable, because servers may still be starting.
async fn retry_while_unavailable<F: Future<Output = Result<(), Error>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<(), CommandError> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match attempt().await {
            Err(error) if error.is_unavailable() && Instant::now() < deadline => {
                tracing::warn!(%error, "Waiting for {what}: {error}");
                sleep(RETRY_PAUSE).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}
