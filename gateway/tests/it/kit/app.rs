//! A gateway with all roles inside the test's process, holding the demo market.

use std::path::PathBuf;

use backbone::testkit::{Market, Services, wait_until};
use gateway::app::App;
use gateway::commands::install_tls_provider;
use gateway::demo;
use gateway::settings::{Config, Demo, Mode, Roles, WebhookConfig};
use tempfile::TempDir;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

use super::{Client, DEADLINE, Socket};

/// Which backends an app stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    Embedded,
    Production,
}

/// A running app; its data goes with it.
pub(crate) struct TestApp {
    pub(crate) app: App,
    market: Option<(Services, Market)>,
    folder: TempDir,
}

impl TestApp {
    /// With the demo market, ready.
    pub(crate) async fn start(backing: Backing) -> Self {
        install_tls_provider();
        let folder = tempfile::tempdir().expect("a temporary folder");
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
        if backing == Backing::Production {
            started.ready().await;
            demo::complete(started.app.backends())
                .await
                .expect("the demo is made");
        }
        started.ready().await;
        started.caught_up().await;
        started
    }

    /// Ends it well and starts another over the same stores, at another address.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(|_| {}).await
    }

    /// As [`TestApp::restarted`], with other settings.
    pub(crate) async fn restarted_with(self, adjust: impl FnOnce(&mut Config)) -> Self {
        let Self {
            app,
            market,
            folder,
        } = self;
        let mut config = app.config().clone();
        adjust(&mut config);
        app.stop().await.expect("the app ends well");
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

    /// Executes a statement on the buyer database, past the app.
    pub(crate) async fn on_buyer_database(&self, sql: &'static str, value: i64) {
        match &self.market {
            Some((_, market)) => {
                let pool = sqlx::PgPool::connect(&market.buyer_database_url)
                    .await
                    .expect("a database");
                sqlx::query(sql)
                    .bind(value)
                    .execute(&pool)
                    .await
                    .expect("it is executed");
            }
            None => {
                let file = self.folder.path().join("market-buyer.sqlite");
                let file = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let pool = sqlx::SqlitePool::connect_with(file)
                    .await
                    .expect("a database");
                sqlx::query(sql)
                    .bind(value)
                    .execute(&pool)
                    .await
                    .expect("it is executed");
            }
        }
    }

    /// What a metric without labels, or with just these, stands at; 0 when it is not there yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        Client::new(&self.url(), None)
            .metric(name)
            .await
            .expect("the app answers")
    }

    /// Waits until every part is up.
    pub(crate) async fn ready(&self) {
        wait_until(DEADLINE, "the app is ready", async || {
            self.app.health().down().is_empty()
        })
        .await;
    }

    /// Waits until both sides' tables have reached the log's head.
    pub(crate) async fn caught_up(&self) {
        let backends = self.app.backends();
        let head = backends.log.head().await.expect("the log is there");
        wait_until(DEADLINE, "the tables reach the log's head", async || {
            let places = [
                backends.sellers.checkpoint().await,
                backends.buyers.checkpoint().await,
            ];
            places
                .into_iter()
                .all(|checkpoint| checkpoint.is_ok_and(|checkpoint| checkpoint.position >= head))
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// A client with this key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(&self.url(), Some(key))
    }

    /// A socket that has been acknowledged with this key.
    pub(crate) async fn socket(&self, key: &str) -> Socket {
        Socket::open(&self.url(), key).await
    }

    /// Ends it and checks that it ends well.
    pub(crate) async fn stop(self) {
        self.app.stop().await.expect("the app ends well");
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
        webhooks: WebhookConfig {
            secrets_key: Some(SealKey::generate()),
            // Endpoints of tests are on this machine.
            egress: Egress {
                allow_http: true,
                allow_nets: vec!["127.0.0.0/8".parse().expect("a network")],
            },
            limits: Limits::default(),
        },
        log: "warn".to_owned(),
        log_json: false,
    }
}
