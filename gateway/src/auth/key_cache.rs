//! Credentials in use, of one database: looked up once, and checked again until nobody uses them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use backbone::Error;
use backbone::accounts::{Accounts, KeyHash};
use backbone::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::jwt::{Signers, VerifiedToken};
use super::principal::{Principal, Proof, connections};

/// Pause between two checks of the keys in use.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Pause after a failed check.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Time after which a check has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Time after which the lookup of one key has failed. Longer than a check's, because a caller waits for the answer and
/// a retry would cost it more.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for which keys are trusted after they were last confirmed. Together with the time of a check it stays under
/// 5 s, the promised bound from a revocation to the end of pushes.
const TRUST: Duration = Duration::from_millis(3_500);

/// Time after its last use at which a key leaves the cache.
const IDLE: Duration = Duration::from_secs(60);

/// Credentials in use from which on no further token is accepted: whoever signs tokens can sign any number of them.
const MAX_CREDENTIALS: usize = 100_000;

/// Keys whose last use one statement stores. The others are stored after the next check.
const MAX_USES: usize = 1_000;

/// Locks that keys not yet cached are looked up under, chosen by the key's hash. A thousand clients that arrive with
/// the same key cause one query, and at most this many connections of the database serve lookups at a time.
const LOOKUP_STRIPES: usize = 16;

/// Cache of the API keys and tokens of the accounts of one database.
pub(super) struct KeyCache {
    accounts: Accounts,
    // Held for map operations only, never across an await: every request passes through here.
    keys: Mutex<HashMap<KeyHash, Principal>>,
    /// Bounds of the connections of accounts with tokens in use.
    token_connections: Mutex<HashMap<Uuid, Weak<Semaphore>>>,
    lookup_stripes: [tokio::sync::Mutex<()>; LOOKUP_STRIPES],
    trusted: watch::Sender<bool>,
    changes: Arc<watch::Sender<u64>>,
    check_requested: Notify,
    end_is_near: Notify,
}

impl KeyCache {
    /// Builds an empty cache over the accounts of one database. `changes` is told whenever a key or token ends, or keys
    /// begin or cease to be trusted.
    pub(super) fn new(accounts: Accounts, changes: Arc<watch::Sender<u64>>) -> Self {
        Self {
            accounts,
            keys: Mutex::default(),
            token_connections: Mutex::default(),
            lookup_stripes: Default::default(),
            trusted: watch::channel(true).0,
            changes,
            check_requested: Notify::new(),
            end_is_near: Notify::new(),
        }
    }

    /// Returns the principal of a cached key or token, and counts that as a use of it.
    pub(super) fn cached(&self, hash: KeyHash) -> Option<Principal> {
        let principal = self.keys.lock().get(&hash).cloned()?;
        // One that has ended stays in the cache until the next check, and is looked up like an unknown one.
        if principal.is_revoked() || principal.is_over(self.accounts.now()) {
            return None;
        }

        principal.touch();
        Some(principal)
    }

    /// Returns whether there are too many credentials in use for another token.
    pub(super) fn is_full(&self) -> bool {
        self.keys.lock().len() >= MAX_CREDENTIALS
    }

    /// Looks a key up in the database and caches it. Returns `None` when the database does not know it.
    ///
    /// # Errors
    /// The database does not answer within 2 s.
    pub(super) async fn look_up(&self, hash: KeyHash) -> Result<Option<Principal>, Error> {
        let stripe = usize::from(hash.0[0]) % LOOKUP_STRIPES;
        let _turn = self.lookup_stripes[stripe].lock().await;

        // Whoever held the stripe before may have looked the same key up.
        if let Some(principal) = self.cached(hash) {
            return Ok(Some(principal));
        }

        let Ok(holder) = timeout(LOOKUP_TIMEOUT, self.accounts.holder(hash)).await else {
            return Err(Error::unavailable("account database", "no answer in time"));
        };
        let Some(holder) = holder? else {
            // Unknown keys are not cached: guesses would fill the memory, and a key issued later must work at once.
            return Ok(None);
        };

        let fresh = Principal::of_key(holder, self.trusted.subscribe());
        Ok(Some(self.admit(hash, fresh)))
    }

    /// Looks the account of a verified token up in the database and caches the token. Returns `None` when there is no
    /// such account of the token's role, or it is disabled.
    ///
    /// # Errors
    /// The database does not answer within 2 s.
    pub(super) async fn look_up_token(
        &self,
        hash: KeyHash,
        token: &VerifiedToken,
    ) -> Result<Option<Principal>, Error> {
        let stripe = usize::from(hash.0[0]) % LOOKUP_STRIPES;
        let _turn = self.lookup_stripes[stripe].lock().await;
        if let Some(principal) = self.cached(hash) {
            return Ok(Some(principal));
        }

        let Ok(account) = timeout(LOOKUP_TIMEOUT, self.accounts.find(token.account)).await else {
            return Err(Error::unavailable("account database", "no answer in time"));
        };
        let Some(account) = account? else {
            return Ok(None);
        };
        if account.role != token.role || account.disabled_at.is_some() {
            return Ok(None);
        }

        let connections = self.connections_of(account.id);
        let proof = (token.signer, token.ends);
        let fresh = Principal::of_token(account, proof, self.trusted.subscribe(), connections);
        Ok(Some(self.admit(hash, fresh)))
    }

    /// Caches a principal.
    fn admit(&self, hash: KeyHash, fresh: Principal) -> Principal {
        let near = self.accounts.now().as_micros() + CHECK_INTERVAL.as_micros() as i64;
        if fresh.ends().is_some_and(|end| end.as_micros() <= near) {
            self.end_is_near.notify_one();
        }

        // Only one that has ended can be there, since a lookup holds the stripe of its hash. What it had opened ends
        // with it.
        let ended = self.keys.lock().insert(hash, fresh.clone());
        if let Some(ended) = ended {
            ended.revoke();
            self.tell_change();
        }
        fresh
    }

    /// Returns the bound that all tokens of an account share: a client gets a new token every few minutes.
    fn connections_of(&self, account: Uuid) -> Arc<Semaphore> {
        let mut known = self.token_connections.lock();
        if let Some(shared) = known.get(&account).and_then(Weak::upgrade) {
            return shared;
        }

        let fresh = connections();
        known.insert(account, Arc::downgrade(&fresh));
        fresh
    }

    /// Makes the next check start now.
    pub(super) fn check_now(&self) {
        self.check_requested.notify_one();
    }

    /// Checks the cached keys and tokens periodically until `stop`, ends those whose time is over when it is, and
    /// publishes whether they are still trusted. Tokens must be signed by one of `signers`.
    pub(super) async fn keep_checking(&self, stop: &CancellationToken, signers: Option<&Signers>) {
        let mut confirmed = Instant::now();
        let mut due = Instant::now() + CHECK_INTERVAL;
        loop {
            let wake = self.next_end().map_or(due, |end| end.min(due));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(wake) => {}
                () = self.check_requested.notified() => due = Instant::now(),
                () = self.end_is_near.notified() => {}
            }

            self.end_those_over();
            if Instant::now() < due {
                continue;
            }

            // The time from before the query counts: a key revoked while it ran may be missing from its answer.
            let began = Instant::now();
            let is_confirmed = self.check(signers).await;
            due = if is_confirmed {
                confirmed = began;
                Instant::now() + CHECK_INTERVAL
            } else {
                Instant::now() + RETRY_INTERVAL
            };

            let now = confirmed.elapsed() < TRUST;
            let was = self.trusted.send_replace(now);
            if now != was {
                self.tell_change();
            }

            // Last, and shorter than the pause: storing uses delays no check.
            if is_confirmed {
                self.note_uses().await;
            }
        }
    }

    /// Returns when the next of the cached keys and tokens ends.
    fn next_end(&self) -> Option<Instant> {
        let next = self
            .keys
            .lock()
            .values()
            .filter_map(Principal::ends)
            .min()?;
        let micros = next.as_micros() - self.accounts.now().as_micros();

        // The longest wait is to the next check, so far ends need no exact time.
        let wait = Duration::from_micros(micros.max(0).unsigned_abs());
        Some(Instant::now() + wait.min(CHECK_INTERVAL))
    }

    /// Ends the keys and tokens whose time is over.
    fn end_those_over(&self) {
        let now = self.accounts.now();
        let mut has_ended = false;

        self.keys.lock().retain(|_, principal| {
            if principal.is_over(now) {
                principal.revoke();
                has_ended = true;
                return false;
            }
            true
        });
        if has_ended {
            self.tell_change();
        }
    }

    /// Asks the database which of the cached keys and of the accounts with tokens are still valid, and drops the
    /// others. Returns whether it answered.
    async fn check(&self, signers: Option<&Signers>) -> bool {
        // The lock is not held over the query, or every request would wait for the database.
        let (checked, accounts) = self.in_use();
        let hashes: Vec<KeyHash> = checked.iter().copied().collect();
        let enabled = async {
            let ids: Vec<Uuid> = accounts.iter().copied().collect();
            // Most markets have no tokens.
            if ids.is_empty() {
                return Ok(ids);
            }
            self.accounts.still_enabled(&ids).await
        };

        let answers = async { tokio::try_join!(self.accounts.still_valid(&hashes), enabled) };
        let Ok(Ok((valid, enabled))) = timeout(CHECK_TIMEOUT, answers).await else {
            return false;
        };
        let valid: HashSet<KeyHash> = valid.into_iter().collect();
        let enabled: HashSet<Uuid> = enabled.into_iter().collect();

        let signers = signers.map(|signers| signers.borrow().clone());
        self.drop_those(|hash, principal| match principal.proof() {
            // One that was cached while the query ran is not in its answer; it is as fresh as can be.
            Proof::Key(_) => checked.contains(hash) && !valid.contains(hash),
            Proof::Token(signer) => {
                let id = principal.id();
                let is_disabled = accounts.contains(&id) && !enabled.contains(&id);
                is_disabled
                    || signers
                        .as_ref()
                        .is_none_or(|known| !known.contains(&signer))
            }
        });
        true
    }

    /// Returns the cached keys, and the accounts of cached tokens.
    fn in_use(&self) -> (HashSet<KeyHash>, HashSet<Uuid>) {
        let keys = self.keys.lock();
        let mut hashes = HashSet::new();
        let mut accounts = HashSet::new();

        for (hash, principal) in keys.iter() {
            match principal.proof() {
                Proof::Key(_) => hashes.insert(*hash),
                Proof::Token(_) => accounts.insert(principal.id()),
            };
        }
        (hashes, accounts)
    }

    /// Drops the keys and tokens that are refused now, and those that nobody uses any more.
    fn drop_those(&self, is_refused: impl Fn(&KeyHash, &Principal) -> bool) {
        let mut has_revoked = false;
        self.keys.lock().retain(|hash, principal| {
            if is_refused(hash, principal) {
                principal.revoke();
                has_revoked = true;
                return false;
            }
            // A key in use must stay, however long ago its socket was opened: dropping it would end its checks.
            principal.is_held_elsewhere()
                || principal.last_used().elapsed() < IDLE
                || principal.has_use_to_note()
        });
        self.token_connections
            .lock()
            .retain(|_, shared| shared.strong_count() > 0);

        if has_revoked {
            self.tell_change();
        }
    }

    /// Stores when keys were used last, for each at most once a minute.
    async fn note_uses(&self) {
        let due: Vec<(Uuid, Principal, Instant)> = {
            let keys = self.keys.lock();
            let due = keys.values().filter_map(|principal| {
                let Proof::Key(id) = principal.proof() else {
                    return None;
                };
                Some((id, principal.clone(), principal.use_to_note()?))
            });
            due.take(MAX_USES).collect()
        };
        if due.is_empty() {
            return;
        }

        let now = self.accounts.now();
        let uses: Vec<(Uuid, Timestamp)> = due
            .iter()
            .map(|(id, _, used)| (*id, before(now, used.elapsed())))
            .collect();

        // What could not be stored is tried again after the next check.
        if let Ok(Ok(())) = timeout(CHECK_TIMEOUT, self.accounts.note_uses(&uses)).await {
            for (_, principal, used) in due {
                principal.use_is_noted(used);
            }
        }
    }

    fn tell_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);

    Timestamp::from_micros(now.as_micros().saturating_sub(ago))
}
