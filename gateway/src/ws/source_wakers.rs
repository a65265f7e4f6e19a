//! Wakers of a socket's rarely ready sources, so that the session polls only those that have something new.
//!
//! A push to thousands of sockets wakes thousands of sessions. With a waker for each source, such a wake-up polls a
//! session's operations and neither its client nor its timers, each of which would cost more than the push.
//!
//! Operations have no waker of their own: they wake the session's task directly, and are polled whenever it runs.
//!
//! No wake-up is lost: a source's waker marks the source before it wakes the task, and the task installs its own waker
//! before it collects the marks. So a mark that comes too late to be collected finds the installed waker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Source of events beside the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Timers, keys and the end of the process.
    Signals,
    /// Messages of the client.
    Client,
}

/// Wakers of one socket's sources, and the sources that are due to be polled.
pub(super) struct SourceWakers {
    shared: Arc<Shared>,
    wakers: [Waker; 2],
    /// Waker of the session's task, as installed in `shared`.
    task: Waker,
    /// Bits of the sources that have not returned `Pending` since they were last woken.
    due: u8,
}

struct Shared {
    // A lock, because a waker cannot be replaced atomically. Hardly contended: it is taken when a source wakes the task,
    // and when the task has moved.
    task: Mutex<Waker>,
    /// Bits of the sources that were woken since the task last collected them.
    woken: AtomicU8,
}

struct SourceWaker {
    shared: Arc<Shared>,
    source: Source,
}

impl Source {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Wake for SourceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The mark before the wake-up, or the task could run and find nothing to poll. SeqCst, as on the other side: the
        // mark must be visible to a task whose waker was installed before the lock below was taken.
        self.shared
            .woken
            .fetch_or(self.source.bit(), Ordering::SeqCst);
        self.shared.task.lock().wake_by_ref();
    }
}

impl SourceWakers {
    /// Creates the wakers; every source is due.
    pub(super) fn new() -> Self {
        let task = Waker::noop().clone();
        let shared = Arc::new(Shared {
            task: Mutex::new(task.clone()),
            woken: AtomicU8::new(0),
        });
        let waker = |source| {
            Waker::from(Arc::new(SourceWaker {
                shared: Arc::clone(&shared),
                source,
            }))
        };

        let sources = [Source::Signals, Source::Client];
        // Due at first, since no source has been polled and so none has a waker to call.
        let due = sources.map(Source::bit).iter().sum();

        Self {
            wakers: sources.map(waker),
            shared,
            task,
            due,
        }
    }

    /// Installs the waker of the running task and collects the sources that were woken.
    pub(super) fn collect(&mut self, context: &Context<'_>) {
        // Compared with a copy of our own, so that the lock is taken only when the task has changed, which is rare.
        if !self.task.will_wake(context.waker()) {
            self.task.clone_from(context.waker());
            self.shared.task.lock().clone_from(&self.task);
        }

        // Loaded first: nearly always an operation has woken the task, and a load is cheaper than a swap.
        if self.shared.woken.load(Ordering::SeqCst) != 0 {
            self.due |= self.shared.woken.swap(0, Ordering::SeqCst);
        }
    }

    /// Makes a source due that has something new without having called its waker.
    pub(super) fn mark_due(&mut self, source: Source) {
        self.due |= source.bit();
    }

    /// Polls a source with its own waker if it is due; returns `Pending` otherwise.
    pub(super) fn poll_source<T>(
        &mut self,
        source: Source,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.due & source.bit() == 0 {
            return Poll::Pending;
        }

        let polled = poll(&mut Context::from_waker(&self.wakers[source as usize]));
        // A source that was ready may have more and is not obliged to wake anybody for it: it stays due.
        if polled.is_pending() {
            self.due &= !source.bit();
        }

        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Source; 2] = [Source::Signals, Source::Client];

    /// A task that counts its wake-ups.
    #[derive(Default)]
    struct Task(AtomicU8);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn source_waker_wakes_the_task_that_polled_last() {
        let mut wakers = SourceWakers::new();
        let first = Arc::new(Task::default());
        let last = Arc::new(Task::default());

        for task in [&first, &last, &last] {
            wakers.collect(&Context::from_waker(&Waker::from(Arc::clone(task))));
            wakers.wakers[Source::Client as usize].wake_by_ref();
        }

        assert_eq!(
            [&first, &last].map(|task| task.0.load(Ordering::SeqCst)),
            [1, 2]
        );
    }

    #[test]
    fn source_is_polled_from_its_wake_up_until_it_is_pending() {
        let mut wakers = SourceWakers::new();
        let context = Context::from_waker(Waker::noop());
        let polled = |wakers: &mut SourceWakers, result: Poll<()>| {
            wakers.collect(&context);
            ALL.map(|source| {
                let mut polled = false;
                let _result = wakers.poll_source(source, |_| {
                    polled = true;
                    result
                });
                polled
            })
        };

        assert_eq!(
            polled(&mut wakers, Poll::Pending),
            [true; 2],
            "at first all are due"
        );
        assert_eq!(polled(&mut wakers, Poll::Pending), [false; 2]);

        let mut waker = None;

        wakers.mark_due(Source::Client);
        let _pending = wakers.poll_source(Source::Client, |context| {
            waker = Some(context.waker().clone());
            Poll::<()>::Pending
        });

        waker.expect("the source was polled").wake();

        assert_eq!(polled(&mut wakers, Poll::Ready(())), [false, true]);
        assert_eq!(
            polled(&mut wakers, Poll::Pending),
            [false, true],
            "it was ready the last time"
        );

        wakers.mark_due(Source::Signals);
        assert_eq!(polled(&mut wakers, Poll::Pending), [true, false]);
    }
}
