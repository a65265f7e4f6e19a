//! Index of the Views: who has which, which was used last, and which are let in.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use backbone::ids::BuyerId;
use backbone::time::Timestamp;

use super::settings::ViewSettings;
use super::slot::Slot;
use super::view::ViewKey;

/// Time within which a page must be requested again for a View to be kept of it, in microseconds. A page that is read
/// once, as in a walk through all deals, costs no memory.
const ADMISSION: i64 = 10_000_000;

/// Time after which a View that nobody reads is dropped, in microseconds. Its deals may be in no other place by then,
/// although they were when it was weighed.
const IDLE: i64 = 600_000_000;

/// Most pages of which it is remembered that they were requested once.
const CANDIDATES: usize = 16_384;

/// Bytes that a slot without a View counts.
const EMPTY_WEIGHT: u64 = 512;

pub(super) struct Index {
    settings: ViewSettings,
    accounts: HashMap<BuyerId, Vec<Entry>>,
    /// Owner of each View by the time of its last use, oldest first.
    by_use: BTreeMap<i64, BuyerId>,
    bytes: u64,
    candidates: Candidates,
}

struct Entry {
    slot: Arc<Slot>,
    /// Time of the last use, in microseconds, moved on where necessary so that no two are the same.
    used: i64,
    weight: u64,
}

impl Index {
    pub(super) fn new(settings: ViewSettings) -> Self {
        Self {
            settings,
            accounts: HashMap::new(),
            by_use: BTreeMap::new(),
            bytes: 0,
            candidates: Candidates::default(),
        }
    }

    /// Returns the number of Views.
    pub(super) fn len(&self) -> usize {
        self.by_use.len()
    }

    /// Returns the bytes that all Views take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the slot of a key, a new one if the key is requested for the second time within [`ADMISSION`].
    pub(super) fn admit(&mut self, key: &ViewKey, now: Timestamp) -> Option<Arc<Slot>> {
        let now = now.as_micros();
        self.drop_idle(now);

        if let Some(slot) = self.touch(key, now) {
            return Some(slot);
        }
        if !self.candidates.is_second(key, now) {
            return None;
        }

        Some(self.insert(key, now))
    }

    /// Takes note of what the View in a slot weighs, and evicts Views until all are within the limit.
    pub(super) fn weigh(&mut self, slot: &Slot, weight: u64) {
        let entries = self.accounts.get_mut(&slot.key.buyer);

        // The View may have been evicted while its page was read; it then goes with the last request that holds it.
        let entry = entries.and_then(|entries| {
            let mut entries = entries.iter_mut();
            entries.find(|entry| std::ptr::eq(&*entry.slot, slot))
        });
        let Some(entry) = entry else { return };

        let weight = weight.max(EMPTY_WEIGHT);
        self.bytes = self.bytes - entry.weight + weight;
        entry.weight = weight;

        while self.bytes > self.settings.bytes && self.evict_oldest() {}
    }

    fn touch(&mut self, key: &ViewKey, now: i64) -> Option<Arc<Slot>> {
        let used = self.next_use(now);
        let entries = self.accounts.get_mut(&key.buyer)?;

        // An account has few Views, so comparing them all is as fast as hashing the key.
        let entry = entries.iter_mut().find(|entry| entry.slot.key == *key)?;
        self.by_use.remove(&entry.used);
        self.by_use.insert(used, key.buyer);
        entry.used = used;

        Some(Arc::clone(&entry.slot))
    }

    fn insert(&mut self, key: &ViewKey, now: i64) -> Arc<Slot> {
        // Of the account's own: one that reads many pages must not evict the Views of others.
        let held = self.accounts.get(&key.buyer).map_or(&[][..], Vec::as_slice);
        if held.len() >= self.settings.per_account {
            let oldest = held.iter().map(|entry| entry.used).min();
            if let Some(used) = oldest {
                self.evict(used);
            }
        }

        let used = self.next_use(now);
        let slot = Arc::new(Slot::new(key.clone()));
        let entry = Entry {
            slot: Arc::clone(&slot),
            used,
            weight: EMPTY_WEIGHT,
        };

        self.bytes += entry.weight;
        self.by_use.insert(used, key.buyer);
        self.accounts.entry(key.buyer).or_default().push(entry);
        slot
    }

    /// Returns the time of a use that happens now, later than any before.
    fn next_use(&self, now: i64) -> i64 {
        let last = self.by_use.last_key_value().map(|(used, _)| *used);

        last.map_or(now, |last| now.max(last + 1))
    }

    fn drop_idle(&mut self, now: i64) {
        // Two at a time keep up, since a call adds at most one.
        for _ in 0..2 {
            let oldest = self.by_use.first_key_value().map(|(used, _)| *used);
            if oldest.is_some_and(|used| used < now - IDLE) {
                self.evict_oldest();
            }
        }
    }

    fn evict_oldest(&mut self) -> bool {
        let oldest = self.by_use.first_key_value().map(|(used, _)| *used);
        if let Some(used) = oldest {
            self.evict(used);
        }

        oldest.is_some()
    }

    fn evict(&mut self, used: i64) {
        let Some(buyer) = self.by_use.remove(&used) else {
            return;
        };
        let Some(entries) = self.accounts.get_mut(&buyer) else {
            return;
        };

        if let Some(at) = entries.iter().position(|entry| entry.used == used) {
            self.bytes -= entries.swap_remove(at).weight;
        }

        // Accounts without Views are dropped, or the index would grow with every buyer ever seen.
        if entries.is_empty() {
            self.accounts.remove(&buyer);
        }
    }
}

/// Pages that were requested once, in two halves: when the younger one is full, the older one is forgotten.
#[derive(Default)]
struct Candidates {
    hasher: RandomState,
    young: HashMap<u64, i64>,
    old: HashMap<u64, i64>,
}

impl Candidates {
    /// Returns whether the page was requested within [`ADMISSION`], and takes note of the request.
    fn is_second(&mut self, key: &ViewKey, now: i64) -> bool {
        // A hash instead of the key: two keys with the same one cost a View too early, and nothing else.
        let hash = self.hasher.hash_one(key);
        let before = self.young.get(&hash).or(self.old.get(&hash)).copied();

        // A clock that was set back makes the age negative, which counts as long ago.
        if before.is_some_and(|before| (0..=ADMISSION).contains(&(now - before))) {
            self.young.remove(&hash);
            self.old.remove(&hash);
            return true;
        }

        if self.young.len() >= CANDIDATES / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, now);
        false
    }
}
