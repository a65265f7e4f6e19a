//! Settings of the rate limits, and of what is counted for each client.

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::rates::RateLimits;

/// Flags of the rate limits, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct RateSettings {
    /// Most mutations of one account within a minute; 0 for no limit
    ///
    /// All of them may come at once; they become available again evenly over the minute. One more is answered with
    /// RATE_LIMITED.
    #[arg(
        long,
        env = "DEALWIRE_MUTATIONS_PER_MINUTE",
        default_value_t = RateLimits::default().mutations,
        value_name = "COUNT",
        global = true
    )]
    mutations_per_minute: u32,

    /// Most fields that the results of one account's queries and subscriptions can have within a minute; 0 for no limit
    ///
    /// Counted before execution, as --max-query-cost is, with one more for each 64 bytes of the document and 1,000 for
    /// __schema or __type.
    #[arg(
        long,
        env = "DEALWIRE_QUERY_COST_PER_MINUTE",
        default_value_t = RateLimits::default().query_cost,
        value_name = "FIELDS",
        global = true
    )]
    query_cost_per_minute: u32,

    /// The same for all requests without an API key from one client address (IPv6: one /64); 0 for no limit
    ///
    /// Such requests can only ask about the schema.
    #[arg(
        long,
        env = "DEALWIRE_ANONYMOUS_COST_PER_MINUTE",
        default_value_t = RateLimits::default().anonymous_cost,
        value_name = "FIELDS",
        global = true
    )]
    anonymous_cost_per_minute: u32,

    /// Most websockets that one client address, and one account, may open within a minute; 0 for no limit
    ///
    /// Above the number of connections that --max-connections-per-address allows, so that all of them can reconnect at once.
    #[arg(
        long,
        env = "DEALWIRE_HANDSHAKES_PER_MINUTE",
        default_value_t = RateLimits::default().handshakes,
        value_name = "COUNT",
        global = true
    )]
    handshakes_per_minute: u32,

    /// Most invalid API keys of one client address within a minute until they are answered with RATE_LIMITED; 0 for no limit
    ///
    /// Valid keys from the same address are accepted all the same.
    #[arg(
        long,
        env = "DEALWIRE_FAILED_KEYS_PER_MINUTE",
        default_value_t = RateLimits::default().failed_keys,
        value_name = "COUNT",
        global = true
    )]
    failed_keys_per_minute: u32,

    /// Count the fields that each client selects, in the metric graphql_field_requests
    ///
    /// Tells who would notice if a field went. Costs about a tenth of a microsecond for each field of a document.
    #[arg(
        long,
        env = "DEALWIRE_FIELD_USAGE",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    pub(super) field_usage: bool,
}

impl RateSettings {
    /// Returns the limits. Every value that the flags accept makes sense.
    pub(super) fn limits(&self) -> RateLimits {
        RateLimits {
            mutations: self.mutations_per_minute,
            query_cost: self.query_cost_per_minute,
            anonymous_cost: self.anonymous_cost_per_minute,
            handshakes: self.handshakes_per_minute,
            failed_keys: self.failed_keys_per_minute,
        }
    }
}
