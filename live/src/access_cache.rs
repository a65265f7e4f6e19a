//! Cache of access intervals, one entry for each buyer with an open subscription.
//!
//! An entry is loaded from the database once and then kept exact by the access changes of the feed itself, so that
//! pushing and replaying a change decide by the same intervals.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use backbone::Error;
use backbone::ids::BuyerId;
use backbone::weak_map::WeakMap;
use buyer_core::BuyerSide;
use buyer_core::access::{Interval, Intervals};
use buyer_core::feed::{Change, ChangeBody};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::OnceCell;

/// Access intervals of the buyers that have open subscriptions.
#[derive(Default)]
pub(crate) struct AccessCache {
    // The subscribers own the entries, and an entry goes with the last subscriber of its buyer.
    buyers: Mutex<WeakMap<BuyerId, BuyerAccess>>,
    /// Generation of the tables that the entries must be of, or of a later one.
    generation: AtomicI32,
}

/// Access intervals of one buyer.
pub(crate) struct BuyerAccess {
    // A lock for readers and writers: every subscriber of the buyer reads it for every change, and a write happens only
    // when a seller grants or revokes access.
    intervals: RwLock<Intervals>,
    /// Access changes that the feed brought while the intervals were being loaded; `None` once they are loaded.
    pending: Mutex<Option<Vec<Arc<Change>>>>,
    loaded: OnceCell<()>,
}

impl AccessCache {
    /// Returns the intervals of a buyer, loading them unless a subscriber holds them already.
    ///
    /// # Errors
    /// Those of the buyer database. The next call tries again.
    pub(crate) async fn open(
        &self,
        buyers: &BuyerSide,
        buyer: BuyerId,
    ) -> Result<Arc<BuyerAccess>, Error> {
        // The entry enters the map before the database is read, so that the feed collects in `pending` what the read may
        // be too early to see. A change that both contain is harmless: applying it twice has no further effect.
        let access = self.entry(buyer);
        access
            .loaded
            .get_or_try_init(|| async {
                loop {
                    let (intervals, checkpoint) = buyers.intervals(buyer).await?;
                    if self.put(&access, &intervals, checkpoint.generation) {
                        return Ok::<_, Error>(());
                    }
                }
            })
            .await?;

        Ok(access)
    }

    /// Puts intervals that were read from tables of a generation into an entry that is being loaded. Returns false if
    /// the tables were built anew meanwhile.
    fn put(&self, access: &BuyerAccess, intervals: &[Interval], generation: i32) -> bool {
        let mut loaded = Intervals::new(intervals);

        // Held until the intervals are in place: a change that `apply` brings meanwhile waits for this lock, and then
        // finds them loaded. Otherwise it would go to intervals that are about to be overwritten.
        let mut pending = access.pending.lock();

        // Under the lock, and with the order of the lock: `reload` sets the generation first and then looks at the
        // entry, so that one of the two sees what the other has done.
        if generation < self.generation.load(Ordering::SeqCst) {
            return false;
        }

        for change in pending.take().into_iter().flatten() {
            apply_change(&mut loaded, &change);
        }

        *access.write() = loaded;
        true
    }

    /// Reads the intervals of all entries again, from tables of a new generation. Must not run beside
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    /// Those of the buyer database. Entries that were not read yet are as they were.
    pub(crate) async fn reload(&self, buyers: &BuyerSide, generation: i32) -> Result<(), Error> {
        self.generation.store(generation, Ordering::SeqCst);

        let held: Vec<(BuyerId, Arc<BuyerAccess>)> = {
            let buyers = self.buyers.lock();
            buyers
                .held()
                .map(|(buyer, access)| (*buyer, access))
                .collect()
        };

        for (buyer, access) in held {
            // An entry that is being loaded finds the new generation by itself.
            if access.pending.lock().is_some() {
                continue;
            }

            let (intervals, _) = buyers.intervals(buyer).await?;
            *access.write() = Intervals::new(&intervals);
        }

        Ok(())
    }

    fn entry(&self, buyer: BuyerId) -> Arc<BuyerAccess> {
        // One lock over look-up and insert, so that two subscribers of a buyer never load two entries, of which the feed
        // would keep only one exact.
        self.buyers
            .lock()
            .get_or_insert_with(buyer, || BuyerAccess {
                intervals: RwLock::default(),
                pending: Mutex::new(Some(Vec::new())),
                loaded: OnceCell::new(),
            })
    }

    /// Applies the access changes among `changes`. Must be called before the tip that includes them can be read, since a
    /// subscriber decides on a change by the intervals of the moment at which it reads the change.
    pub(crate) fn apply(&self, changes: &[Arc<Change>]) {
        let buyers = self.buyers.lock();
        for change in changes {
            let ChangeBody::Access { buyer, .. } = &change.body else {
                continue;
            };
            let Some(access) = buyers.get(buyer) else {
                continue;
            };

            let mut pending = access.pending.lock();
            match pending.as_mut() {
                Some(pending) => pending.push(Arc::clone(change)),
                None => apply_change(&mut access.write(), change),
            }
        }
    }
}

impl BuyerAccess {
    /// Locks the intervals, which are as new as the feed's tip.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Intervals> {
        self.intervals.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Intervals> {
        self.intervals.write()
    }
}

fn apply_change(intervals: &mut Intervals, change: &Change) {
    if let ChangeBody::Access { granted, .. } = &change.body {
        intervals.apply(change.seller_id, *granted, change.sequence);
    }
}
