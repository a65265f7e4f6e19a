//! Who is calling: keys to principals, remembered for a while and checked again and again.
//!
//! A key in use is looked up again every two seconds; one that was revoked ends what it had opened. When a database
//! cannot confirm its keys, requests and pushes under them stop rather than go on unconfirmed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use backbone::Error;
use backbone::accounts::{Accounts, KeyHash, KeyHolder, Role};
use backbone::ids::{BuyerId, SellerId};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{Code, Problem};

/// How often keys in use are looked up again.
const RECHECK: Duration = Duration::from_secs(2);
/// How soon after a failed look the next is tried.
const RECHECK_FAILED: Duration = Duration::from_millis(500);
/// A look that takes longer has failed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Keys unconfirmed for this long are not trusted: with the time of a look it stays under 5 s.
const TRUST: Duration = Duration::from_millis(3_500);
/// A key that nobody has used for this long is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// Sockets and event streams that one key may hold open on one gateway.
const CONNECTIONS: usize = 1_000;
/// Keys that are not known are looked up in so many lanes: a thousand clients that come with one key at once cost one
/// look, and however many come, the database answers others too.
const LANES: usize = 16;

/// A caller, as its key tells. Clones are the same key.
#[derive(Clone)]
pub struct Principal(Arc<Known>);

struct Known {
    holder: KeyHolder,
    revoked: CancellationToken,
    trusted: watch::Receiver<bool>,
    used: Mutex<Instant>,
    connections: Arc<Semaphore>,
}

/// An open socket or event stream, counted for its key until dropped.
pub type Connection = OwnedSemaphorePermit;

impl Principal {
    /// What it may do.
    pub fn role(&self) -> Role {
        self.0.holder.role
    }

    /// The account.
    pub fn id(&self) -> Uuid {
        self.0.holder.account_id
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        &self.0.holder.name
    }

    /// As a seller.
    pub fn seller(&self) -> Result<SellerId, Problem> {
        match self.role() {
            Role::Seller => Ok(SellerId(self.id())),
            _ => Err(Problem::forbidden("this is for sellers")),
        }
    }

    /// As a buyer.
    pub fn buyer(&self) -> Result<BuyerId, Problem> {
        match self.role() {
            Role::Buyer => Ok(BuyerId(self.id())),
            _ => Err(Problem::forbidden("this is for buyers")),
        }
    }

    /// As an administrator.
    pub fn admin(&self) -> Result<(), Problem> {
        match self.role() {
            Role::Admin => Ok(()),
            _ => Err(Problem::forbidden("this is for administrators")),
        }
    }

    /// Counts a socket or an event stream that is to stay open.
    ///
    /// # Errors
    /// RATE_LIMITED when the key has as many as it may.
    pub fn connect(&self) -> Result<Connection, Problem> {
        Arc::clone(&self.0.connections)
            .try_acquire_owned()
            .map_err(|_| {
                Problem::new(
                    Code::RateLimited,
                    format!("a key holds at most {CONNECTIONS} connections"),
                )
            })
    }

    /// Cancelled when the key is revoked.
    pub fn revoked(&self) -> CancellationToken {
        self.0.revoked.clone()
    }

    /// Whether the key's database confirms its keys.
    pub fn trusted(&self) -> watch::Receiver<bool> {
        self.0.trusted.clone()
    }
}

/// One database's keys.
struct Side {
    accounts: Accounts,
    known: Mutex<HashMap<KeyHash, Arc<Known>>>,
    lanes: [tokio::sync::Mutex<()>; LANES],
    trusted: watch::Sender<bool>,
    look: Notify,
}

/// The keys in use, of both databases.
#[derive(Clone)]
pub struct KeyRing {
    sellers: Arc<Side>,
    buyers: Arc<Side>,
    /// Keys that open nothing here, whatever the databases say.
    refused: Arc<[KeyHash]>,
}

impl KeyRing {
    /// Builds a key ring over the accounts of both databases. `refused` are keys that are public and open nothing here.
    /// [`KeyRing::keep_checking`] must run as long as the key ring is used.
    pub fn new(sellers: Accounts, buyers: Accounts, refused: Vec<KeyHash>) -> Self {
        let side = |accounts| {
            Arc::new(Side {
                accounts,
                known: Mutex::default(),
                lanes: Default::default(),
                trusted: watch::channel(true).0,
                look: Notify::new(),
            })
        };
        Self {
            sellers: side(sellers),
            buyers: side(buyers),
            refused: refused.into(),
        }
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// UNAUTHENTICATED when it is nobody's, UNAVAILABLE when that cannot be told now.
    pub async fn authenticate(&self, key: &str) -> Result<Principal, Problem> {
        let hash = KeyHash::of(key);
        for side in [&self.sellers, &self.buyers] {
            if let Some(known) = side.remembered(hash) {
                return if *known.trusted.borrow() {
                    Ok(Principal(known))
                } else {
                    Err(unconfirmed())
                };
            }
        }
        // Never remembered, so it is enough to refuse them here.
        if self.refused.contains(&hash) {
            return Err(Problem::unauthenticated(
                "the demo's keys are public and open nothing here",
            ));
        }
        let (seller, buyer) = tokio::join!(self.sellers.look_up(hash), self.buyers.look_up(hash));
        match (seller, buyer) {
            (Ok(Some(known)), _) | (_, Ok(Some(known))) => Ok(Principal(known)),
            (Ok(None), Ok(None)) => Err(Problem::unauthenticated("the key is not known")),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "a key could not be looked up: {error}");
                Err(unconfirmed())
            }
        }
    }

    /// Looks all keys in use up again soon: after a key was revoked here.
    pub fn check_now(&self) {
        self.sellers.look.notify_one();
        self.buyers.look.notify_one();
    }

    /// Looks keys up again and again until told to stop.
    pub async fn keep_checking(self, stop: CancellationToken) {
        tokio::join!(
            self.sellers.keep_checking(&stop),
            self.buyers.keep_checking(&stop)
        );
    }
}

impl Side {
    fn remembered(&self, hash: KeyHash) -> Option<Arc<Known>> {
        let known = self.lock().get(&hash).cloned()?;
        *known.used.lock() = Instant::now();
        Some(known)
    }

    async fn look_up(&self, hash: KeyHash) -> Result<Option<Arc<Known>>, Error> {
        let _turn = self.lanes[usize::from(hash.0[0]) % LANES].lock().await;
        if let Some(known) = self.remembered(hash) {
            return Ok(Some(known));
        }
        let holder = timeout(LOOK_TIMEOUT * 2, self.accounts.holder(hash)).await;
        let holder =
            holder.map_err(|_| Error::unavailable("account database", "no answer in time"))??;
        let Some(holder) = holder else {
            return Ok(None);
        };
        let fresh = Arc::new(Known {
            holder,
            revoked: CancellationToken::new(),
            trusted: self.trusted.subscribe(),
            used: Mutex::new(Instant::now()),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        });
        Ok(Some(Arc::clone(self.lock().entry(hash).or_insert(fresh))))
    }

    async fn keep_checking(&self, stop: &CancellationToken) {
        let mut confirmed = Instant::now();
        let mut pause = RECHECK;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
                () = self.look.notified() => {}
            }
            let looked_at = Instant::now();
            if self.check().await {
                confirmed = looked_at;
                pause = RECHECK;
            } else {
                pause = RECHECK_FAILED;
            }
            self.trusted.send_if_modified(|trusted| {
                let now = confirmed.elapsed() < TRUST;
                std::mem::replace(trusted, now) != now
            });
        }
    }

    /// Whether the database answered.
    async fn check(&self) -> bool {
        let hashes: Vec<KeyHash> = self.lock().keys().copied().collect();
        let Ok(Ok(valid)) = timeout(LOOK_TIMEOUT, self.accounts.still_valid(&hashes)).await else {
            return false;
        };
        let valid: std::collections::HashSet<KeyHash> = valid.into_iter().collect();
        let asked: std::collections::HashSet<KeyHash> = hashes.into_iter().collect();
        self.lock().retain(|hash, known| {
            if asked.contains(hash) && !valid.contains(hash) {
                known.revoked.cancel();
                return false;
            }
            let used = *known.used.lock();
            Arc::strong_count(known) > 1 || used.elapsed() < IDLE
        });
        true
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<KeyHash, Arc<Known>>> {
        self.known.lock()
    }
}

/// The key in a request's headers: `x-api-key`, or `Authorization: Bearer`.
///
/// # Errors
/// UNAUTHENTICATED when there is one that cannot be read, or two that differ.
pub fn key_in(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| {
                value
                    .to_str()
                    .map_err(|_| unreadable("the key is not text"))
            })
            .transpose()
    };
    one_key(text("x-api-key")?, text("authorization")?)
}

/// The key that two places may hold.
pub fn one_key(
    plain: Option<&str>,
    authorization: Option<&str>,
) -> Result<Option<String>, Problem> {
    let bearer = authorization
        .map(|text| match text.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
            _ => Err(unreadable("authorization is not of the form Bearer <key>")),
        })
        .transpose()?;
    match (plain.map(str::trim), bearer) {
        (Some(one), Some(other)) if one != other => {
            Err(unreadable("x-api-key and authorization differ"))
        }
        (one, other) => Ok(one.or(other).map(str::to_owned)),
    }
}

fn unreadable(message: &str) -> Problem {
    Problem::unauthenticated(message)
}

fn unconfirmed() -> Problem {
    Problem::new(Code::Unavailable, "keys cannot be confirmed now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_one_of_two_places() {
        let key =
            |plain, authorization| one_key(plain, authorization).map_err(|problem| problem.code);
        assert_eq!(key(None, None), Ok(None));
        assert_eq!(key(Some(" k "), None), Ok(Some("k".to_owned())));
        assert_eq!(key(None, Some("bearer k")), Ok(Some("k".to_owned())));
        assert_eq!(key(Some("k"), Some("Bearer k")), Ok(Some("k".to_owned())));
        for (plain, authorization) in [
            (Some("k"), Some("Bearer other")),
            (None, Some("Basic k")),
            (None, Some("k")),
        ] {
            assert_eq!(key(plain, authorization), Err(Code::Unauthenticated));
        }
    }
}
