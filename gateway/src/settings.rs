//! Settings of an operator: every flag with its environment variable, its default and the reason for it.
//!
//! All faults are found here, at once, before anything starts. No other module reads the environment.

mod callers;
mod config;
mod connections;
mod execution;
mod graphql_http;
mod logging;
mod pools;
mod rates;
mod secret;
mod servers;
#[cfg(test)]
mod tests;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use live::ViewSettings;

use callers::CallerSettings;
pub use config::{Config, Demo, DocumentFiles, GraphqlHttp, Mode, Roles, WebhookConfig};
use connections::ConnectionSettings;
use execution::ExecutionSettings;
use graphql_http::GraphqlHttpSettings;
use logging::LoggingSettings;
use pools::PoolSettings;
pub use pools::PoolSizes;
use rates::RateSettings;
pub use secret::Secret;
pub use servers::ServerAccess;
use servers::ServerSettings;
use webhook::WebhookSettings;

/// Longest name of a market. It is part of NATS subjects and Redis channels.
const MAX_MARKET_NAME: usize = 64;

/// Days for which the feed keeps changes that webhooks have not been given: as long as their deliveries are kept.
const FEED_MAX_DAYS: u16 = 30;

/// Settings as given. [`Settings::check`] turns them into a [`Config`].
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address and port of the public API
    ///
    /// The default is a loopback address, so that nothing is reachable from other machines by accident.
    #[arg(
        long,
        env = "DEALWIRE_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT",
        global = true
    )]
    listen: String,

    /// Address and port of /health and /metrics (default: the same as --listen)
    ///
    /// A separate address keeps probes and metrics off the public network.
    #[arg(
        long,
        env = "DEALWIRE_ADMIN_LISTEN",
        value_name = "ADDRESS:PORT",
        global = true
    )]
    admin_listen: Option<String>,

    /// Directory of an embedded market: event log, databases and keys
    ///
    /// Created if it does not exist. One process at a time can use it. Not used in production mode.
    #[arg(
        long,
        env = "DEALWIRE_DATA_DIR",
        default_value = "data",
        value_name = "DIRECTORY",
        global = true
    )]
    data_dir: PathBuf,

    /// Roles of this process, separated by commas: gateway, seller, buyer, webhooks
    ///
    /// gateway serves the API, seller and buyer run the projections, webhooks calls webhooks. A subset requires
    /// production mode, because an embedded market lives in one process.
    #[arg(
        long,
        env = "DEALWIRE_ROLES",
        default_value = "gateway,seller,buyer,webhooks",
        value_name = "ROLES",
        global = true
    )]
    roles: String,

    /// Name of the market: 1 to 64 lower-case letters, digits, - and _
    ///
    /// It names the NATS stream (in capitals), its subjects, the Redis channel and the files of an embedded market, so
    /// several markets can share the same servers.
    #[arg(
        long,
        env = "DEALWIRE_MARKET",
        default_value = "market",
        value_name = "NAME",
        global = true
    )]
    market: String,

    /// Do not fill an empty embedded market with the demo
    #[arg(
        long,
        env = "DEALWIRE_NO_DEMO",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    no_demo: bool,

    /// Serve the demo market on addresses other than loopback; with `seed`, create it
    ///
    /// The API keys of the demo are public, so anyone who can reach the address can use them.
    #[arg(
        long,
        env = "DEALWIRE_DEMO",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    demo: bool,

    /// URLs of the NATS servers (2.9 or later, with JetStream), separated by commas: nats://host:4222
    ///
    /// The event log is stored there. Name several servers of a cluster, so that any of them may be down. A user and
    /// password, or a token, may stand in the URLs: nats://user:password@host. tls:// demands TLS. Production mode requires all
    /// four URLs; without any, the market is embedded.
    #[arg(
        long,
        env = "DEALWIRE_NATS_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    nats_url: Option<Secret>,

    /// URL of the Redis server (7 or later): redis://user:password@host:6379, or rediss:// for TLS
    ///
    /// It carries pushes to the gateways. Production mode requires all four URLs.
    #[arg(
        long,
        env = "DEALWIRE_REDIS_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    redis_url: Option<Secret>,

    /// URL of the seller side's PostgreSQL database (15 or later): postgres://user:password@host/seller
    ///
    /// Production mode requires all four URLs.
    #[arg(
        long,
        env = "DEALWIRE_SELLER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    seller_database_url: Option<Secret>,

    /// URL of the buyer side's PostgreSQL database (15 or later): postgres://user:password@host/buyer
    ///
    /// A different database from the seller side's. Production mode requires all four URLs.
    #[arg(
        long,
        env = "DEALWIRE_BUYER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    buyer_database_url: Option<Secret>,

    /// Seconds that open work may continue after SIGTERM before it is cut off, 0 to 65535
    ///
    /// Connections are closed over this time rather than at once, so that clients do not all reconnect together.
    #[arg(
        long,
        env = "DEALWIRE_DRAIN_SECONDS",
        default_value_t = 10,
        value_name = "SECONDS",
        global = true
    )]
    drain_seconds: u16,

    /// Seconds between pings on open websockets and event streams, 1 to 60
    ///
    /// Keep it below the idle timeout of every proxy on the way. A websocket client that leaves two pings unanswered is
    /// disconnected.
    #[arg(
        long,
        env = "DEALWIRE_PING_SECONDS",
        default_value_t = 12,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u16).range(1..=60),
        global = true
    )]
    ping_seconds: u16,

    /// Days for which a subscriber may be away and still resume, 1 to 3650
    ///
    /// Changes are kept in the buyer database for at least this long; more days take more disk space.
    #[arg(
        long,
        env = "DEALWIRE_FEED_DAYS",
        default_value_t = 7,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u16).range(1..=3650),
        global = true
    )]
    feed_days: u16,

    /// Days for which changes are kept at most while webhooks have not been given them, 1 to 3650 (default: 30, or
    /// --feed-days if that is more)
    ///
    /// Counts when no process with the role webhooks has run for longer than --feed-days. Changes that are dropped
    /// unread are reported as an error and in the metric webhook_fanout_missed. At least --feed-days.
    #[arg(
        long,
        env = "DEALWIRE_FEED_MAX_DAYS",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u16).range(1..=3650),
        global = true
    )]
    feed_max_days: Option<u16>,

    /// Read every page from the database instead of keeping the pages that buyers poll in memory
    ///
    /// Useful for comparison, and for a market whose gateways have no memory to spare. Answers are the same either way.
    #[arg(
        long,
        env = "DEALWIRE_NO_VIEWS",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    no_views: bool,

    /// Bytes of memory for pages that are kept exact from the feed, up to 68719476736 (64 GiB)
    ///
    /// A page of 20 deals takes about 40 kB, less if other pages show the same deals. The pages that were not read for
    /// the longest time are dropped first.
    #[arg(
        long,
        env = "DEALWIRE_VIEW_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(1..=64 << 30),
        global = true
    )]
    view_bytes: u64,

    #[command(flatten)]
    connections: ConnectionSettings,

    #[command(flatten)]
    callers: CallerSettings,

    #[command(flatten)]
    execution: ExecutionSettings,

    #[command(flatten)]
    graphql_http: GraphqlHttpSettings,

    #[command(flatten)]
    pools: PoolSettings,

    #[command(flatten)]
    rates: RateSettings,

    #[command(flatten)]
    servers: ServerSettings,

    #[command(flatten)]
    webhooks: WebhookSettings,

    #[command(flatten)]
    logging: LoggingSettings,
}

impl Settings {
    /// Checks the settings. `to_serve`: the process will serve, so settings that only a server needs are required too.
    ///
    /// # Errors
    /// Every fault, one sentence each.
    pub fn check(&self, to_serve: bool) -> Result<Config, Vec<String>> {
        let mut faults = Vec::new();
        let listen = check_address("--listen", &self.listen, &mut faults);
        let admin_listen = self.check_admin_listen(&mut faults);
        let roles = self.check_roles(&mut faults);
        let market = self.check_market(&mut faults);
        let mode = self.check_mode(&mut faults);
        let demo = self.check_demo(&mut faults);
        let connections = self.connections.check(&mut faults);
        let (browser, jwt) = self.callers.check(listen.ip().is_loopback(), &mut faults);
        let webhooks = self.webhooks.check(&mut faults);
        let feed_max_days = self.check_feed_max_days(&mut faults);
        let servers = self.servers.check(&mut faults);
        let documents = self.graphql_http.documents(&mut faults);

        self.check_roles_of_mode(roles, &mode, &mut faults);
        if to_serve {
            self.check_secrets_key_given(roles, &mode, &mut faults);
        }
        if !faults.is_empty() {
            return Err(faults);
        }

        Ok(Config {
            listen,
            admin_listen,
            roles,
            market,
            mode,
            demo,
            drain: Duration::from_secs(self.drain_seconds.into()),
            ping: Duration::from_secs(self.ping_seconds.into()),
            feed: Duration::from_hours(24 * u64::from(self.feed_days)),
            feed_unread: Duration::from_hours(24 * u64::from(feed_max_days)),
            connections,
            compression: self.connections.compression,
            graphql_http: self.graphql_http.http(),
            documents,
            browser,
            jwt,
            pools: self.pools.sizes(),
            servers,
            execution: self.execution.limits(),
            operations: self.execution.operations(),
            rates: self.rates.limits(),
            field_usage: self.rates.field_usage,
            views: ViewSettings {
                enabled: !self.no_views,
                bytes: self.view_bytes,
                ..ViewSettings::default()
            },
            webhooks,
            log: self.logging.log.clone(),
            log_json: self.logging.log_json,
        })
    }

    fn check_feed_max_days(&self, faults: &mut Vec<String>) -> u16 {
        let least = self.feed_days;
        let days = self.feed_max_days.unwrap_or(FEED_MAX_DAYS.max(least));

        if days < least {
            faults.push(format!(
                "--feed-max-days must be at least --feed-days, which is {least}, not {days}"
            ));
        }
        days
    }

    fn check_admin_listen(&self, faults: &mut Vec<String>) -> Option<SocketAddr> {
        // Templates of deployments set unused variables to an empty text, so that counts as absent.
        let given = self.admin_listen.as_deref().filter(|text| !text.is_empty());

        given.map(|text| check_address("--admin-listen", text, faults))
    }

    fn check_roles(&self, faults: &mut Vec<String>) -> Roles {
        let mut roles = Roles::default();
        for role in self.roles.split(',').map(str::trim) {
            match role {
                "gateway" => roles.gateway = true,
                "seller" => roles.seller = true,
                "buyer" => roles.buyer = true,
                "webhooks" => roles.webhooks = true,
                unknown => faults.push(format!(
                    "--roles contains the unknown role {unknown:?}; \
                     the roles are gateway, seller, buyer and webhooks"
                )),
            }
        }
        roles
    }

    fn check_market(&self, faults: &mut Vec<String>) -> String {
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let length = 1..=MAX_MARKET_NAME;

        if !length.contains(&self.market.len()) || !self.market.chars().all(is_allowed) {
            faults.push(format!(
                "--market must be 1 to {MAX_MARKET_NAME} lower-case letters, digits, - and _, \
                 but is {:?}",
                self.market
            ));
        }
        self.market.clone()
    }

    fn check_mode(&self, faults: &mut Vec<String>) -> Mode {
        let given = |url: &Option<Secret>| url.clone().filter(|url| !url.is_empty());
        let nats = given(&self.nats_url);
        let redis = given(&self.redis_url);
        let seller_database = given(&self.seller_database_url);
        let buyer_database = given(&self.buyer_database_url);

        let missing: Vec<&str> = [
            ("DEALWIRE_NATS_URL", &nats),
            ("DEALWIRE_REDIS_URL", &redis),
            ("DEALWIRE_SELLER_DATABASE_URL", &seller_database),
            ("DEALWIRE_BUYER_DATABASE_URL", &buyer_database),
        ]
        .into_iter()
        .filter_map(|(name, url)| url.is_none().then_some(name))
        .collect();

        match (nats, redis, seller_database, buyer_database) {
            (Some(nats), Some(redis), Some(seller_database), Some(buyer_database)) => {
                // Both sides have tables of the same names, and would migrate and write each
                // other's.
                if seller_database == buyer_database {
                    faults.push(
                        "DEALWIRE_SELLER_DATABASE_URL and DEALWIRE_BUYER_DATABASE_URL must name two \
                         different databases"
                            .to_owned(),
                    );
                }
                return Mode::Production {
                    nats,
                    redis,
                    seller_database,
                    buyer_database,
                };
            }
            (None, None, None, None) => {}
            // Some but not all: falling back to embedded mode would hide a misspelt variable and split the market.
            _ => faults.push(format!(
                "production mode needs all four URLs; also set {}, or none for embedded mode",
                missing.join(", ")
            )),
        }
        Mode::Embedded {
            data_dir: self.data_dir.clone(),
        }
    }

    fn check_demo(&self, faults: &mut Vec<String>) -> Demo {
        match (self.demo, self.no_demo) {
            (true, true) => {
                faults.push(
                    "--demo and --no-demo exclude each other; set one of them at most".to_owned(),
                );
                // Any value does: with a fault reported, no configuration is made of it.
                Demo::Never
            }
            (true, false) => Demo::Anywhere,
            (false, true) => Demo::Never,
            (false, false) => Demo::Loopback,
        }
    }

    fn check_roles_of_mode(&self, roles: Roles, mode: &Mode, faults: &mut Vec<String>) {
        // A process with the other roles could not be started beside this one, which locks the
        // directory.
        if matches!(mode, Mode::Embedded { .. }) && roles != Roles::ALL {
            faults.push(format!(
                "--roles {} requires production mode; set all four URLs, or leave --roles out",
                self.roles
            ));
        }
    }

    fn check_secrets_key_given(&self, roles: Roles, mode: &Mode, faults: &mut Vec<String>) {
        let needs_key = roles.gateway || roles.webhooks;

        if matches!(mode, Mode::Production { .. }) && needs_key && !self.webhooks.has_secrets_key()
        {
            faults.push(
                "DEALWIRE_WEBHOOK_SECRETS_KEY is required by the roles gateway and webhooks in production \
                 mode; generate a key with: openssl rand -base64 32"
                    .to_owned(),
            );
        }
    }
}

/// Parses an address. Returns a placeholder when it is invalid, so that the checks can go on to the next fault.
fn check_address(flag: &str, text: &str, faults: &mut Vec<String>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        faults.push(format!(
            "{flag} must be an IP address and a port such as 127.0.0.1:8080, but is {text:?}"
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}
