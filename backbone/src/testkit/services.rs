//! The three servers that a test needs, shared by a whole test run if it has prepared them, and a
//! market of its own on them. Tests do not affect each other: every market has its own name, and so
//! its own stream and channel, and two new databases.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::nats::{self, NatsServer};
use super::port::random;
use super::postgres::{PostgresServer, binaries, create_database, drop_database};
use super::redis::RedisServer;
use super::server::{environment, find, require_servers_allowed};

const NATS: &str = "DEALWIRE_TEST_NATS_URL";
const REDIS: &str = "DEALWIRE_TEST_REDIS_URL";
const POSTGRES: &str = "DEALWIRE_TEST_POSTGRES_URL";

/// One NATS, one Redis and one PostgreSQL.
#[derive(Debug)]
pub struct Services {
    /// `nats://…`
    pub nats_url: String,
    /// `redis://…`
    pub redis_url: String,
    /// URL `postgres://…` of a user that may create databases.
    pub postgres_admin_url: String,
    private: Option<(NatsServer, RedisServer, PostgresServer)>,
}

impl Services {
    /// Uses the servers in `DEALWIRE_TEST_NATS_URL`, `DEALWIRE_TEST_REDIS_URL` and
    /// `DEALWIRE_TEST_POSTGRES_URL` if all three are set, and otherwise starts private ones that live as
    /// long as this value. A test that breaks servers starts its own instead.
    ///
    /// # Panics
    /// If only some of the three are set, a server does not start, or the run is one without servers.
    pub async fn shared_or_private() -> Self {
        require_servers_allowed();
        match [NATS, REDIS, POSTGRES].map(environment) {
            // All or none: a mixture would hide a mistake in the environment.
            [Some(nats_url), Some(redis_url), Some(postgres_admin_url)] => Self {
                nats_url,
                redis_url,
                postgres_admin_url,
                private: None,
            },
            [None, None, None] => Self::private().await,
            _ => panic!("{NATS}, {REDIS} and {POSTGRES} must all be set, or none of them"),
        }
    }

    /// Starts private servers that live as long as this value.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn private() -> Self {
        // Together, since PostgreSQL takes most of the time.
        Self::of(tokio::join!(
            NatsServer::start(),
            RedisServer::start(),
            PostgresServer::start()
        ))
    }

    /// Starts private servers with a PostgreSQL that syncs what it commits, for measurements and
    /// for tests that kill it repeatedly.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn durable() -> Self {
        Self::of(tokio::join!(
            NatsServer::start(),
            RedisServer::start(),
            PostgresServer::durable()
        ))
    }

    fn of((nats, redis, postgres): (NatsServer, RedisServer, PostgresServer)) -> Self {
        Self {
            nats_url: nats.url(),
            redis_url: redis.url(),
            postgres_admin_url: postgres.url(),
            private: Some((nats, redis, postgres)),
        }
    }

    /// Returns the private NATS server, for a test that breaks it.
    ///
    /// # Panics
    /// If the servers are shared, since other tests use them too.
    pub fn nats(&self) -> &NatsServer {
        &self.own().0
    }

    /// Returns the private Redis server, as [`Self::nats`] does.
    pub fn redis(&self) -> &RedisServer {
        &self.own().1
    }

    /// Returns the private PostgreSQL server, as [`Self::nats`] does.
    pub fn postgres(&self) -> &PostgresServer {
        &self.own().2
    }

    fn own(&self) -> &(NatsServer, RedisServer, PostgresServer) {
        self.private
            .as_ref()
            .expect("a test that breaks servers must start its own with Services::private()")
    }

    /// Returns the variables by which [`Self::shared_or_private`] finds these servers.
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [
            (NATS, &self.nats_url),
            (REDIS, &self.redis_url),
            (POSTGRES, &self.postgres_admin_url),
        ]
    }

    /// Creates a market that no other test uses, with two empty databases.
    ///
    /// # Panics
    /// If a database cannot be created.
    pub async fn market(&self) -> Market {
        self.market_named(&format!("t{:016x}", random())).await
    }

    /// Creates a market with a given name of lower-case letters and digits.
    ///
    /// # Panics
    /// If a database cannot be created, for example because it exists.
    pub async fn market_named(&self, market: &str) -> Market {
        let seller = format!("{market}_seller");
        let buyer = format!("{market}_buyer");
        let (seller_database_url, buyer_database_url) = tokio::join!(
            create_database(&self.postgres_admin_url, &seller),
            create_database(&self.postgres_admin_url, &buyer)
        );
        Market {
            market: market.to_owned(),
            nats_url: self.nats_url.clone(),
            redis_url: self.redis_url.clone(),
            seller_database_url,
            buyer_database_url,
        }
    }

    /// Drops a market's databases and ends sessions that are connected to them. Tests that create
    /// few need not call this, since the databases end with the server.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn drop_market(&self, market: &Market) {
        drop_database(&self.postgres_admin_url, &market.seller_database_url).await;
        drop_database(&self.postgres_admin_url, &market.buyer_database_url).await;
    }
}

/// Key with which the markets of tests encrypt webhook secrets: 32 bytes in base64, the same for
/// every process of a market.
const SECRETS_KEY: &str = "dGhlIHNhbWUgMzIgYnl0ZXMgZm9yIGFsbCBvZiB1cyE=";

/// Settings of a production-mode instance that depend on its market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Name of the market: lower-case letters and digits.
    pub market: String,
    /// `nats://…`
    pub nats_url: String,
    /// `redis://…`
    pub redis_url: String,
    /// URL `postgres://…` of the seller database.
    pub seller_database_url: String,
    /// URL `postgres://…` of the buyer database.
    pub buyer_database_url: String,
}

impl Market {
    /// Returns the variables that configure `dealwire serve` for this market.
    pub fn environment(&self) -> [(&'static str, &str); 6] {
        [
            ("DEALWIRE_MARKET", &self.market),
            ("DEALWIRE_WEBHOOK_SECRETS_KEY", SECRETS_KEY),
            ("DEALWIRE_NATS_URL", &self.nats_url),
            ("DEALWIRE_REDIS_URL", &self.redis_url),
            ("DEALWIRE_SELLER_DATABASE_URL", &self.seller_database_url),
            ("DEALWIRE_BUYER_DATABASE_URL", &self.buyer_database_url),
        ]
    }
}

/// Versions of the servers that the kit starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Version of nats-server, such as `2.9.10`.
    pub nats: String,
    /// Version of Redis, such as `7.0.15`.
    pub redis: String,
    /// Version of PostgreSQL, such as `15.19`.
    pub postgres: String,
}

impl Versions {
    /// Reads the versions from the installed programs.
    ///
    /// # Panics
    /// If a program is missing or prints no version.
    pub fn installed() -> Self {
        Self {
            nats: version(&nats::program()),
            redis: version(&find("redis-server", vec![])),
            postgres: version(&find("postgres", binaries())),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nats-server {}, redis {}, PostgreSQL {}",
            self.nats, self.redis, self.postgres
        )
    }
}

/// Returns the first word of the output that looks like a version: `nats-server: v2.9.10`, `Redis
/// server v=7.0.15 …`, `postgres … 15.19 …`.
pub(super) fn version(program: &Path) -> String {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .expect("a program that was found can be run");

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text
        .split_whitespace()
        .map(|word| word.trim_start_matches(['v', '=']));

    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    version
        .unwrap_or_else(|| panic!("{} prints no version: {text}", program.display()))
        .to_owned()
}
