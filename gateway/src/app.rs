//! One process assembled from its parts: opens the backends, starts the roles, and serves until it is told to stop.
//! A backend that is not reachable yet does not prevent the start; it is listed in `/health/ready` and in the log.

mod demo_guard;
mod error;
mod generations;
mod listener;
mod progress;
mod roles;
mod store_watch;

use std::net::SocketAddr;

use ::listener::Settings as ListenerSettings;
use axum::Router;
use backbone::health::Health;
use backbone::lifecycle::{Failure, Lifecycle};
use backbone::telemetry::Metrics;

use crate::backends::{Backends, DataDir};
use crate::demo;
use crate::http::{self, Probes};
use crate::settings::{Config, Demo, Mode};

pub use error::StartError;
use roles::RoleStarter;

/// A running process.
pub struct App {
    lifecycle: Lifecycle,
    backends: Backends,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    health: Health,
    config: Config,
    demo: bool,
    /// Held for its lock: a second process on the same directory would corrupt the embedded stores.
    _data_dir: Option<DataDir>,
}

impl App {
    /// Starts the roles of `config` and listens. The process may not be ready yet when this returns; see
    /// [`App::health`].
    ///
    /// # Errors
    /// See [`StartError`]. Unreachable servers are not an error: the process keeps trying to reach them.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let lifecycle = Lifecycle::new();
        let metrics = Metrics::new();
        let health = Health::default();
        lifecycle.measure(&metrics);

        // The lock comes before the stores are opened, so that two processes never write the same files.
        let data_dir = match &config.mode {
            Mode::Embedded { data_dir } => Some(DataDir::lock(data_dir)?),
            Mode::Production { .. } => None,
        };
        let backends = Backends::open(&config, &lifecycle, &metrics).await?;
        let demo = match data_dir {
            Some(_) => prepare_embedded_market(&config, &backends).await?,
            None => false,
        };

        let starter = RoleStarter {
            config: &config,
            lifecycle: &lifecycle,
            metrics: &metrics,
            health: &health,
            backends: &backends,
        };
        let public = starter.start(data_dir.as_ref())?;

        let probes = http::probes(Probes {
            health: health.clone(),
            metrics: metrics.clone(),
        });
        let listeners = Listeners {
            lifecycle: &lifecycle,
            config: &config,
            metrics: &metrics,
        };
        let (address, admin_address) = listeners.start(public, probes)?;
        let roles = config.roles;
        tracing::info!(%address, %roles, "Listening on {address}");

        Ok(Self {
            lifecycle,
            backends,
            address,
            admin_address,
            health,
            config,
            demo,
            _data_dir: data_dir,
        })
    }

    /// Address of the public API, with the port that the system chose if the configured one was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of the probes and metrics; the public address unless they have one of their own.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address.unwrap_or(self.address)
    }

    /// Returns whether the process serves the demo market, whose keys are public.
    pub fn holds_demo(&self) -> bool {
        self.demo
    }

    /// State of each part, as `/health/ready` reports it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Event log, live bus and both sides' databases.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// Configuration that the process was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tasks of the process, and the signal that ends them.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Stops the process. Open work continues for at most the drain time.
    ///
    /// # Errors
    /// The first task that failed, or the tasks that did not end when they were told to.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self {
            lifecycle,
            config,
            backends,
            ..
        } = self;
        // The stores' own tasks end when the last handle is gone, so it must not outlive the wait below.
        drop(backends);

        lifecycle.finish(config.drain).await
    }
}

/// Migrates the databases of an embedded market and fills an empty one with the demo. Returns whether it holds the
/// demo.
async fn prepare_embedded_market(config: &Config, backends: &Backends) -> Result<bool, StartError> {
    // In production the store watch migrates, since servers may not be up yet. These databases are
    // files, and the demo needs their tables now.
    backends.migrate().await?;
    let demo = config.demo != Demo::Never && demo::fill(backends).await?;

    if demo && !config.allows_public_keys() {
        return Err(StartError::PublicKeys(config.listen));
    }
    Ok(demo)
}

/// Everything that the listeners are started with.
struct Listeners<'a> {
    lifecycle: &'a Lifecycle,
    config: &'a Config,
    metrics: &'a Metrics,
}

impl Listeners<'_> {
    /// Serves the public API and the probes, on one address or on two. Returns the addresses in that order.
    fn start(
        &self,
        public: Router,
        probes: Router,
    ) -> Result<(SocketAddr, Option<SocketAddr>), StartError> {
        let connections = self.config.connections.clone();
        let Some(admin_listen) = self.config.admin_listen else {
            let address = self.serve(self.config.listen, connections, public.merge(probes))?;
            return Ok((address, None));
        };

        let address = self.serve(self.config.listen, connections, public)?;
        // Probes come from the operator's own network, in clear text.
        let admin_address = self.serve(admin_listen, ListenerSettings::default(), probes)?;
        Ok((address, Some(admin_address)))
    }

    fn serve(
        &self,
        address: SocketAddr,
        settings: ListenerSettings,
        router: Router,
    ) -> Result<SocketAddr, StartError> {
        listener::serve(self.lifecycle, address, settings, router, self.metrics)
    }
}
