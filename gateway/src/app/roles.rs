//! Roles of a process: which tasks each of them runs, and in which stage of the shutdown those end.
//!
//! A task spawned with `spawn` ends when the process drains; one spawned with `spawn_support` serves the others until
//! they are done, and ends when the process stops.

use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Router;
use backbone::Error;
use backbone::accounts::KeyHash;
use backbone::health::Health;
use backbone::lifecycle::Lifecycle;
use backbone::telemetry::Metrics;
use live::{Feed, Reads};
use sockets::Settings as SocketSettings;
use sockets::protocol::Limits;
use webhooks::resolver::Resolver;
use webhooks::seal::SealKey;
use webhooks::sender::Sender;
use webhooks::{self, Dispatcher, Fanout, Renderer, Webhooks};

use super::demo_guard;
use super::error::StartError;
use super::generations;
use super::store_watch::StoreWatch;
use crate::accounts::{self, MarketAccounts};
use crate::admission::Admission;
use crate::auth::KeyRing;
use crate::auth::jwt::Tokens;
use crate::backends::{Backends, DataDir, GatewayPools};
use crate::demo;
use crate::graphql::{Executor, PersistedDocuments, TrustedDocuments};
use crate::http::{self, Public, StatusCodes};
use crate::rates::Rates;
use crate::seller_position::SellerPosition;
use crate::services::Services;
use crate::settings::{Config, DocumentFiles, WebhookConfig};
use crate::sockets::{SocketService, Sockets};
use crate::usage::Usage;

/// Everything that the roles are started with.
pub(super) struct RoleStarter<'a> {
    pub(super) config: &'a Config,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) metrics: &'a Metrics,
    pub(super) health: &'a Health,
    pub(super) backends: &'a Backends,
}

impl RoleStarter<'_> {
    /// Starts the tasks of all roles of the process. Returns the routes of the public API, which are none without the
    /// role gateway.
    ///
    /// # Errors
    /// The key of webhook secrets or the trusted documents cannot be read, or the DNS resolver cannot be set up.
    pub(super) fn start(&self, data_dir: Option<&DataDir>) -> Result<Router, StartError> {
        let roles = self.config.roles;
        // Before any task runs, since a document that is not valid is a reason not to start.
        let persisted = self.open_documents()?;
        let seal = self.seal_key(data_dir)?;
        let webhooks = self.open_webhooks(seal.clone());
        let watch = StoreWatch::new(self.backends.clone(), roles, self.health, self.metrics);
        self.lifecycle
            .spawn_support("store watch", watch.run(self.lifecycle.stopping()));

        if roles.seller {
            self.start_seller_projection();
        }
        if roles.buyer {
            self.start_buyer_projection(webhooks.clone());
        }
        if roles.webhooks {
            self.start_fanout(webhooks.clone());
            self.start_dispatcher(webhooks.clone())?;
        }
        if roles.gateway {
            self.start_gateway(webhooks, seal, persisted)
        } else {
            Ok(Router::new())
        }
    }

    fn start_seller_projection(&self) {
        let part = self.health.part("seller projection");
        let worker = self.backends.sellers.worker(part, self.metrics);

        let stop = self.lifecycle.draining();
        self.lifecycle.spawn("seller projection", worker.run(stop));
    }

    fn start_buyer_projection(&self, webhooks: Webhooks) {
        let Backends {
            log, bus, buyers, ..
        } = self.backends.clone();
        let part = self.health.part("buyer projection");
        let worker = buyers.worker(log, bus.clone(), part, self.metrics);
        let stop = self.lifecycle.draining();
        self.lifecycle.spawn("buyer projection", worker.run(stop));

        let heartbeat = {
            let buyers = buyers.clone();
            let stop = self.lifecycle.draining();
            async move { buyers.run_heartbeat(bus, stop).await }
        };
        self.lifecycle.spawn("heartbeat", infallible(heartbeat));

        let metrics = self.metrics.clone();
        let stop = self.lifecycle.draining();
        // The fan-out reads the feed too, and must not find gaps in it.
        let retention = async move {
            buyers
                .run_retention(|| webhooks.fanned_out(), metrics, stop)
                .await;
        };
        self.lifecycle
            .spawn("feed retention", infallible(retention));
    }

    /// Returns the key that encrypts secrets at rest.
    fn seal_key(&self, data_dir: Option<&DataDir>) -> Result<SealKey, StartError> {
        Ok(match (&self.config.webhooks.secrets_key, data_dir) {
            (Some(key), _) => key.clone(),
            (None, Some(data_dir)) => data_dir.webhook_secrets_key()?,
            // Only processes that run nothing but projections come here (the settings are checked for it). They
            // neither encrypt nor decrypt a secret, so any key does.
            (None, None) => SealKey::generate(),
        })
    }

    /// Opens the buyers' webhook endpoints with the key that encrypts their secrets.
    fn open_webhooks(&self, seal: SealKey) -> Webhooks {
        Webhooks::new(
            &self.backends.buyers,
            self.backends.webhooks.clone(),
            self.backends.bus.clone(),
            self.config.webhooks.egress.clone(),
            seal,
        )
    }

    fn start_fanout(&self, webhooks: Webhooks) {
        let fanout = Fanout::new(webhooks, Renderer::standard(), self.metrics);
        let listener = self.backends.bus.subscribe();
        let part = self.health.part("webhook fan-out");

        let stop = self.lifecycle.draining();
        self.lifecycle
            .spawn("webhook fan-out", fanout.run(listener, part, stop));
    }

    fn start_dispatcher(&self, webhooks: Webhooks) -> Result<(), StartError> {
        let WebhookConfig { egress, limits, .. } = &self.config.webhooks;
        let sender = Sender::new(egress.clone(), Resolver::system()?)?;
        let dispatcher = Dispatcher::new(webhooks.clone(), sender, *limits, self.metrics);

        let listener = self.backends.bus.subscribe();
        let part = self.health.part("webhook dispatcher");
        let stop = self.lifecycle.draining();
        self.lifecycle
            .spawn("webhook dispatcher", dispatcher.run(listener, part, stop));

        let replays = webhooks::replay_worker::run(webhooks.clone(), self.lifecycle.draining());
        self.lifecycle.spawn("webhook replays", infallible(replays));

        let retention = webhooks::retention::run(webhooks, self.lifecycle.draining());
        self.lifecycle
            .spawn("webhook retention", infallible(retention));
        Ok(())
    }

    fn start_gateway(
        &self,
        webhooks: Webhooks,
        seal: SealKey,
        persisted: PersistedDocuments,
    ) -> Result<Router, StartError> {
        let keys = self.start_key_ring()?;
        let feed = self.start_feed();
        let accounts = self.start_accounts(seal);
        let services = self.services(webhooks, keys.clone(), accounts, Arc::clone(&feed));

        let usage = Usage::new(self.config.field_usage, self.metrics);
        let limits = self.config.execution;
        let executor = Executor::new(services.clone(), limits, persisted, usage, self.metrics);
        let sockets = Sockets::start(
            SocketService::new(keys, executor.clone(), services.rates.clone()),
            feed,
            SocketSettings {
                shards: available_parallelism().map_or(1, usize::from),
                limits: Limits::default(),
                ping: self.config.ping,
                drain: self.config.drain,
            },
            self.lifecycle,
            self.metrics,
        );

        let watch = generations::run(
            self.backends.clone(),
            executor.clone(),
            self.lifecycle.draining(),
        );
        self.lifecycle.spawn("generation watch", watch);

        self.start_readiness();
        let status_codes = if self.config.graphql_http.status_codes_2026 {
            StatusCodes::Since2026
        } else {
            StatusCodes::Audited
        };
        let routes = http::public(Public {
            services,
            executor,
            sockets,
            compression: self.config.compression,
            http_compression: self.config.graphql_http.compression,
            status_codes,
            trusted_proxies: self.config.connections.trusted_proxies.clone(),
        });
        Ok(http::guarded(routes, &self.config.browser))
    }

    /// Reads the trusted documents, and opens the store of those that clients send with their hash.
    fn open_documents(&self) -> Result<PersistedDocuments, StartError> {
        let DocumentFiles { trusted, rules } = &self.config.documents;
        let trusted = TrustedDocuments::load(trusted).map_err(StartError::TrustedDocuments)?;

        Ok(PersistedDocuments::new(*rules, trusted, self.metrics))
    }

    /// Opens the accounts of the market, and starts the end of calls that are kept for their repeats.
    fn start_accounts(&self, seal: SealKey) -> MarketAccounts {
        let Backends {
            sellers, buyers, ..
        } = &self.backends;
        let retention =
            accounts::run_retention(sellers.accounts().clone(), self.lifecycle.draining());
        self.lifecycle.spawn("account retention", retention);

        MarketAccounts::new(sellers, buyers, Some(seal))
    }

    fn services(
        &self,
        webhooks: Webhooks,
        keys: KeyRing,
        accounts: MarketAccounts,
        feed: Arc<Feed>,
    ) -> Services {
        let Backends {
            log,
            sellers,
            buyers,
            ..
        } = self.backends.clone();
        let reads = Reads::new(
            buyers.clone(),
            Arc::clone(&feed),
            self.config.views,
            self.metrics,
        );

        Services {
            seller_position: SellerPosition::new(sellers.clone(), self.metrics),
            sellers,
            buyers,
            reads,
            webhooks,
            feed,
            admission: Admission::new(self.config.operations, self.metrics),
            rates: Rates::new(self.config.rates, self.metrics),
            lifecycle: self.lifecycle.clone(),
            log,
            keys,
            accounts,
        }
    }

    fn start_key_ring(&self) -> Result<KeyRing, StartError> {
        let GatewayPools {
            seller_keys,
            buyer_keys,
            ..
        } = self.backends.pools.clone();
        let mut keys = KeyRing::new(seller_keys, buyer_keys, self.refused_keys());
        if let Some(jwt) = &self.config.jwt {
            keys = keys.with_tokens(Tokens::new(jwt.clone())?);
        }
        // A support task: connections need their keys confirmed until the last of them has drained.
        let checks = keys.clone().keep_checking(self.lifecycle.stopping());
        self.lifecycle.spawn_support("key ring", infallible(checks));

        if !self.config.allows_public_keys() {
            let guard = demo_guard::run(
                self.backends.clone(),
                self.config.listen,
                self.lifecycle.draining(),
            );
            self.lifecycle.spawn("demo guard", guard);
        }
        Ok(keys)
    }

    /// Hashes of API keys that are refused although a database may know them: those of the demo, which are public,
    /// unless the configuration allows them.
    fn refused_keys(&self) -> Vec<KeyHash> {
        if self.config.allows_public_keys() {
            Vec::new()
        } else {
            demo::public_keys()
        }
    }

    fn start_feed(&self) -> Arc<Feed> {
        let Backends {
            log, bus, pools, ..
        } = self.backends.clone();
        let feed = Feed::new(pools.feed, log, self.metrics);

        // Until the process stops, not only until it drains: connections end one after the other,
        // and the others still get their changes.
        let feed_sync = live::run_feed_sync(
            Arc::clone(&feed),
            bus.subscribe(),
            self.health.part("feed"),
            self.lifecycle.stopping(),
        );
        self.lifecycle.spawn_support("feed", feed_sync);
        feed
    }

    /// Makes `/health/ready` fail once the process drains, so that load balancers send new clients elsewhere.
    fn start_readiness(&self) {
        let accepting = self.health.part("accepting");
        accepting.up();

        let draining = self.lifecycle.draining();
        let readiness = async move {
            draining.cancelled().await;
            accepting.down("draining");
        };
        self.lifecycle
            .spawn_support("readiness", infallible(readiness));
    }
}

/// Adapts a task that cannot fail to those that can.
async fn infallible(task: impl Future<Output = ()>) -> Result<(), Error> {
    task.await;
    Ok(())
}
