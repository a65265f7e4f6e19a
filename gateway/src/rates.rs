//! Rate limits: how much one caller may ask for within a minute, over whatever transport.
//!
//! A caller is its account or, without a key, the network that it comes from. A limit is a quota that may be used at once
//! and is refilled evenly over a minute. [`Admission`](crate::admission::Admission) bounds what is under way at a time;
//! these limits bound what comes after one another.

mod limiter;
mod suspects;

use std::sync::Arc;

use backbone::telemetry::{Counter, Family, Metrics};
use uuid::Uuid;

use crate::auth::Principal;
use crate::error::{Code, Problem};
use crate::origin::{ClientNetwork, Origin};
use crate::standing::{Standing, whole_seconds};
use limiter::{Limiter, Refused};
use suspects::Suspects;

pub use suspects::Turn;

/// Quotas of the rate limits, each in units a minute; 0 switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Mutations of one account, or of one network without a key.
    pub mutations: u32,
    /// Cost of the queries and subscriptions of one account.
    pub query_cost: u32,
    /// Cost of the requests of one network without a key.
    pub anonymous_cost: u32,
    /// Handshakes of websockets of one network, and of one account.
    pub handshakes: u32,
    /// Keys of one network that were not accepted.
    pub failed_keys: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            // A thousand a second: an import of many deals runs through, and a loop without an end does not take the log's
            // whole throughput.
            mutations: 60_000,
            // Five million fields a second: about half of what one core renders, so that one account cannot have the
            // gateway to itself.
            query_cost: 300_000_000,
            // Some hundreds of introspections, which is what callers without a key can ask for.
            anonymous_cost: 1_000_000,
            // As many connections as one network may hold, three times over.
            handshakes: 3_000,
            // A client with a key that has expired, and its retries.
            failed_keys: 60,
        }
    }
}

/// Caller whose quota is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// An account, whatever its keys and wherever it comes from.
    Account(Uuid),
    /// A network that sends no key.
    Network(ClientNetwork),
}

/// Amount that a request is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// So many mutations.
    Mutations(usize),
    /// So many fields, as the cost of documents counts them.
    Cost(u64),
}

/// Rate limits of a gateway. Clones are the same.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    mutations: Limiter,
    query_cost: Limiter,
    anonymous_cost: Limiter,
    handshakes: Limiter,
    failed_keys: Limiter,
    suspects: Suspects,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Payer {
    /// Returns the caller of a request; `None` if neither its account nor its network is known.
    pub fn of(caller: Option<&Principal>, origin: &Origin) -> Option<Self> {
        match caller {
            Some(principal) => Some(Self::Account(principal.id())),
            None => origin.network().map(Self::Network),
        }
    }
}

impl Rates {
    /// Builds the limits and registers their metric.
    pub fn new(limits: RateLimits, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            mutations: Limiter::new("mutations", "mutations", limits.mutations),
            query_cost: Limiter::new("query-cost", "fields of results", limits.query_cost),
            anonymous_cost: Limiter::new(
                "anonymous-cost",
                "fields of results without an API key",
                limits.anonymous_cost,
            ),
            handshakes: Limiter::new("handshakes", "websocket handshakes", limits.handshakes),
            failed_keys: Limiter::new("failed-keys", "invalid API keys", limits.failed_keys),
            suspects: Suspects::new(),
            refused: metrics
                .counter_family("rate_limited", "Requests refused by a rate limit, by limit"),
        }))
    }

    /// Charges a caller. Returns its standing afterwards; `None` if no limit applies.
    ///
    /// # Errors
    /// RATE_LIMITED with the time after which the charge would be accepted. It then was not made.
    pub fn charge(
        &self,
        payer: Option<Payer>,
        charge: Charge,
    ) -> Result<Option<Standing>, Problem> {
        let limits = &*self.0;
        let (limiter, units) = match (charge, payer) {
            (Charge::Mutations(count), _) => (&limits.mutations, count as u64),
            (Charge::Cost(cost), Some(Payer::Network(_))) => (&limits.anonymous_cost, cost),
            (Charge::Cost(cost), _) => (&limits.query_cost, cost),
        };

        self.take(limiter, payer, units)
    }

    /// Charges a caller for a handshake of a websocket.
    ///
    /// # Errors
    /// RATE_LIMITED as [`Rates::charge`] has it.
    pub fn handshake(&self, payer: Option<Payer>) -> Result<(), Problem> {
        self.take(&self.0.handshakes, payer, 1).map(|_| ())
    }

    /// Counts a key of a network that was not accepted. Beyond the limit, its look-ups wait for
    /// [turns](Self::turn).
    ///
    /// # Errors
    /// RATE_LIMITED, to be answered in place of UNAUTHENTICATED.
    pub fn failed_key(&self, network: Option<ClientNetwork>) -> Result<(), Problem> {
        let counted = self.take(&self.0.failed_keys, network.map(Payer::Network), 1);

        if let (Err(problem), Some(network)) = (&counted, network) {
            let pause = problem.retry_after.unwrap_or_default();
            self.0.suspects.add(network, pause);
        }
        counted.map(|_| ())
    }

    /// Returns whether the next key of a network should be looked up in its [turn](Self::turn) only, because it has sent too
    /// many that were not accepted.
    pub fn is_suspect(&self, network: Option<ClientNetwork>) -> bool {
        network.is_some_and(|network| self.0.suspects.contains(network))
    }

    /// Waits for the turn of a suspect network's look-up. A valid key is accepted all the same, so nobody is locked out by
    /// the guesses of a neighbour; but guesses do not keep the keys of others waiting.
    pub async fn turn(&self) -> Option<Turn> {
        self.0.suspects.turn().await
    }

    fn take(
        &self,
        limiter: &Limiter,
        payer: Option<Payer>,
        units: u64,
    ) -> Result<Option<Standing>, Problem> {
        let Some(payer) = payer else { return Ok(None) };

        limiter.take(payer, units).map_err(|refused| {
            let limit = [("limit", refused.standing.policy)];
            self.0.refused.get_or_create(&limit).inc();
            refused.into()
        })
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let Refused { standing, units } = refused;
        let message = format!(
            "Too many {units}: at most {} are allowed within a minute; try again in {} s",
            standing.quota,
            whole_seconds(standing.reset).max(1)
        );

        Self {
            retry_after: Some(standing.reset),
            standing: Some(Box::new(standing)),
            ..Self::new(Code::RateLimited, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> ClientNetwork {
        ClientNetwork::of(text.parse().unwrap())
    }

    fn rates(limits: RateLimits) -> Rates {
        Rates::new(limits, &Metrics::new())
    }

    #[test]
    fn rates_of_one_caller_do_not_concern_another() {
        let rates = rates(RateLimits {
            mutations: 2,
            ..RateLimits::default()
        });
        let [one, other] = [1, 2].map(|id| Some(Payer::Account(Uuid::from_u128(id))));
        let write = |payer, count| rates.charge(payer, Charge::Mutations(count));

        let standing = write(one, 1).unwrap().unwrap();
        assert_eq!((standing.remaining, standing.quota), (1, 2));
        assert_eq!(write(one, 2).unwrap_err().code, Code::RateLimited);
        // What was refused has not been charged.
        assert!(write(one, 1).is_ok());

        let refused = write(one, 1).unwrap_err();
        assert!(refused.retry_after.unwrap().as_secs() <= 30, "{refused:?}");
        assert!(write(other, 2).is_ok());
        assert!(write(None, 100).unwrap().is_none());
    }

    #[test]
    fn rates_count_an_ipv6_network_of_64_bits_as_one_caller() {
        let rates = rates(RateLimits {
            anonymous_cost: 10,
            ..RateLimits::default()
        });
        let read = |address| {
            let payer = Some(Payer::Network(network(address)));
            rates.charge(payer, Charge::Cost(6)).is_ok()
        };

        assert!(read("2001:db8:0:1::1"));
        assert!(!read("2001:db8:0:1:ffff::2"));
        assert!(read("2001:db8:0:2::1"));
    }

    #[test]
    fn rate_of_zero_is_no_limit_and_a_charge_beyond_the_quota_takes_all_of_it() {
        let account = Some(Payer::Account(Uuid::from_u128(1)));
        let off = rates(RateLimits {
            query_cost: 0,
            ..RateLimits::default()
        });
        assert_eq!(off.charge(account, Charge::Cost(u64::MAX)).unwrap(), None);

        let low = rates(RateLimits {
            query_cost: 10,
            ..RateLimits::default()
        });
        assert!(low.charge(account, Charge::Cost(100)).is_ok());
        assert!(low.charge(account, Charge::Cost(1)).is_err());
    }

    #[tokio::test]
    async fn network_with_many_failed_keys_is_suspect_and_gets_its_turn() {
        let rates = rates(RateLimits {
            failed_keys: 2,
            ..RateLimits::default()
        });
        let guesser = Some(network("192.0.2.1"));

        assert!(rates.failed_key(guesser).is_ok());
        assert!(rates.failed_key(guesser).is_ok());
        assert!(!rates.is_suspect(guesser));
        assert!(rates.failed_key(guesser).is_err());
        assert!(rates.is_suspect(guesser));
        assert!(!rates.is_suspect(Some(network("192.0.2.2"))));

        // More than there are turns: the wait for one ends, and the look-up goes on without.
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(rates.turn().await);
        }
        assert!(turns[0].is_some() && turns[3].is_none());
    }
}
