//! Settings of the database connections.

use clap::Args;
use clap::value_parser;

/// Most connections to each PostgreSQL database, by purpose. Each is at least 1.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// Connections of requests, projections and webhooks.
    pub requests: u32,
    /// Connections of the look-up and the check of API keys.
    pub keys: u32,
    /// Connections of the feed and of access.
    pub feed: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self {
            requests: 12,
            keys: 3,
            feed: 6,
        }
    }
}

/// Flags of the database connections, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct PoolSettings {
    /// Most connections to each database for requests, projections and webhooks
    ///
    /// SQLite needs no setting: it has four readers and one writer for each purpose.
    #[arg(
        long,
        env = "DEALWIRE_REQUEST_CONNECTIONS",
        default_value_t = PoolSizes::default().requests,
        value_name = "COUNT",
        value_parser = value_parser!(u32).range(1..=1_000),
        global = true
    )]
    request_connections: u32,

    /// Most connections to each database for the check of API keys
    #[arg(
        long,
        env = "DEALWIRE_KEY_CONNECTIONS",
        default_value_t = PoolSizes::default().keys,
        value_name = "COUNT",
        value_parser = value_parser!(u32).range(1..=1_000),
        global = true
    )]
    key_connections: u32,

    /// Most connections to the buyer database for the feed and for access
    #[arg(
        long,
        env = "DEALWIRE_FEED_CONNECTIONS",
        default_value_t = PoolSizes::default().feed,
        value_name = "COUNT",
        value_parser = value_parser!(u32).range(2..=1_000),
        global = true
    )]
    feed_connections: u32,
}

impl PoolSettings {
    /// Returns the sizes. Every value that the flags accept makes sense.
    pub(super) fn sizes(&self) -> PoolSizes {
        PoolSizes {
            requests: self.request_connections,
            keys: self.key_connections,
            feed: self.feed_connections,
        }
    }
}
