//! The server to measure: options that every scenario shares.

use clap::Args;
use url::Url;

/// Server to measure, and the keys and stores that the measurement needs.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// URL of the gateway
    #[arg(long, default_value = "http://127.0.0.1:8080", global = true)]
    pub(crate) url: Url,
    /// API key of the seller that creates and updates deals
    #[arg(long, default_value = "some-secret-api-key", global = true)]
    pub(crate) seller_key: String,
    /// API key of a buyer with access to that seller
    #[arg(
        long,
        default_value = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc",
        global = true
    )]
    pub(crate) buyer_key: String,
    /// API key of an administrator, used to create the accounts that a scenario needs beyond that
    /// seller and buyer. A gateway accepts at most 1,000 connections per key, so larger scenarios
    /// need more buyers
    #[arg(
        long,
        env = "DEALWIRE_ADMIN_KEY",
        hide_env_values = true,
        global = true
    )]
    pub(crate) admin_key: Option<String>,
    /// URL of the metrics [default: /metrics of the gateway]
    #[arg(long, global = true)]
    pub(crate) metrics: Option<Url>,
    /// URL of the NATS server for the limit of `mutate`, which creates a stream of its own there;
    /// without it that limit is not measured
    #[arg(long, env = "DEALWIRE_NATS_URL", global = true)]
    pub(crate) nats: Option<String>,
    /// URL of the PostgreSQL database for the limit of `query`, which creates a table of its own
    /// there; without it that limit is not measured
    #[arg(long, env = "DEALWIRE_BUYER_DATABASE_URL", global = true)]
    pub(crate) database: Option<String>,
    /// Number of runs, alternated with as many runs of the limit; medians and their spread are
    /// reported
    #[arg(long, default_value_t = 1, global = true)]
    pub(crate) compare: u32,
}
