//! Authentication: API keys and tokens, and the principals that they stand for, cached and checked again periodically.
//!
//! A key in use is looked up again every 2 s, and so is the account of a token; when it has been revoked, has come to its
//! end or belongs to a disabled account, the sockets and streams that it opened end. When a database cannot confirm its
//! keys, requests and pushes under them stop rather than continue unconfirmed.

mod credentials;
pub mod jwt;
mod key_cache;
mod principal;

use std::sync::Arc;

use backbone::accounts::{Accounts, KeyHash, Role};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Code, Problem};
use jwt::Tokens;
use key_cache::KeyCache;

pub use credentials::{key_in, one_key};
pub use principal::{Connection, Principal};

/// API keys of both databases and tokens of their accounts, those in use cached.
#[derive(Clone)]
pub struct KeyRing {
    sellers: Arc<KeyCache>,
    buyers: Arc<KeyCache>,
    /// `None` if no tokens are accepted.
    tokens: Option<Arc<Tokens>>,
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
            tokens: None,
            refused: refused.into(),
            changes,
        }
    }

    /// Accepts tokens as well.
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self {
            tokens: Some(Arc::new(tokens)),
            ..self
        }
    }

    /// Returns a receiver that changes whenever a key or token has ended, or keys begin or cease to be trusted.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns the principal that an API key or a token belongs to.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the key is unknown, revoked, over or refused here, when the token is not valid, and when its
    /// account is disabled; UNAVAILABLE when no database can confirm it, or the keys that sign tokens are not known yet.
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

        if let Some(tokens) = &self.tokens
            && jwt::is_token(key)
        {
            return self.authenticate_token(tokens, key, hash).await;
        }

        let (seller, buyer) = tokio::join!(self.sellers.look_up(hash), self.buyers.look_up(hash));
        match (seller, buyer) {
            // Either side's "yes" is enough, even when the other database is unavailable.
            (Ok(Some(principal)), _) | (_, Ok(Some(principal))) => Ok(principal),
            (Ok(None), Ok(None)) => Err(Problem::unauthenticated(
                "The API key is unknown, has ended or has been revoked",
            )),
            // A "no" needs both: the database that failed may be the one that holds the key.
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "An API key could not be looked up: {error}");
                Err(unconfirmed())
            }
        }
    }

    async fn authenticate_token(
        &self,
        tokens: &Tokens,
        text: &str,
        hash: KeyHash,
    ) -> Result<Principal, Problem> {
        let token = tokens.verify(text).await?;
        let cache = match token.role {
            Role::Buyer => &self.buyers,
            Role::Seller | Role::Admin => &self.sellers,
        };
        if cache.is_full() {
            return Err(Problem::new(
                Code::RateLimited,
                "Too many different tokens are in use; use each for as long as it is valid",
            ));
        }

        match cache.look_up_token(hash, &token).await {
            Ok(Some(principal)) => Ok(principal),
            Ok(None) => Err(Problem::unauthenticated(
                "The token's account does not exist with the token's role, or is disabled",
            )),
            Err(error) => {
                tracing::warn!(%error, "The account of a token could not be looked up: {error}");
                Err(unconfirmed())
            }
        }
    }

    /// Makes the next check of the keys in use start now, because one was revoked by this process.
    pub fn check_now(&self) {
        self.sellers.check_now();
        self.buyers.check_now();
    }

    /// Checks the keys and tokens in use periodically, and keeps the set of keys that sign tokens current, until `stop`.
    pub async fn keep_checking(self, stop: CancellationToken) {
        let signers = self.tokens.as_ref().map(|tokens| tokens.signers());
        let signing_keys = async {
            if let Some(tokens) = &self.tokens {
                tokens.keep_current(&stop, || self.check_now()).await;
            }
        };

        tokio::join!(
            self.sellers.keep_checking(&stop, signers.as_ref()),
            self.buyers.keep_checking(&stop, signers.as_ref()),
            signing_keys,
        );
    }
}

/// Returns the error of a request whose key or token cannot be confirmed now.
pub fn unconfirmed() -> Problem {
    Problem::new(
        Code::Unavailable,
        "API keys and tokens cannot be verified at the moment; try again later",
    )
}
