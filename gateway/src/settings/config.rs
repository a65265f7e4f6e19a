//! Checked configuration: the settings after all of them turned out to make sense together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use listener::Settings as ListenerSettings;
use live::ViewSettings;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

use super::pools::PoolSizes;
use super::secret::Secret;
use super::servers::ServerAccess;
use crate::admission::OperationLimits;
use crate::graphql::{ExecutionLimits, PersistedRules};

/// Settings that make sense together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the public API.
    pub listen: SocketAddr,
    /// Address of the probes and metrics; `None` if they share the public address.
    pub admin_listen: Option<SocketAddr>,
    /// Roles of this process.
    pub roles: Roles,
    /// Name of the market: 1 to 64 lower-case letters, digits, `-` and `_`.
    pub market: String,
    /// Backends that the market is kept on.
    pub mode: Mode,
    /// Handling of the demo market.
    pub demo: Demo,
    /// Time from SIGTERM until open work is cut off.
    pub drain: Duration,
    /// Time between two pings on an open connection.
    pub ping: Duration,
    /// Time for which changes are kept for subscribers that are away.
    pub feed: Duration,
    /// Time for which the feed keeps changes that the fan-out of webhooks has not read.
    pub feed_unread: Duration,
    /// Rules for the connections that the public address accepts.
    pub connections: ListenerSettings,
    /// True if results on websockets are compressed for clients that offer it.
    pub compression: bool,
    /// Settings of GraphQL over HTTP.
    pub graphql_http: GraphqlHttp,
    /// Documents that requests may name instead of sending them.
    pub documents: DocumentFiles,
    /// Most connections to the databases.
    pub pools: PoolSizes,
    /// Credentials and certificates for servers that their URLs do not hold.
    pub servers: ServerAccess,
    /// Numbers of operations that may be under way.
    pub operations: OperationLimits,
    /// Limits of what one request may ask for.
    pub execution: ExecutionLimits,
    /// Bounds of the pages that a gateway keeps exact in memory.
    pub views: ViewSettings,
    /// Rules for calls to webhooks.
    pub webhooks: WebhookConfig,
    /// Filters of the log, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// True if log lines are JSON.
    pub log_json: bool,
}

impl Config {
    /// Returns whether the demo's public API keys may be accepted: on a loopback address, or if it was asked for.
    pub fn allows_public_keys(&self) -> bool {
        self.demo == Demo::Anywhere || self.listen.ip().is_loopback()
    }
}

/// Settings of GraphQL over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct GraphqlHttp {
    /// True if the status codes are those that the specification asks for since April 2026.
    pub status_codes_2026: bool,
    /// True if responses are compressed for clients that accept it.
    pub compression: bool,
}

impl Default for GraphqlHttp {
    fn default() -> Self {
        Self {
            status_codes_2026: false,
            compression: true,
        }
    }
}

/// Documents that requests may name instead of sending them.
#[derive(Clone, Debug, Default)]
pub struct DocumentFiles {
    /// Files of trusted documents.
    pub trusted: Vec<PathBuf>,
    /// Rules for these and others.
    pub rules: PersistedRules,
}

/// Rules for calls to webhooks.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Key that webhook secrets are encrypted with. `None` in a process that does not need one, and in embedded mode,
    /// where the data directory holds it.
    pub secrets_key: Option<SealKey>,
    /// Addresses that calls may go to.
    pub egress: Egress,
    /// Limits of concurrency and rate.
    pub limits: Limits,
}

/// Backends that a market is kept on.
#[derive(Clone, Debug)]
pub enum Mode {
    /// One process, on SQLite and in-process channels.
    Embedded {
        /// Directory of all files, locked while a process uses it.
        data_dir: PathBuf,
    },
    /// Servers: NATS JetStream, Redis and PostgreSQL.
    Production {
        /// URLs of the NATS servers that hold the event log, separated by commas.
        nats: Secret,
        /// URL of the Redis server that carries the live bus.
        redis: Secret,
        /// URL of the seller side's PostgreSQL database.
        seller_database: Secret,
        /// URL of the buyer side's PostgreSQL database.
        buyer_database: Secret,
    },
}

/// Roles of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Serves the public API: queries, mutations and pushes.
    pub gateway: bool,
    /// Runs the seller projection.
    pub seller: bool,
    /// Runs the buyer projection.
    pub buyer: bool,
    /// Calls webhooks.
    pub webhooks: bool,
}

impl Roles {
    /// All roles.
    pub const ALL: Self = Self {
        gateway: true,
        seller: true,
        buyer: true,
        webhooks: true,
    };
}

/// Handling of the demo market, whose API keys are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    /// Fills an empty embedded market; does not serve it beyond loopback addresses.
    Loopback,
    /// Fills an empty embedded market, and serves it on any address.
    Anywhere,
    /// Does not create the demo market.
    Never,
}
