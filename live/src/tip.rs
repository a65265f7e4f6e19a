//! The tip: the newest sequence that readers may read, and the wake-up of those that wait for the next one.
//!
//! The proof that no wake-up is lost stands at the top of the crate; `tests/model.rs` checks it on this very file with
//! every interleaving that matters.

use std::task::{Context, Poll, Waker};

use super::sync::{Arc, AtomicU64, Mutex, Ordering};

/// The newest sequence of a feed, and the readers that wait for a newer one.
#[derive(Default)]
pub(crate) struct Tip {
    sequence: AtomicU64,
    // One for each shard and for each read that waits; looked at once for each batch.
    sleepers: Mutex<Vec<Arc<Sleeper>>>,
}

/// Place for the waker of one reader.
#[derive(Default)]
struct Sleeper(Mutex<Option<Waker>>);

/// One reader of a tip: a task that wants to know when it moves.
pub struct TipReader {
    tip: Arc<Tip>,
    sleeper: Arc<Sleeper>,
}

impl Tip {
    /// Returns the newest sequence, 0 before there is one.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Moves the tip (step P2) and wakes all readers that wait (step P3). Everything up to `sequence` must be readable
    /// before this is called (step P1).
    pub(crate) fn advance(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Release);

        for sleeper in self.sleepers.lock().iter() {
            sleeper.wake();
        }
    }

    /// Adds a reader.
    pub(crate) fn reader(tip: &Arc<Self>) -> TipReader {
        let sleeper = Arc::new(Sleeper::default());
        tip.sleepers.lock().push(Arc::clone(&sleeper));

        TipReader {
            tip: Arc::clone(tip),
            sleeper,
        }
    }
}

impl Sleeper {
    fn wake(&self) {
        if let Some(waker) = &*self.0.lock() {
            waker.wake_by_ref();
        }
    }

    fn set(&self, waker: &Waker) {
        let mut held = self.0.lock();

        // The task is nearly always the same.
        if !held.as_ref().is_some_and(|held| held.will_wake(waker)) {
            *held = Some(waker.clone());
        }
    }
}

impl TipReader {
    /// Completes when the tip lies beyond `place`, the sequence up to which the reader has read (steps R1 and R2).
    pub fn poll_beyond(&self, place: u64, context: &Context<'_>) -> Poll<()> {
        // The waker first: a tip that moves after the look at it must find somebody to wake.
        self.sleeper.set(context.waker());

        if self.tip.sequence() > place {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for TipReader {
    fn drop(&mut self) {
        let mut sleepers = self.tip.sleepers.lock();
        sleepers.retain(|sleeper| !Arc::ptr_eq(sleeper, &self.sleeper));
    }
}
