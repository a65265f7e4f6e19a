//! Who woke a socket: what says little has a waker of its own, so that it is left alone while it has nothing new. A push
//! to thousands of sockets then costs none of them a look at its client or its clocks.
//!
//! Operations have none: they wake the socket's task itself, and are looked at whenever it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::{Mutex, MutexGuard};

/// What a socket waits for beside its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Time, keys, the end of the process.
    Signals,
    /// What the client says.
    Client,
}

/// The wakers of one socket, and which of its sources are to be looked at.
pub(super) struct Wakes {
    shared: Arc<Shared>,
    wakers: [Waker; 2],
    /// The task that is woken.
    task: Waker,
    /// Sources that have not said since that they have nothing.
    due: u8,
}

struct Shared {
    task: Mutex<Waker>,
    woken: AtomicU8,
}

struct OfSource {
    shared: Arc<Shared>,
    source: Source,
}

impl Source {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Shared {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock()
    }
}

impl Wake for OfSource {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared
            .woken
            .fetch_or(self.source.bit(), Ordering::SeqCst);
        self.shared.task().wake_by_ref();
    }
}

impl Wakes {
    /// All sources are to be looked at.
    pub(super) fn new() -> Self {
        let task = Waker::noop().clone();
        let shared = Arc::new(Shared {
            task: Mutex::new(task.clone()),
            woken: AtomicU8::new(0),
        });
        let waker = |source| {
            Waker::from(Arc::new(OfSource {
                shared: Arc::clone(&shared),
                source,
            }))
        };
        let sources = [Source::Signals, Source::Client];
        let due = sources.map(Source::bit).iter().sum();
        Self {
            wakers: sources.map(waker),
            shared,
            task,
            due,
        }
    }

    /// Takes note of who has woken us, and wakes this task from now on.
    pub(super) fn take(&mut self, context: &Context<'_>) {
        if !self.task.will_wake(context.waker()) {
            self.task.clone_from(context.waker());
            self.shared.task().clone_from(&self.task);
        }
        // Mostly an operation has.
        if self.shared.woken.load(Ordering::SeqCst) != 0 {
            self.due |= self.shared.woken.swap(0, Ordering::SeqCst);
        }
    }

    /// A source has something new that woke nobody.
    pub(super) fn look_at(&mut self, source: Source) {
        self.due |= source.bit();
    }

    /// Looks at a source, with its waker, if there is a reason to.
    pub(super) fn look<T>(
        &mut self,
        source: Source,
        look: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.due & source.bit() == 0 {
            return Poll::Pending;
        }
        let found = look(&mut Context::from_waker(&self.wakers[source as usize]));
        if found.is_pending() {
            self.due &= !source.bit();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Source; 2] = [Source::Signals, Source::Client];

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicU8);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_task_that_looked_last_is_woken() {
        let mut wakes = Wakes::new();
        let (first, last) = (Arc::new(Task::default()), Arc::new(Task::default()));
        for task in [&first, &last, &last] {
            wakes.take(&Context::from_waker(&Waker::from(Arc::clone(task))));
            wakes.wakers[Source::Client as usize].wake_by_ref();
        }
        assert_eq!(
            [&first, &last].map(|task| task.0.load(Ordering::SeqCst)),
            [1, 2]
        );
    }

    #[test]
    fn only_who_woke_is_looked_at_until_it_has_nothing() {
        let mut wakes = Wakes::new();
        let context = Context::from_waker(Waker::noop());
        let looked_at = |wakes: &mut Wakes, found: Poll<()>| {
            wakes.take(&context);
            ALL.map(|source| {
                let mut looked = false;
                let _found = wakes.look(source, |_| {
                    looked = true;
                    found
                });
                looked
            })
        };
        assert_eq!(
            looked_at(&mut wakes, Poll::Pending),
            [true; 2],
            "at first all are"
        );
        assert_eq!(looked_at(&mut wakes, Poll::Pending), [false; 2]);
        let mut waker = None;
        wakes.look_at(Source::Client);
        let _nothing = wakes.look(Source::Client, |context| {
            waker = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        waker.expect("it was looked at").wake();
        assert_eq!(looked_at(&mut wakes, Poll::Ready(())), [false, true]);
        assert_eq!(
            looked_at(&mut wakes, Poll::Pending),
            [false, true],
            "it had more"
        );
        wakes.look_at(Source::Signals);
        assert_eq!(looked_at(&mut wakes, Poll::Pending), [true, false]);
    }
}
