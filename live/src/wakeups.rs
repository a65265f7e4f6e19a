//! Who is woken by what: by seller for deals, by party for access. A sleeper whose sellers are quiet costs nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use buyer_core::feed::{Change, ChangeBody};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

/// What a subscriber waits for: changes of a seller, or access changes that name a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Deals of this seller.
    Deals(Uuid),
    /// Access changes that name this seller or buyer.
    Access(Uuid),
}

/// Where a sleeper is woken. It remembers the first change that concerned it, so that it need not look at all those
/// before.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The first sequence of concern since the sleeper lay down, [`QUIET`] if none, [`AWAKE`] while it is up.
    first: AtomicU64,
    /// The event that it had read up to when it lay down.
    offset: AtomicU64,
    /// Kept from one time to the next: it is nearly always the same.
    waker: Mutex<Option<Waker>>,
}

const QUIET: u64 = 0;
const AWAKE: u64 = u64::MAX;

impl Default for Slot {
    fn default() -> Self {
        Self {
            first: AtomicU64::new(AWAKE),
            offset: AtomicU64::new(0),
            waker: Mutex::default(),
        }
    }
}

impl Slot {
    /// From now on what concerns it counts. It has read up to this event.
    pub(crate) fn park(&self, offset: u64) {
        self.offset.store(offset, Ordering::SeqCst);
        self.first.store(QUIET, Ordering::SeqCst);
    }

    /// It looks for itself again.
    pub(crate) fn unpark(&self) {
        self.first.store(AWAKE, Ordering::SeqCst);
    }

    /// Sleeps until a change is of concern, gets up, and returns the first such change's sequence.
    pub(crate) fn poll_woken(&self, context: &mut Context<'_>) -> Poll<u64> {
        if self.is_quiet() {
            let mut waker = self.waker();
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        }
        // Looked at again: what came in between found no waker.
        match self.first.load(Ordering::SeqCst) {
            QUIET => Poll::Pending,
            sequence => {
                self.unpark();
                Poll::Ready(sequence)
            }
        }
    }

    /// Whether it lies down, woken or not.
    pub(crate) fn is_parked(&self) -> bool {
        self.first.load(Ordering::SeqCst) != AWAKE
    }

    /// Whether a tip that was read before this was asked is its position: it sleeps, nothing has concerned it since,
    /// and it has not come from elsewhere with a position beyond that tip, which is no reason to see anything again.
    pub(crate) fn is_caught_up_with(&self, tip: u64) -> bool {
        self.is_quiet() && self.offset.load(Ordering::SeqCst) <= tip
    }

    fn is_quiet(&self) -> bool {
        self.first.load(Ordering::SeqCst) == QUIET
    }

    fn notify(&self, sequence: u64) {
        let first =
            self.first
                .compare_exchange(QUIET, sequence, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_ok()
            && let Some(waker) = &*self.waker()
        {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock()
    }
}

/// All sleepers by topic.
#[derive(Default)]
pub(crate) struct Wakeups {
    topics: Mutex<HashMap<Topic, HashMap<SleeperId, Arc<Slot>>>>,
    sleepers: AtomicU64,
}

/// What a sleeper is found by when it goes, however many others wait for the same.
type SleeperId = u64;

impl Wakeups {
    /// Tells those concerned. Call it before the new tip can be read, so that nobody believes to be caught up in
    /// between.
    pub(crate) fn notify(&self, changes: &[Arc<Change>]) {
        let topics = self.topics.lock();
        for change in changes {
            let concerned: &[Topic] = match &change.body {
                ChangeBody::Deal { .. } => &[Topic::Deals(change.seller_id.0)],
                ChangeBody::Access { buyer, .. } => {
                    &[Topic::Access(change.seller_id.0), Topic::Access(buyer.0)]
                }
            };
            for slot in concerned
                .iter()
                .filter_map(|topic| topics.get(topic))
                .flat_map(HashMap::values)
            {
                slot.notify(change.sequence);
            }
        }
    }

    fn add(&self, topic: Topic, id: SleeperId, slot: &Arc<Slot>) {
        let mut topics = self.topics.lock();
        topics
            .entry(topic)
            .or_default()
            .insert(id, Arc::clone(slot));
    }

    fn remove(&self, topic: Topic, id: SleeperId) {
        let mut topics = self.topics.lock();
        if let Some(slots) = topics.get_mut(&topic) {
            slots.remove(&id);
            if slots.is_empty() {
                topics.remove(&topic);
            }
        }
    }
}

/// A slot with the topics that it is registered for; taken out when dropped.
pub(crate) struct Registration {
    wakeups: Arc<Wakeups>,
    id: SleeperId,
    slot: Arc<Slot>,
    topics: HashSet<Topic>,
}

impl Registration {
    pub(crate) fn new(wakeups: Arc<Wakeups>) -> Self {
        let id = wakeups.sleepers.fetch_add(1, Ordering::Relaxed);
        Self {
            wakeups,
            id,
            slot: Arc::default(),
            topics: HashSet::new(),
        }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Waits for these topics from now on, and for no others.
    pub(crate) fn follow(&mut self, topics: HashSet<Topic>) {
        for topic in topics.difference(&self.topics) {
            self.wakeups.add(*topic, self.id, &self.slot);
        }
        for topic in self.topics.difference(&topics) {
            self.wakeups.remove(*topic, self.id);
        }
        self.topics = topics;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for topic in &self.topics {
            self.wakeups.remove(*topic, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use backbone::ids::{BuyerId, SellerId};

    use super::*;

    fn access(sequence: u64, seller: u128, buyer: u128) -> Arc<Change> {
        let body = ChangeBody::Access {
            buyer: BuyerId(Uuid::from_u128(buyer)),
            granted: true,
        };
        Arc::new(Change {
            sequence,
            index: 0,
            seller_id: SellerId(Uuid::from_u128(seller)),
            body,
        })
    }

    #[tokio::test]
    async fn the_first_change_of_concern_wakes() {
        let wakeups = Arc::new(Wakeups::default());
        let mut registration = Registration::new(Arc::clone(&wakeups));
        registration.follow([Topic::Access(Uuid::from_u128(7))].into());
        registration.slot().park(2);
        wakeups.notify(&[access(3, 1, 2)]);
        assert!(registration.slot().is_caught_up_with(3));
        assert!(
            !registration.slot().is_caught_up_with(1),
            "it was there before"
        );
        wakeups.notify(&[access(4, 1, 2), access(5, 7, 2), access(6, 1, 7)]);
        let slot = Arc::clone(registration.slot());
        assert_eq!(
            std::future::poll_fn(|context| slot.poll_woken(context)).await,
            5
        );
        assert!(!registration.slot().is_caught_up_with(6));
        drop(registration);
        assert!(wakeups.topics.lock().is_empty());
    }
}
