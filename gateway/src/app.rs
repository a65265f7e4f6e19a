//! One process put together: opens the backends, starts the roles, serves until told to stop. Every part that can
//! be away is waited for, with its name in `/health/ready` and in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use backbone::Error;
use backbone::accounts::KeyHash;
use backbone::health::{Health, Part};
use backbone::lifecycle::{Failure, Lifecycle};
use backbone::telemetry::Metrics;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use webhooks::resolver::Resolver;
use webhooks::seal::SealKey;
use webhooks::sender::Sender;
use webhooks::{self, Dispatcher, Webhooks};

use crate::accounts::MarketAccounts;
use crate::auth::KeyRing;
use crate::backends::{Backends, DataDir};
use crate::connections::Connections;
use crate::demo;
use crate::graphql::Executor;
use crate::http::{self, Probes, Public};
use crate::services::Services;
use crate::settings::{Config, Demo, Mode, Roles, WebhookConfig};
use crate::ws::Sockets;
use live::Feed;

/// How often the stores are looked at for `/health/ready`.
const LOOK: Duration = Duration::from_secs(1);
/// A peer that takes nothing for this long is gone, whatever is being written to it.
#[cfg(target_os = "linux")]
const PEER: Duration = Duration::from_secs(20);

/// What the system may hold of what a peer has not taken yet, in bytes. Left to itself it grows to megabytes, which a
/// thousand peers that read nothing would fill.
const SEND_BUFFER: usize = 128 << 10;
/// Connections that wait to be accepted. With the 128 that are usual, most of some thousands that come back at once are
/// turned away, and try again a second later.
const BACKLOG: u32 = 4_096;

/// A running process.
pub struct App {
    lifecycle: Lifecycle,
    backends: Backends,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    health: Health,
    config: Config,
    demo: bool,
    _data_dir: Option<DataDir>,
}

/// Why an app cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] crate::backends::DataDirError),
    /// A store.
    #[error(transparent)]
    Store(#[from] Error),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] demo::Failed),
    /// The demo's keys are public.
    #[error(
        "the data directory holds the demo market, whose keys are public: listen on loopback instead of {0}, or say --demo"
    )]
    PublicKeys(SocketAddr),
    /// An address.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

impl App {
    /// Starts the roles of `config` and listens. It may not be ready yet: see [`App::health`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (lifecycle, metrics, health) = (Lifecycle::new(), Metrics::new(), Health::default());
        lifecycle.measure(&metrics);
        let data_dir = match &config.mode {
            Mode::Embedded { data_dir } => Some(DataDir::lock(data_dir)?),
            Mode::Production { .. } => None,
        };
        let backends = Backends::open(&config, &lifecycle, &metrics).await?;
        let mut demo = false;
        if data_dir.is_some() {
            backends.migrate().await?;
            demo = config.demo != Demo::Never && demo::fill(&backends).await?;
            if demo && !config.shows_public_keys() {
                return Err(StartError::PublicKeys(config.listen));
            }
        }
        let app = Parts {
            config: &config,
            lifecycle: &lifecycle,
            metrics: &metrics,
            health: &health,
            backends: &backends,
        };
        app.watch_stores();
        app.start_projections();
        let webhooks = app.webhooks(data_dir.as_ref())?;
        if config.roles.webhooks {
            app.start_dispatcher(webhooks.clone())?;
        }
        let probes = http::probes(Probes {
            health: health.clone(),
            metrics: metrics.clone(),
        });
        let public = if config.roles.gateway {
            app.start_gateway(webhooks)
        } else {
            Router::new()
        };
        let (router, admin) = match config.admin_listen {
            Some(address) => (public, Some((address, probes))),
            None => (public.merge(probes), None),
        };
        let address = serve(&lifecycle, config.listen, router).await?;
        let admin_address = match admin {
            Some((address, router)) => Some(serve(&lifecycle, address, router).await?),
            None => None,
        };
        tracing::info!(%address, roles = ?config.roles, "listening on http://{address}");
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

    /// Where the public API is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where probes and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address.unwrap_or(self.address)
    }

    /// Whether it holds the demo market.
    pub fn holds_demo(&self) -> bool {
        self.demo
    }

    /// Its parts.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What it works on.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its tasks.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Ends it: what is in hand goes on for the drain time.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self {
            lifecycle,
            config,
            backends,
            ..
        } = self;
        drop(backends);
        lifecycle.finish(config.drain).await
    }
}

/// What the starting of roles draws on.
struct Parts<'a> {
    config: &'a Config,
    lifecycle: &'a Lifecycle,
    metrics: &'a Metrics,
    health: &'a Health,
    backends: &'a Backends,
}

impl Parts<'_> {
    /// Brings databases up to date when they are there, and keeps looking whether the stores are.
    fn watch_stores(&self) {
        let Roles {
            gateway,
            seller,
            buyer,
            webhooks,
        } = self.config.roles;
        let watch = StoreWatch {
            backends: self.backends.clone(),
            log: self.health.part("event log"),
            bus: (gateway || buyer || webhooks).then(|| self.health.part("live bus")),
            sellers: (gateway || seller).then(|| self.health.part("seller database")),
            buyers: (gateway || buyer || webhooks).then(|| self.health.part("buyer database")),
        };
        self.lifecycle
            .spawn_support("store watch", watch.run(self.lifecycle.stopping()));
    }

    fn start_projections(&self) {
        let draining = || self.lifecycle.draining();
        if self.config.roles.seller {
            let worker = self
                .backends
                .sellers
                .worker(self.health.part("seller projection"), self.metrics);
            self.lifecycle
                .spawn("seller projection", worker.run(draining()));
        }
        if self.config.roles.buyer {
            let (buyers, bus) = (self.backends.buyers.clone(), self.backends.bus.clone());
            let part = self.health.part("buyer projection");
            let worker = buyers.worker(self.backends.log.clone(), bus.clone(), part, self.metrics);
            self.lifecycle
                .spawn("buyer projection", worker.run(draining()));

            let heartbeat = {
                let buyers = buyers.clone();
                let stop = draining();
                async move { buyers.run_heartbeat(bus, stop).await }
            };
            self.lifecycle.spawn("heartbeat", endless(heartbeat));

            let metrics = self.metrics.clone();
            let stop = draining();
            let retention = async move { buyers.run_retention(metrics, stop).await };
            self.lifecycle.spawn("feed retention", endless(retention));
        }
    }

    /// The buyers' endpoints, with the key to their secrets.
    fn webhooks(&self, data_dir: Option<&DataDir>) -> Result<Webhooks, StartError> {
        let key = match (&self.config.webhooks.secrets_key, data_dir) {
            (Some(key), _) => key.clone(),
            (None, Some(data_dir)) => data_dir.webhook_secrets_key()?,
            // Projections only: they seal and open nothing.
            (None, None) => SealKey::generate(),
        };
        let egress = self.config.webhooks.egress.clone();
        Ok(Webhooks::new(
            &self.backends.buyers,
            self.backends.bus.clone(),
            egress,
            key,
        ))
    }

    fn start_dispatcher(&self, webhooks: Webhooks) -> Result<(), StartError> {
        let draining = || self.lifecycle.draining();
        let WebhookConfig { egress, limits, .. } = &self.config.webhooks;
        let sender = Sender::new(egress.clone(), Resolver::system()?)?;
        let dispatcher = Dispatcher::new(webhooks.clone(), sender, *limits, self.metrics);
        let (listener, part) = (
            self.backends.bus.subscribe(),
            self.health.part("webhook dispatcher"),
        );
        self.lifecycle.spawn(
            "webhook dispatcher",
            dispatcher.run(listener, part, draining()),
        );
        self.lifecycle.spawn(
            "webhook retention",
            endless(webhooks::retention::run(webhooks, draining())),
        );
        Ok(())
    }

    /// Keys that open nothing here: those of the demo, which everybody knows, unless they are wanted.
    fn refused_keys(&self) -> Vec<KeyHash> {
        if self.config.shows_public_keys() {
            Vec::new()
        } else {
            demo::public_keys()
        }
    }

    fn start_gateway(&self, webhooks: Webhooks) -> Router {
        let Backends {
            log,
            bus,
            sellers,
            buyers,
        } = self.backends.clone();
        let keys = KeyRing::new(
            sellers.accounts().clone(),
            buyers.accounts().clone(),
            self.refused_keys(),
        );
        let feed = Feed::new(buyers.clone(), log.clone(), self.metrics);
        let stopping = || self.lifecycle.stopping();
        if !self.config.shows_public_keys() {
            let guard = refuse_public_keys(
                self.backends.clone(),
                self.config.listen,
                self.lifecycle.draining(),
            );
            self.lifecycle.spawn("demo guard", guard);
        }
        self.lifecycle
            .spawn_support("key ring", endless(keys.clone().keep_checking(stopping())));
        let keeper = live::run_feed_sync(
            Arc::clone(&feed),
            bus.subscribe(),
            self.health.part("feed"),
            stopping(),
        );
        self.lifecycle.spawn_support("feed", keeper);
        let accounts = MarketAccounts::new(&sellers, &buyers);
        let services = Services {
            sellers,
            buyers,
            webhooks,
            log,
            keys: keys.clone(),
            accounts,
        };
        let executor = Executor::new(services.clone(), Arc::clone(&feed), self.metrics);
        let connections =
            Connections::new(self.lifecycle.clone(), self.config.drain, self.config.ping);
        let sockets = Sockets::new(
            executor.clone(),
            keys,
            Arc::clone(&feed),
            connections.clone(),
            self.metrics,
        );
        let draining = self.health.part("accepting");
        draining.up();
        let told = self.lifecycle.draining();
        self.lifecycle.spawn_support(
            "readiness",
            endless(async move {
                told.cancelled().await;
                draining.down("draining");
            }),
        );
        http::public(Public {
            services,
            executor,
            sockets,
            feed,
            connections,
        })
    }
}

/// A task that cannot fail.
async fn endless(task: impl Future<Output = ()>) -> Result<(), Error> {
    task.await;
    Ok(())
}

/// Looks at the stores that this process needs.
struct StoreWatch {
    backends: Backends,
    log: Part,
    bus: Option<Part>,
    sellers: Option<Part>,
    buyers: Option<Part>,
}

impl StoreWatch {
    async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Self {
            backends,
            log,
            bus,
            sellers,
            buyers,
        } = self;
        let (mut seller_tables, mut buyer_tables) = (false, false);
        loop {
            // Without the log mutations are refused, and all else goes on.
            let look_at_log = async {
                match look(backends.log.epoch()).await {
                    Ok(()) => log.up(),
                    Err(why) => log.away(why),
                }
            };
            let look_at_sellers = async {
                let Some(part) = &sellers else { return };
                seller_tables = seller_tables || report(part, backends.sellers.migrate()).await;
                if seller_tables {
                    report(part, backends.sellers.checkpoint()).await;
                }
            };
            let look_at_buyers = async {
                let Some(part) = &buyers else { return };
                buyer_tables = buyer_tables || report(part, backends.buyers.migrate()).await;
                if buyer_tables {
                    report(part, backends.buyers.checkpoint()).await;
                }
            };
            tokio::join!(look_at_log, look_at_sellers, look_at_buyers);
            if let Some(part) = &bus {
                // Without it pushes are slower: the feed is polled.
                if backends.bus.is_up() {
                    part.up()
                } else {
                    part.away("not connected")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// Tells a part's state by the outcome of a call; whether it was a good one.
async fn report<T>(part: &Part, call: impl Future<Output = Result<T, Error>>) -> bool {
    let outcome = look(call).await;
    match &outcome {
        Ok(()) => part.up(),
        Err(why) => part.down(why),
    }
    outcome.is_ok()
}

/// Why a call did not succeed, if it did not.
async fn look<T>(call: impl Future<Output = Result<T, Error>>) -> Result<(), String> {
    match timeout(LOOK * 5, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// Ends the process if the market holds the demo's keys, as soon as that can be told.
async fn refuse_public_keys(
    backends: Backends,
    listen: SocketAddr,
    stop: CancellationToken,
) -> Result<(), StartError> {
    loop {
        match demo::is_there(&backends).await {
            Ok(true) => return Err(StartError::PublicKeys(listen)),
            Ok(false) => return Ok(()),
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(LOOK) => {}
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // As listeners usually have it: a port that was just closed can be listened on again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(
    lifecycle: &Lifecycle,
    address: SocketAddr,
    router: Router,
) -> Result<SocketAddr, StartError> {
    let listen = |why| StartError::Listen { address, why };
    let listener = bind(address).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let listener = listener.tap_io(|connection| {
        // Answers are whole when they are written, so nothing is gained by waiting for more.
        let _unsupported = connection.set_nodelay(true);
        let socket = socket2::SockRef::from(&*connection);
        let _unsupported = socket.set_send_buffer_size(SEND_BUFFER);
        #[cfg(target_os = "linux")]
        let _unsupported = socket.set_tcp_user_timeout(Some(PEER));
    });
    let draining = lifecycle.draining();
    let server = axum::serve(listener, router).with_graceful_shutdown(draining.cancelled_owned());
    lifecycle.spawn("http server", async move { server.await });
    Ok(bound)
}
