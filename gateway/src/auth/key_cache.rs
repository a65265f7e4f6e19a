//! API keys in use, of one database: looked up once, and checked again until nobody uses them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::accounts::{Accounts, KeyHash};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::principal::Principal;

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

/// Locks that keys not yet cached are looked up under, chosen by the key's hash. A thousand clients that arrive with
/// the same key cause one query, and at most this many connections of the database serve lookups at a time.
const LOOKUP_STRIPES: usize = 16;

/// Cache of the API keys of one database.
pub(super) struct KeyCache {
    accounts: Accounts,
    // Held for map operations only, never across an await: every request passes through here.
    keys: Mutex<HashMap<KeyHash, Principal>>,
    lookup_stripes: [tokio::sync::Mutex<()>; LOOKUP_STRIPES],
    trusted: watch::Sender<bool>,
    changes: Arc<watch::Sender<u64>>,
    check_requested: Notify,
}

impl KeyCache {
    /// Builds an empty cache over the accounts of one database. `changes` is told whenever a key is revoked, or keys begin or
    /// cease to be trusted.
    pub(super) fn new(accounts: Accounts, changes: Arc<watch::Sender<u64>>) -> Self {
        Self {
            accounts,
            keys: Mutex::default(),
            lookup_stripes: Default::default(),
            trusted: watch::channel(true).0,
            changes,
            check_requested: Notify::new(),
        }
    }

    /// Returns the principal of a cached key, and counts that as a use of it.
    pub(super) fn cached(&self, hash: KeyHash) -> Option<Principal> {
        let principal = self.keys.lock().get(&hash).cloned()?;
        principal.touch();
        Some(principal)
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

        let fresh = Principal::new(holder, self.trusted.subscribe());
        let mut keys = self.keys.lock();
        Ok(Some(keys.entry(hash).or_insert(fresh).clone()))
    }

    /// Makes the next check start now.
    pub(super) fn check_now(&self) {
        self.check_requested.notify_one();
    }

    /// Checks the cached keys periodically until `stop`, and publishes whether they are still trusted.
    pub(super) async fn keep_checking(&self, stop: &CancellationToken) {
        let mut confirmed = Instant::now();
        let mut pause = CHECK_INTERVAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
                () = self.check_requested.notified() => {}
            }

            // The time from before the query counts: a key revoked while it ran may be missing from its answer.
            let began = Instant::now();
            if self.check().await {
                confirmed = began;
                pause = CHECK_INTERVAL;
            } else {
                pause = RETRY_INTERVAL;
            }

            let now = confirmed.elapsed() < TRUST;
            let was = self.trusted.send_replace(now);
            if now != was {
                self.tell_change();
            }
        }
    }

    /// Asks the database which of the cached keys are still valid, and drops the others. Returns whether it answered.
    async fn check(&self) -> bool {
        // The lock is not held over the query, or every request would wait for the database.
        let checked: HashSet<KeyHash> = self.keys.lock().keys().copied().collect();
        let hashes: Vec<KeyHash> = checked.iter().copied().collect();

        let Ok(Ok(valid)) = timeout(CHECK_TIMEOUT, self.accounts.still_valid(&hashes)).await else {
            return false;
        };
        let valid: HashSet<KeyHash> = valid.into_iter().collect();

        let mut has_revoked = false;
        self.keys.lock().retain(|hash, principal| {
            // A key that was cached while the query ran is not in its answer; it is as fresh as can be.
            if checked.contains(hash) && !valid.contains(hash) {
                principal.revoke();
                has_revoked = true;
                return false;
            }
            // A key in use must stay, however long ago its socket was opened: dropping it would end its checks.
            principal.is_held_elsewhere() || principal.last_used().elapsed() < IDLE
        });

        if has_revoked {
            self.tell_change();
        }
        true
    }

    fn tell_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
