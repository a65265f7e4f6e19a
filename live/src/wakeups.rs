//! Index from topics to parked subscribers, and the protocol by which none of them misses a change.
//!
//! A subscriber at the tip parks in a [`WakeSlot`] registered for its topics. A change costs only the subscribers of its
//! topics; one whose sellers are quiet costs nothing.
//!
//! # Why no wake-up is lost
//!
//! The publisher is [`Feed::append`](crate::Feed), the subscriber is `Subscriber::park`:
//!
//! | publisher, under the feed's write lock | subscriber, without any lock |
//! |---|---|
//! | P1. appends to the ring | S1. registers its topics, if its access has changed since the last time |
//! | P2. stores the new tip in `tip_ahead` | S2. stores "quiet" in its slot |
//! | P3. applies access changes | S3. loads `tip_ahead`; unparks if there is more to read |
//! | P4. marks and wakes the quiet slots of the changes' topics | S4. stores its waker |
//! | P5. releases the lock; readers see the new tip | S5. loads its slot; returns `Pending` if it is still quiet |
//!
//! 1. P2 comes before P4 and S2 before S3, all of them sequentially consistent. So either S3 loads the new tip, and the
//!    subscriber reads on, or P4 finds the slot quiet, and marks it. With release and acquire alone both could miss: each
//!    side stores one variable and then loads the other's.
//! 2. A topic that S1 registers after P4 has searched the index is registered after P2, because both take the index's
//!    lock. S3 then loads the new tip.
//! 3. P4 marks the slot before it locks the waker, and S4 releases that lock before S5. So either P4 finds the waker, or
//!    S5 finds the mark.
//! 4. A grant that adds a topic is itself a change of a topic that the buyer has always registered, so it wakes the
//!    subscriber, whose next S1 registers the new topic. P3 before P4: the access that it reads then includes the grant.
//! 5. P4 comes before P5: whoever has read a tip and afterwards finds a slot quiet knows that nothing up to that tip
//!    concerns its subscriber. Pings carry positions by this rule ([`WakeSlot::is_caught_up_with`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use buyer_core::feed::{Change, ChangeBody};
use parking_lot::Mutex;
use uuid::Uuid;

/// Subject that a parked subscriber waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Deals of this seller.
    Deals(Uuid),
    /// Access changes that name this seller or buyer.
    Access(Uuid),
}

/// State of one subscriber that is parked or may park.
///
/// The slot remembers the first change that concerns the subscriber, so that a subscriber that wakes skips all changes
/// between its offset and that one without reading them.
#[derive(Debug)]
pub(crate) struct WakeSlot {
    /// Sequence of the first change of concern since the subscriber parked; [`QUIET`] if there was none, [`UNPARKED`]
    /// while the subscriber is not parked.
    first: AtomicU64,
    /// Sequence up to which the subscriber had read when it parked.
    offset: AtomicU64,
    // Kept from one wake-up to the next, since the task is nearly always the same. A lock, because a waker cannot be
    // replaced atomically; the publisher takes it only for slots that it has just marked.
    waker: Mutex<Option<Waker>>,
}

/// Value of [`WakeSlot::first`] for a parked subscriber that nothing has concerned; sequences begin with 1.
const QUIET: u64 = 0;

/// Value of [`WakeSlot::first`] for a subscriber that is not parked.
const UNPARKED: u64 = u64::MAX;

impl Default for WakeSlot {
    fn default() -> Self {
        Self {
            first: AtomicU64::new(UNPARKED),
            offset: AtomicU64::new(0),
            waker: Mutex::default(),
        }
    }
}

impl WakeSlot {
    /// Parks the subscriber, which has read up to sequence `offset` (step S2). The caller must look for new changes
    /// afterwards and [unpark](Self::unpark) if there are any.
    pub(crate) fn park(&self, offset: u64) {
        // The offset first: whoever sees the slot quiet must not see the offset of an earlier time.
        self.offset.store(offset, Ordering::SeqCst);
        self.first.store(QUIET, Ordering::SeqCst);
    }

    /// Unparks the subscriber, which reads on by itself.
    pub(crate) fn unpark(&self) {
        self.first.store(UNPARKED, Ordering::SeqCst);
    }

    /// Completes when a change concerns the parked subscriber: unparks it and returns the first such change's sequence.
    pub(crate) fn poll_woken(&self, context: &mut Context<'_>) -> Poll<u64> {
        // A slot that is marked already needs no waker, and so no lock.
        if self.is_quiet() {
            let mut waker = self.waker.lock();
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        }

        // Loaded again, after the waker is in place: a change that came in between has found the old waker or none (S5).
        match self.first.load(Ordering::SeqCst) {
            QUIET => Poll::Pending,
            sequence => {
                self.unpark();
                Poll::Ready(sequence)
            }
        }
    }

    /// Returns whether the subscriber is parked, woken or not.
    pub(crate) fn is_parked(&self) -> bool {
        self.first.load(Ordering::SeqCst) != UNPARKED
    }

    /// Returns whether the subscriber has seen everything up to `tip`, a tip that was read before this call.
    pub(crate) fn is_caught_up_with(&self, tip: u64) -> bool {
        // A subscriber that resumed from a gateway that was ahead of this one parks beyond the tip. The tip is then not
        // its position: resuming from there would repeat what it has seen.
        self.is_quiet() && self.offset.load(Ordering::SeqCst) <= tip
    }

    fn is_quiet(&self) -> bool {
        self.first.load(Ordering::SeqCst) == QUIET
    }

    /// Marks the slot and wakes its subscriber (step P4), unless it is marked already or not parked.
    fn notify(&self, sequence: u64) {
        // Compare and exchange: only the first change of concern may stay, and a subscriber that has unparked meanwhile
        // must not be parked again by a plain store.
        let marked =
            self.first
                .compare_exchange(QUIET, sequence, Ordering::SeqCst, Ordering::SeqCst);

        if marked.is_ok()
            && let Some(waker) = &*self.waker.lock()
        {
            waker.wake_by_ref();
        }
    }
}

/// Slots of all subscribers, by topic.
#[derive(Default)]
pub(crate) struct Wakeups {
    // One lock over all topics: a batch of changes takes it once, and subscribers take it only when their topics change,
    // not each time that they park.
    topics: Mutex<HashMap<Topic, HashMap<RegistrationId, Arc<WakeSlot>>>>,
    next_id: AtomicU64,
}

/// Key of a registration within a topic, so that removing one costs the same however many others there are.
type RegistrationId = u64;

impl Wakeups {
    /// Notifies the subscribers that `changes` concern (step P4). Must be called before the new tip can be read.
    pub(crate) fn notify(&self, changes: &[Arc<Change>]) {
        let topics = self.topics.lock();
        for change in changes {
            let concerned: &[Topic] = match &change.body {
                ChangeBody::Deal { .. } => &[Topic::Deals(change.seller_id.0)],
                ChangeBody::Access { buyer, .. } => {
                    &[Topic::Access(change.seller_id.0), Topic::Access(buyer.0)]
                }
            };

            let slots = concerned
                .iter()
                .filter_map(|topic| topics.get(topic))
                .flat_map(HashMap::values);
            for slot in slots {
                slot.notify(change.sequence);
            }
        }
    }

    fn add(&self, topic: Topic, id: RegistrationId, slot: &Arc<WakeSlot>) {
        let mut topics = self.topics.lock();
        topics
            .entry(topic)
            .or_default()
            .insert(id, Arc::clone(slot));
    }

    fn remove(&self, topic: Topic, id: RegistrationId) {
        let mut topics = self.topics.lock();
        if let Some(slots) = topics.get_mut(&topic) {
            slots.remove(&id);

            // Topics that nobody waits for are dropped, or the index would grow with every seller ever followed.
            if slots.is_empty() {
                topics.remove(&topic);
            }
        }
    }
}

/// A slot with the topics that it is registered for. Dropping it removes the slot from the index.
pub(crate) struct Registration {
    wakeups: Arc<Wakeups>,
    id: RegistrationId,
    slot: Arc<WakeSlot>,
    topics: HashSet<Topic>,
}

impl Registration {
    /// Creates a registration without topics.
    pub(crate) fn new(wakeups: Arc<Wakeups>) -> Self {
        // Relaxed: the number only has to be unique, and orders nothing.
        let id = wakeups.next_id.fetch_add(1, Ordering::Relaxed);

        Self {
            wakeups,
            id,
            slot: Arc::default(),
            topics: HashSet::new(),
        }
    }

    /// Returns the slot that is registered.
    pub(crate) fn slot(&self) -> &Arc<WakeSlot> {
        &self.slot
    }

    /// Replaces the topics that the slot is registered for (step S1).
    pub(crate) fn follow(&mut self, topics: HashSet<Topic>) {
        // Additions before removals: a topic in both sets is touched by neither, so it is never unregistered for a
        // moment in which a change could pass.
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
    async fn wakeups_report_the_first_change_of_concern() {
        let wakeups = Arc::new(Wakeups::default());
        let mut registration = Registration::new(Arc::clone(&wakeups));

        registration.follow([Topic::Access(Uuid::from_u128(7))].into());
        registration.slot().park(2);

        wakeups.notify(&[access(3, 1, 2)]);
        assert!(registration.slot().is_caught_up_with(3));
        assert!(
            !registration.slot().is_caught_up_with(1),
            "it parked beyond that tip"
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
