//! Gateway with all roles in the process of the test, on the demo market.

use std::path::PathBuf;

use backbone::testkit::{Market, Services, wait_until};
use gateway::admission::OperationLimits;
use gateway::app::App;
use gateway::commands::install_tls_provider;
use gateway::demo;
use gateway::graphql::ExecutionLimits;
use gateway::settings::{
    Config, Demo, DocumentFiles, GraphqlHttp, Mode, PoolSizes, Roles, ServerAccess, WebhookConfig,
};
use live::ViewSettings;
use tempfile::TempDir;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

use super::{Client, DEADLINE, Socket};

/// Kind of backends that an app runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// SQLite files and channels in the process.
    Embedded,
    /// NATS JetStream, Redis and PostgreSQL.
    Production,
}

/// Running app, whose data is deleted when it is dropped.
pub(crate) struct TestApp {
    pub(crate) app: App,
    market: Option<(Services, Market)>,
    folder: TempDir,
}

impl TestApp {
    /// Starts an app on a new market, and waits until it is ready and its tables hold the demo.
    pub(crate) async fn start(backing: Backing) -> Self {
        install_tls_provider();

        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let market = match backing {
            Backing::Embedded => None,
            Backing::Production => {
                let services = Services::shared_or_private().await;
                let market = services.market().await;
                Some((services, market))
            }
        };

        let config = config(
            market.as_ref().map(|(_, market)| market),
            folder.path().to_owned(),
            Roles::ALL,
        );
        let app = App::start(config).await.expect("the app starts");

        let started = Self {
            app,
            market,
            folder,
        };
        // An embedded app fills a new market with the demo itself; on servers that is a command.
        if backing == Backing::Production {
            started.ready().await;
            demo::complete(started.app.backends())
                .await
                .expect("the demo is complete");
        }

        started.ready().await;
        started.caught_up().await;

        started
    }

    /// Stops the app and starts another on the same stores, at another address.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(|_| {}).await
    }

    /// Restarts the app as [`TestApp::restarted`] does, with settings that `adjust` changes.
    pub(crate) async fn restarted_with(self, adjust: impl FnOnce(&mut Config)) -> Self {
        let Self {
            app,
            market,
            folder,
        } = self;

        let mut config = app.config().clone();
        adjust(&mut config);

        // Stopped first: two apps cannot hold one embedded market.
        app.stop().await.expect("the app stops without errors");
        let app = App::start(config).await.expect("the app starts");

        let started = Self {
            app,
            market,
            folder,
        };

        started.ready().await;
        started.caught_up().await;

        started
    }

    /// Executes a statement with one parameter on the buyer database, bypassing the app.
    pub(crate) async fn on_buyer_database(&self, sql: &'static str, value: i64) {
        match &self.market {
            Some((_, market)) => {
                let pool = sqlx::PgPool::connect(&market.buyer_database_url)
                    .await
                    .expect("the buyer database accepts connections");

                sqlx::query(sql)
                    .bind(value)
                    .execute(&pool)
                    .await
                    .expect("the statement is valid");
            }
            None => {
                let file = self.folder.path().join("market-buyer.sqlite");
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let pool = sqlx::SqlitePool::connect_with(options)
                    .await
                    .expect("the buyer database accepts connections");

                sqlx::query(sql)
                    .bind(value)
                    .execute(&pool)
                    .await
                    .expect("the statement is valid");
            }
        }
    }

    /// Returns the value of a metric, given with its labels if it has any; 0 if it does not exist
    /// yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        Client::new(&self.url(), None)
            .metric(name)
            .await
            .expect("the app answers")
    }

    /// Waits until every part of the app is up.
    pub(crate) async fn ready(&self) {
        wait_until(DEADLINE, "the app is ready", async || {
            self.app.health().down().is_empty()
        })
        .await;
    }

    /// Waits until the tables of both sides have reached the head of the log.
    pub(crate) async fn caught_up(&self) {
        let backends = self.app.backends();
        let head = backends.log.head().await.expect("the log is available");

        wait_until(DEADLINE, "the tables reach the log's head", async || {
            let checkpoints = [
                backends.sellers.checkpoint().await,
                backends.buyers.checkpoint().await,
            ];

            checkpoints
                .into_iter()
                .all(|checkpoint| checkpoint.is_ok_and(|checkpoint| checkpoint.position >= head))
        })
        .await;
    }

    /// Returns the base URL of the public API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// Creates an HTTP client with an API key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(&self.url(), Some(key))
    }

    /// Opens a socket with an API key, and waits for the acknowledgement.
    pub(crate) async fn socket(&self, key: &str) -> Socket {
        Socket::open(&self.url(), key).await
    }

    /// Stops the app and checks that it stops without errors.
    pub(crate) async fn stop(self) {
        self.app.stop().await.expect("the app stops without errors");
    }
}

fn config(market: Option<&Market>, data_dir: PathBuf, roles: Roles) -> Config {
    let mode = match market {
        None => Mode::Embedded { data_dir },
        Some(market) => Mode::Production {
            nats: market.nats_url.as_str().into(),
            redis: market.redis_url.as_str().into(),
            seller_database: market.seller_database_url.as_str().into(),
            buyer_database: market.buyer_database_url.as_str().into(),
        },
    };

    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: None,
        roles,
        market: market.map_or("market", |market| &market.market).to_owned(),
        mode,
        demo: Demo::Loopback,
        drain: std::time::Duration::from_secs(1),
        ping: std::time::Duration::from_secs(12),
        feed: std::time::Duration::from_hours(24),
        feed_unread: std::time::Duration::from_hours(48),
        connections: listener::Settings {
            // Every client of a test has the same address.
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("the text is a network")],
            ..listener::Settings::default()
        },
        compression: false,
        graphql_http: GraphqlHttp::default(),
        documents: DocumentFiles::default(),
        pools: PoolSizes::default(),
        servers: ServerAccess::default(),
        operations: OperationLimits::default(),
        execution: ExecutionLimits {
            cost: 100_000,
            result_bytes: 4 << 20,
        },
        views: ViewSettings::default(),
        webhooks: WebhookConfig {
            secrets_key: Some(SealKey::generate()),
            // The endpoints of tests listen on this machine, without TLS.
            egress: Egress {
                allow_http: true,
                allow_nets: vec!["127.0.0.0/8".parse().expect("the text is a network")],
            },
            limits: Limits::default(),
        },
        log: "warn".to_owned(),
        log_json: false,
    }
}
