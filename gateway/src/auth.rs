//! Authentication: API keys and the principals that they stand for, cached and checked again periodically.
//!
//! A key in use is looked up again every 2 s; when it has been revoked, the sockets and streams that it opened end. When
//! a database cannot confirm its keys, requests and pushes under them stop rather than continue unconfirmed.

mod credentials;
mod key_cache;
mod principal;

use std::sync::Arc;

use backbone::accounts::{Accounts, KeyHash};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Code, Problem};
use key_cache::KeyCache;

pub use credentials::{key_in, one_key};
pub use principal::{Connection, Principal};

/// API keys of both databases, those in use cached.
#[derive(Clone)]
pub struct KeyRing {
    sellers: Arc<KeyCache>,
    buyers: Arc<KeyCache>,
    /// Keys that are refused here, whatever the databases say.
    refused: Arc<[KeyHash]>,
    changes: Arc<watch::Sender<u64>>,
}

impl KeyRing {
    /// Builds a key ring over the accounts of both databases. `refused` are keys that are public and open nothing here.
    /// [`KeyRing::keep_checking`] must run as long as the key ring is used.
    pub fn new(sellers: Accounts, buyers: Accounts, refused: Vec<KeyHash>) -> Self {
        let changes = Arc::new(watch::Sender::new(0));

        Self {
            sellers: Arc::new(KeyCache::new(sellers, Arc::clone(&changes))),
            buyers: Arc::new(KeyCache::new(buyers, Arc::clone(&changes))),
            refused: refused.into(),
            changes,
        }
    }

    /// Returns a receiver that changes whenever a key was revoked, or keys begin or cease to be trusted.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns the principal that an API key belongs to.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the key is unknown, revoked or refused here; UNAVAILABLE when no database can confirm it.
    pub async fn authenticate(&self, key: &str) -> Result<Principal, Problem> {
        let hash = KeyHash::of(key);
        for cache in [&self.sellers, &self.buyers] {
            if let Some(principal) = cache.cached(hash) {
                return if principal.is_trusted() {
                    Ok(principal)
                } else {
                    Err(unconfirmed())
                };
            }
        }

        // Refused keys never enter a cache, so checking them after the caches keeps the common path short.
        if self.refused.contains(&hash) {
            return Err(Problem::unauthenticated(
                "This is a public API key of the demo market, which this server does not accept",
            ));
        }

        let (seller, buyer) = tokio::join!(self.sellers.look_up(hash), self.buyers.look_up(hash));
        match (seller, buyer) {
            // Either side's "yes" is enough, even when the other database is unavailable.
            (Ok(Some(principal)), _) | (_, Ok(Some(principal))) => Ok(principal),
            (Ok(None), Ok(None)) => Err(Problem::unauthenticated(
                "The API key is unknown or has been revoked",
            )),
            // A "no" needs both: the database that failed may be the one that holds the key.
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "An API key could not be looked up: {error}");
                Err(unconfirmed())
            }
        }
    }

    /// Makes the next check of the keys in use start now, because one was revoked by this process.
    pub fn check_now(&self) {
        self.sellers.check_now();
        self.buyers.check_now();
    }

    /// Checks the keys in use periodically until `stop`.
    pub async fn keep_checking(self, stop: CancellationToken) {
        tokio::join!(
            self.sellers.keep_checking(&stop),
            self.buyers.keep_checking(&stop)
        );
    }
}

/// Returns the error of a request whose key cannot be confirmed now.
pub fn unconfirmed() -> Problem {
    Problem::new(
        Code::Unavailable,
        "API keys cannot be verified at the moment; try again later",
    )
}
