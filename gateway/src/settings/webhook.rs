//! Settings of calls to webhooks.

use std::num::NonZeroU32;

use clap::Args;
use clap::builder::FalseyValueParser;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

use super::config::WebhookConfig;
use super::secret::Secret;

/// Flags of calls to webhooks, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct WebhookSettings {
    /// Key that encrypts webhook secrets at rest: 32 bytes in Base64
    ///
    /// Generate one with: openssl rand -base64 32. Required in production by the roles gateway and webhooks, and the
    /// same for all processes. Embedded mode creates one in the data directory. Prefer the environment variable:
    /// command lines are visible to other users of the machine.
    #[arg(
        long = "webhook-secrets-key",
        env = "DEALWIRE_WEBHOOK_SECRETS_KEY",
        hide_env_values = true,
        value_name = "BASE64",
        global = true
    )]
    secrets_key: Option<Secret>,

    /// Accept webhooks with http:// URLs as well as https://
    ///
    /// For development only: calls over http:// can be read and altered on the way.
    #[arg(
        long = "webhook-allow-http",
        env = "DEALWIRE_WEBHOOK_ALLOW_HTTP",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    allow_http: bool,

    /// Private networks that webhooks may be in, in CIDR notation, separated by commas
    ///
    /// For example 127.0.0.0/8,10.1.0.0/16. By default only public addresses are called, so that nobody can reach
    /// internal services by registering a webhook.
    #[arg(
        long = "webhook-allow-net",
        env = "DEALWIRE_WEBHOOK_ALLOW_NET",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true
    )]
    allow_nets: Vec<String>,

    /// Concurrent calls to one webhook from one process, 1 to 256
    ///
    /// Higher values deliver faster and put more load on the receiver.
    #[arg(
        long = "webhook-concurrency",
        env = "DEALWIRE_WEBHOOK_CONCURRENCY",
        default_value_t = 8,
        value_name = "CALLS",
        value_parser = clap::value_parser!(u32).range(1..=256),
        global = true
    )]
    concurrency: u32,

    /// Calls per second to one webhook from one process, at least 1 (default: unlimited)
    ///
    /// Set it to protect receivers that cannot slow a caller down by themselves.
    #[arg(
        long = "webhook-rate",
        env = "DEALWIRE_WEBHOOK_RATE",
        value_name = "CALLS_PER_SECOND",
        global = true
    )]
    rate: Option<NonZeroU32>,

    /// Concurrent calls to all webhooks from one process, 1 to 10000
    ///
    /// Each call holds a connection and a file descriptor.
    #[arg(
        long = "webhook-calls",
        env = "DEALWIRE_WEBHOOK_CALLS",
        default_value_t = 256,
        value_name = "CALLS",
        value_parser = clap::value_parser!(u16).range(1..=10_000),
        global = true
    )]
    calls: u16,
}

impl WebhookSettings {
    /// Returns whether a key for webhook secrets was given, valid or not.
    pub(super) fn has_secrets_key(&self) -> bool {
        self.given_secrets_key().is_some()
    }

    /// Checks the settings and adds what is wrong with them to `faults`.
    pub(super) fn check(&self, faults: &mut Vec<String>) -> WebhookConfig {
        WebhookConfig {
            secrets_key: self.check_secrets_key(faults),
            egress: self.check_egress(faults),
            limits: Limits {
                in_flight: self.calls.into(),
                per_endpoint: self.concurrency,
                rate: self.rate,
            },
        }
    }

    fn given_secrets_key(&self) -> Option<&Secret> {
        self.secrets_key.as_ref().filter(|key| !key.is_empty())
    }

    fn check_secrets_key(&self, faults: &mut Vec<String>) -> Option<SealKey> {
        let key = SealKey::parse(self.given_secrets_key()?.reveal()).ok();

        // The value is a secret, so the message does not repeat it.
        if key.is_none() {
            faults.push(
                "DEALWIRE_WEBHOOK_SECRETS_KEY must be 32 bytes in Base64; \
                 generate a key with: openssl rand -base64 32"
                    .to_owned(),
            );
        }
        key
    }

    fn check_egress(&self, faults: &mut Vec<String>) -> Egress {
        let mut allow_nets = Vec::new();
        for given in self.allow_nets.iter().filter(|given| !given.is_empty()) {
            match given.parse() {
                Ok(network) => allow_nets.push(network),
                Err(_) => faults.push(format!(
                    "--webhook-allow-net must list networks in CIDR notation such as 10.0.0.0/8, \
                     but one of them is {given:?}"
                )),
            }
        }

        Egress {
            allow_http: self.allow_http,
            allow_nets,
        }
    }
}
