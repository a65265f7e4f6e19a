//! The wake-up protocol of the tip, through every interleaving and every order of memory that its atomics allow. The file
//! under test is the crate's own; only the types that it synchronises with are loom's.

#[path = "../src/tip.rs"]
#[expect(
    unreachable_pub,
    reason = "what the crate exports is a part of a test here"
)]
mod tip;

/// Types of the names that `tip.rs` uses.
mod sync {
    pub(super) use std::sync::Arc;

    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    /// Mutex with the interface of the one that the crate uses.
    #[derive(Default)]
    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics with the lock held")
        }
    }
}

use std::future::poll_fn;

use loom::future::block_on;
use loom::thread;
use sync::{Arc, AtomicU64, Ordering};
use tip::Tip;

/// What the tip makes readable.
#[derive(Default)]
struct Feed {
    ring: AtomicU64,
    tip: Arc<Tip>,
}

impl Feed {
    fn append(&self, sequence: u64) {
        // Relaxed: only the tip may order it.
        self.ring.store(sequence, Ordering::Relaxed);
        self.tip.advance(sequence);
    }

    /// Follows the tip up to `end`, as a shard does.
    fn follow(&self, end: u64) {
        let reader = Tip::reader(&self.tip);
        let mut place = 0;

        while place < end {
            // Loom reports a reader that sleeps for ever.
            block_on(poll_fn(|context| reader.poll_beyond(place, context)));

            let sequence = self.tip.sequence();
            let ring = self.ring.load(Ordering::Relaxed);
            assert!(
                ring >= sequence,
                "{sequence} was announced before it was there"
            );
            assert!(sequence > place, "woken for nothing");
            place = sequence;
        }
    }
}

/// Runs a model through every interleaving with at most this many preemptions.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);

    builder.check(model);
}

#[test]
fn reader_hears_of_every_tip() {
    check(3, || {
        let feed = Arc::new(Feed::default());
        let writer = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || (1..=2).for_each(|sequence| feed.append(sequence)))
        };

        feed.follow(2);
        writer.join().expect("the writer does not panic");
    });
}

#[test]
fn readers_do_not_take_each_others_wake_ups() {
    check(2, || {
        let feed = Arc::new(Feed::default());
        let follower = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || feed.follow(1))
        };
        let writer = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || feed.append(1))
        };

        feed.follow(1);
        follower.join().expect("the reader does not panic");
        writer.join().expect("the writer does not panic");
    });
}
