//! What an operator can set: every flag with its environment variable, its default and the reason for it.
//!
//! Faults are found here, all at once, before anything starts. Nothing else reads the environment.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

/// The settings as given. [`Settings::check`] makes a [`Config`] of them.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address of the public API. Loopback unless told otherwise: nothing is open by accident
    #[arg(
        long,
        env = "DEALWIRE_LISTEN",
        default_value = "127.0.0.1:8080",
        global = true
    )]
    listen: String,
    /// Address of /health and /metrics apart from the public API; without it they are on --listen
    #[arg(long, env = "DEALWIRE_ADMIN_LISTEN", global = true)]
    admin_listen: Option<String>,
    /// Folder of the embedded market (event log, databases, keys). Unused in production
    #[arg(long, env = "DEALWIRE_DATA_DIR", default_value = "data", global = true)]
    data_dir: PathBuf,
    /// What this process does: gateway, seller, buyer, webhooks. All by default; some of them need production backends
    #[arg(
        long,
        env = "DEALWIRE_ROLES",
        default_value = "gateway,seller,buyer,webhooks",
        global = true
    )]
    roles: String,
    /// Name of the market: of its stream (in capitals), its subjects and its live-bus channel
    #[arg(long, env = "DEALWIRE_MARKET", default_value = "market", global = true)]
    market: String,
    /// Do not fill an empty embedded market with the demo
    #[arg(long, env = "DEALWIRE_NO_DEMO", value_parser = FalseyValueParser::new(), global = true)]
    no_demo: bool,
    /// Serve the demo market, whose keys are public, on an address other than loopback; with `seed`: make it
    #[arg(long, env = "DEALWIRE_DEMO", value_parser = FalseyValueParser::new(), global = true)]
    demo: bool,
    /// NATS server (2.9 or newer) with JetStream: nats://host:4222
    #[arg(long, env = "DEALWIRE_NATS_URL", hide_env_values = true, global = true)]
    nats_url: Option<Secret>,
    /// Redis (7 or newer): redis://host:6379
    #[arg(
        long,
        env = "DEALWIRE_REDIS_URL",
        hide_env_values = true,
        global = true
    )]
    redis_url: Option<Secret>,
    /// PostgreSQL (15 or newer) of the seller side: postgres://user:password@host/seller
    #[arg(
        long,
        env = "DEALWIRE_SELLER_DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    seller_database_url: Option<Secret>,
    /// PostgreSQL (15 or newer) of the buyer side: postgres://user:password@host/buyer
    #[arg(
        long,
        env = "DEALWIRE_BUYER_DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    buyer_database_url: Option<Secret>,
    /// How long work in hand may go on after SIGTERM, in seconds, before it is cut off
    #[arg(
        long,
        env = "DEALWIRE_DRAIN_SECONDS",
        default_value_t = 10,
        global = true
    )]
    drain_seconds: u16,
    /// Seconds between pings on an open socket and signs of life on an event stream, 1 to 60: below what proxies on the
    /// way cut quiet connections after. Who answers two pings with nothing is gone
    #[arg(long, env = "DEALWIRE_PING_SECONDS", default_value_t = 12, global = true,
          value_parser = clap::value_parser!(u16).range(1..=60))]
    ping_seconds: u16,
    /// How many days a subscriber may be away and still resume, 1 to 3650: changes are kept at least this long
    #[arg(long, env = "DEALWIRE_FEED_DAYS", default_value_t = 7, global = true,
          value_parser = clap::value_parser!(u16).range(1..=3650))]
    feed_days: u16,
    #[command(flatten)]
    webhooks: WebhookSettings,
    /// What is logged, as tracing filters: info, or dealwire=debug,warn
    #[arg(long, env = "DEALWIRE_LOG", default_value = "info", global = true)]
    log: String,
    /// Log as JSON, a line an event
    #[arg(long, env = "DEALWIRE_LOG_JSON", value_parser = FalseyValueParser::new(), global = true)]
    log_json: bool,
}

/// How webhooks are called.
#[derive(Args, Clone, Debug)]
struct WebhookSettings {
    /// Key that webhook secrets are encrypted with at rest: 32 bytes in base64, such as openssl rand -base64 32 gives.
    /// Needed in production by the roles gateway and webhooks, the same for all; embedded mode makes one in the data
    /// directory
    #[arg(
        long = "webhook-secrets-key",
        env = "DEALWIRE_WEBHOOK_SECRETS_KEY",
        hide_env_values = true,
        global = true
    )]
    secrets_key: Option<Secret>,
    /// Take webhooks of http:// too: their calls can be read on the way. For development
    #[arg(long = "webhook-allow-http", env = "DEALWIRE_WEBHOOK_ALLOW_HTTP", value_parser = FalseyValueParser::new(), global = true)]
    allow_http: bool,
    /// Networks that webhooks may be in although they are not public, such as 127.0.0.0/8; several with commas
    #[arg(
        long = "webhook-allow-net",
        env = "DEALWIRE_WEBHOOK_ALLOW_NET",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true
    )]
    allow_nets: Vec<String>,
    /// Calls under way at a time to one endpoint, from one process: more are faster, and more for the endpoint to bear
    #[arg(long = "webhook-concurrency", env = "DEALWIRE_WEBHOOK_CONCURRENCY", default_value_t = 8, global = true,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// Calls a second to one endpoint, from one process; without it as many as it takes
    #[arg(long = "webhook-rate", env = "DEALWIRE_WEBHOOK_RATE", global = true)]
    rate: Option<NonZeroU32>,
    /// Calls under way at a time in all, from one process: each is a connection
    #[arg(long = "webhook-calls", env = "DEALWIRE_WEBHOOK_CALLS", default_value_t = 256, global = true,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    calls: u16,
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(value.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Settings that make sense together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the public API.
    pub listen: SocketAddr,
    /// Address of probes and metrics, if apart.
    pub admin_listen: Option<SocketAddr>,
    /// What this process does.
    pub roles: Roles,
    /// Lower-case letters, digits, `-` and `_`.
    pub market: String,
    /// Where everything is kept.
    pub mode: Mode,
    /// What of the demo is wanted.
    pub demo: Demo,
    /// From SIGTERM until what still runs is cut off.
    pub drain: Duration,
    /// How often something is said on a quiet connection.
    pub ping: Duration,
    /// How long changes are kept for subscribers that are away.
    pub feed: Duration,
    /// How webhooks are called.
    pub webhooks: WebhookConfig,
    /// Tracing filters.
    pub log: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
}

impl Config {
    /// Whether keys that everybody knows may open anything here.
    pub fn shows_public_keys(&self) -> bool {
        self.demo == Demo::Anywhere || self.listen.ip().is_loopback()
    }
}

/// How webhooks are called.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// What secrets are encrypted with; none where nobody needs it, or where the data directory has it.
    pub secrets_key: Option<SealKey>,
    /// Where calls may go.
    pub egress: Egress,
    /// How many at a time.
    pub limits: Limits,
}

/// Where everything is kept.
#[derive(Clone, Debug)]
pub enum Mode {
    /// In one process on SQLite and in-process channels.
    Embedded {
        /// Locked while a process uses it.
        data_dir: PathBuf,
    },
    /// On NATS JetStream, Redis and PostgreSQL.
    Production {
        /// JetStream.
        nats: Secret,
        /// Pub/sub.
        redis: Secret,
        /// Seller side.
        seller_database: Secret,
        /// Buyer side.
        buyer_database: Secret,
    },
}

/// What this process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Public API, queries, pushes.
    pub gateway: bool,
    /// Seller projection.
    pub seller: bool,
    /// Buyer projection.
    pub buyer: bool,
    /// Calls to webhooks.
    pub webhooks: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self {
        gateway: true,
        seller: true,
        buyer: true,
        webhooks: true,
    };
}

/// What of the demo market is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    /// Fill an empty embedded market; refuse to serve it beyond loopback.
    Loopback,
    /// Fill an empty embedded market and serve it anywhere.
    Anywhere,
    /// Do not fill.
    Never,
}

impl Settings {
    /// Makes sense of the settings. `to_serve`: what only a server needs must be there too.
    ///
    /// # Errors
    /// Every fault, a sentence each.
    pub fn check(&self, to_serve: bool) -> Result<Config, Vec<String>> {
        let mut faults = Vec::new();
        let listen = address("--listen", &self.listen, &mut faults);
        let admin = self.admin_listen.as_deref().filter(|text| !text.is_empty());
        let admin_listen = admin.map(|text| address("--admin-listen", text, &mut faults));
        let roles = self.check_roles(&mut faults);
        let market_char =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.market.is_empty() || self.market.len() > 64 || !self.market.chars().all(market_char)
        {
            faults.push("--market is 1 to 64 lower-case letters, digits, - and _".to_owned());
        }
        let mode = self.check_mode(&mut faults);
        if matches!(mode, Mode::Embedded { .. }) && roles != Roles::ALL {
            faults.push(
                "--roles other than all need production backends: set all four URLs".to_owned(),
            );
        }
        if self.demo && self.no_demo {
            faults.push("--demo and --no-demo exclude each other".to_owned());
        }
        let webhooks = self.webhooks.check(&mut faults);
        let seals =
            to_serve && (roles.gateway || roles.webhooks) && self.webhooks.secrets_key().is_none();
        if seals && matches!(mode, Mode::Production { .. }) {
            faults.push(
                "the roles gateway and webhooks need DEALWIRE_WEBHOOK_SECRETS_KEY in production"
                    .to_owned(),
            );
        }
        let demo = match (self.demo, self.no_demo) {
            (true, _) => Demo::Anywhere,
            (_, true) => Demo::Never,
            _ => Demo::Loopback,
        };
        let config = Config {
            listen,
            admin_listen,
            roles,
            market: self.market.clone(),
            mode,
            demo,
            drain: Duration::from_secs(self.drain_seconds.into()),
            ping: Duration::from_secs(self.ping_seconds.into()),
            feed: Duration::from_hours(24 * u64::from(self.feed_days)),
            webhooks,
            log: self.log.clone(),
            log_json: self.log_json,
        };
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    fn check_roles(&self, faults: &mut Vec<String>) -> Roles {
        let mut roles = Roles::default();
        for role in self.roles.split(',').map(str::trim) {
            match role {
                "gateway" => roles.gateway = true,
                "seller" => roles.seller = true,
                "buyer" => roles.buyer = true,
                "webhooks" => roles.webhooks = true,
                other => faults.push(format!(
                    "--roles: there is no role {other:?}; roles are gateway, seller, buyer, webhooks"
                )),
            }
        }
        roles
    }

    fn check_mode(&self, faults: &mut Vec<String>) -> Mode {
        let given = |url: &Option<Secret>| url.clone().filter(|url| !url.reveal().is_empty());
        let urls = [
            ("DEALWIRE_NATS_URL", given(&self.nats_url)),
            ("DEALWIRE_REDIS_URL", given(&self.redis_url)),
            (
                "DEALWIRE_SELLER_DATABASE_URL",
                given(&self.seller_database_url),
            ),
            (
                "DEALWIRE_BUYER_DATABASE_URL",
                given(&self.buyer_database_url),
            ),
        ];
        let missing: Vec<&str> = urls
            .iter()
            .filter(|(_, url)| url.is_none())
            .map(|(name, _)| *name)
            .collect();
        let data_dir = self.data_dir.clone();
        match urls.map(|(_, url)| url) {
            [
                Some(nats),
                Some(redis),
                Some(seller_database),
                Some(buyer_database),
            ] => {
                if seller_database == buyer_database {
                    faults
                        .push("the seller and the buyer database must be two databases".to_owned());
                }
                Mode::Production {
                    nats,
                    redis,
                    seller_database,
                    buyer_database,
                }
            }
            [None, None, None, None] => Mode::Embedded { data_dir },
            _ => {
                faults.push(format!(
                    "production mode needs all four URLs; missing: {}",
                    missing.join(", ")
                ));
                Mode::Embedded { data_dir }
            }
        }
    }
}

impl WebhookSettings {
    fn secrets_key(&self) -> Option<&Secret> {
        self.secrets_key
            .as_ref()
            .filter(|key| !key.reveal().is_empty())
    }

    fn check(&self, faults: &mut Vec<String>) -> WebhookConfig {
        let secrets_key = self.secrets_key().and_then(|key| {
            let key = SealKey::parse(key.reveal());
            key.map_err(|why| faults.push(format!("DEALWIRE_WEBHOOK_SECRETS_KEY {why}")))
                .ok()
        });
        let mut allow_nets = Vec::new();
        for net in self.allow_nets.iter().filter(|net| !net.is_empty()) {
            match net.parse() {
                Ok(net) => allow_nets.push(net),
                Err(_) => faults.push(format!(
                    "--webhook-allow-net: {net:?} is no network, such as 10.0.0.0/8"
                )),
            }
        }
        WebhookConfig {
            secrets_key,
            egress: Egress {
                allow_http: self.allow_http,
                allow_nets,
            },
            limits: Limits {
                in_flight: self.calls.into(),
                per_endpoint: self.concurrency,
                rate: self.rate,
            },
        }
    }
}

fn address(flag: &str, text: &str, faults: &mut Vec<String>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        faults.push(format!(
            "{flag}: {text:?} is no address and port, such as 127.0.0.1:8080"
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn check(line: &str) -> Result<Config, Vec<String>> {
        let words = std::iter::once("dealwire").chain(line.split_whitespace());
        Line::try_parse_from(words)
            .expect("the flags exist")
            .settings
            .check(true)
    }

    #[test]
    fn nothing_set_is_the_embedded_demo_on_loopback() {
        let config = check("").expect("defaults make sense");
        assert!(matches!(config.mode, Mode::Embedded { .. }));
        assert_eq!(config.roles, Roles::ALL);
        assert_eq!(config.demo, Demo::Loopback);
        assert!(config.listen.ip().is_loopback());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = check(
            "--listen nowhere --market Big! --roles gateway,chef --nats-url nats://n --demo --no-demo \
                   --webhook-secrets-key short --webhook-allow-net 10.0.0.0/8,home",
        );
        let faults = faults.expect_err("seven faults").join("\n");
        for told in [
            "--listen",
            "--market",
            "no role \"chef\"",
            "missing: DEALWIRE_REDIS_URL, DEALWIRE_SELLER_DATABASE_URL, DEALWIRE_BUYER_DATABASE_URL",
            "exclude each other",
            "DEALWIRE_WEBHOOK_SECRETS_KEY is not 32 bytes",
            "\"home\" is no network",
        ] {
            assert!(faults.contains(told), "{told} is not in {faults}");
        }
    }

    #[test]
    fn production_needs_the_key_to_webhook_secrets_where_it_is_used() {
        let stores = "--nats-url nats://n --redis-url redis://r --seller-database-url postgres://p/s \
                      --buyer-database-url postgres://p/b";
        let faults = check(stores).expect_err("there is no key");
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("DEALWIRE_WEBHOOK_SECRETS_KEY")),
            "{faults:?}"
        );
        check(&format!("{stores} --roles seller,buyer")).expect("projections need none");
    }

    #[test]
    fn secrets_are_not_printed() {
        let line = "--nats-url nats://u:hush@n --redis-url redis://:hush@r --seller-database-url postgres://u:hush@p/s \
                    --buyer-database-url postgres://u:hush@p/b --roles gateway \
                    --webhook-secrets-key aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g=";
        let config = check(line).expect("production");
        let printed = format!("{config:?}");
        assert!(
            !printed.contains("hush")
                && !printed.contains("aHVza")
                && !printed.contains("104, 117")
        );
    }
}
