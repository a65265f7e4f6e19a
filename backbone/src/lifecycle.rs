//! Tasks of an app, and the two stages in which they end. Every task is spawned here, is awaited
//! before the process ends, and ends the process if it fails.
//!
//! Stage one, *draining*: tasks take no new work and finish what they have. Stage two, *stopping*:
//! tasks stop at once. Support tasks (links that other tasks need until they are done) are not
//! awaited in stage one.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::telemetry::Metrics;

/// Time in which tasks must end in stage two before they are aborted.
const STOPPING: Duration = Duration::from_secs(2);
/// Time in which an aborted task must reach its next await.
const ABORTING: Duration = Duration::from_millis(500);

/// Spawns the tasks of one app and ends them in order. Clones are the same lifecycle.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    draining: CancellationToken,
    stopping: CancellationToken,
    work: TaskTracker,
    support: TaskTracker,
    // Held for map operations only, never across an await.
    running: Mutex<Running>,
    first_failure: OnceLock<Failure>,
    detached_panics: Counter,
}

/// Error or panic of the task that ended the app.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} failed: {why}")]
pub struct Failure {
    /// Name that the task was spawned with.
    pub task: String,
    /// Error of the task, or the message of its panic.
    pub why: String,
}

/// Task that belongs to whoever started it: it is given up when this is dropped.
pub struct OwnedTask {
    _task: AbortOnDropHandle<()>,
}

impl OwnedTask {
    /// Starts a task.
    #[expect(
        clippy::disallowed_methods,
        reason = "its owner ends it, so the app need not"
    )]
    pub fn start(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            _task: AbortOnDropHandle::new(tokio::spawn(future)),
        }
    }
}

impl Lifecycle {
    /// Returns a lifecycle without tasks, in neither stage.
    #[expect(
        clippy::new_without_default,
        reason = "a second lifecycle in an app should not come about by default"
    )]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            work: TaskTracker::new(),
            support: TaskTracker::new(),
            running: Mutex::default(),
            first_failure: OnceLock::new(),
            detached_panics: Counter::default(),
        }))
    }

    /// Spawns a part of the app, which must end with `Ok` soon after [`draining`](Self::draining).
    /// If it ever ends with an error or a panic, the whole app shuts down and
    /// [`finish`](Self::finish) reports the failure.
    pub fn spawn<E: Display + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(&self.0.work, name, self.clone().supervise(name, future));
    }

    /// Spawns a part that others need until they are done, such as a link to a server. It is not
    /// awaited in stage one and must end at [`stopping`](Self::stopping). It fails as
    /// [`spawn`](Self::spawn) does.
    pub fn spawn_support<E: Display + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(&self.0.support, name, self.clone().supervise(name, future));
    }

    /// Spawns a task whose failure concerns nothing else, such as one connection. It is awaited in
    /// stage one. A panic is logged and counted, and ends nothing else.
    pub fn spawn_detached(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let lifecycle = self.clone();
        // Boxed once. Each wrapper around an unboxed future would hold its state twice, where it
        // came from and where it is awaited, and there are many connections.
        let future = Box::pin(future);

        self.start(&self.0.work, name, async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                lifecycle.0.detached_panics.inc();
                tracing::error!(
                    task = name,
                    panic = text_of(&*panic),
                    "a detached task panicked"
                );
            }
        });
    }

    /// Runs a future to its end in a task of its own, also if the caller stops waiting for it. It is awaited in stage one.
    ///
    /// # Errors
    /// [`Failure`] if the future panicked.
    pub async fn complete<T: Send + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        self.spawn_detached(name, async move {
            // Nobody may be left to hear of it.
            let _unheard = sender.send(future.await);
        });

        receiver.await.map_err(|_| Failure {
            task: name.to_owned(),
            why: "panicked".to_owned(),
        })
    }

    /// Returns the token of stage one: take no new work and finish what is there.
    pub fn draining(&self) -> CancellationToken {
        self.0.draining.clone()
    }

    /// Returns the token of stage two: stop at once.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    /// Starts stage one. Further calls have no effect.
    pub fn shutdown(&self) {
        self.0.draining.cancel();
    }

    /// Waits for SIGTERM or SIGINT, or until stage one starts for another reason, and starts stage
    /// one. From then on a further signal starts stage two. The caller runs
    /// [`finish`](Self::finish) next.
    pub async fn run_until_signal(&self) {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return self.fail("signals", error.to_string()),
        };

        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "shutting down"),
            () = self.0.draining.cancelled() => {}
        }

        self.shutdown();

        let stopping = self.stopping();
        // A support task, because stage one would otherwise wait for a signal that may never come.
        self.spawn_support("signals", async move {
            tokio::select! {
                name = signals.next() => {
                    tracing::warn!(signal = name, "stopping at once");
                    stopping.cancel();
                }
                () = stopping.cancelled() => {}
            }
            Ok::<_, Failure>(())
        });
    }

    /// Ends the app: stage one for up to `grace`, stage two for up to 2 s; tasks that still run are
    /// aborted.
    ///
    /// # Errors
    /// The first failure of a task, or the names of the tasks that did not end in stage two.
    pub async fn finish(self, grace: Duration) -> Result<(), Failure> {
        self.shutdown();

        // A closed tracker is done when its last task ends. It still accepts tasks, so that
        // draining tasks can spawn what they need to finish.
        self.0.work.close();
        self.0.support.close();

        tokio::select! {
            () = self.0.work.wait() => {}
            () = self.0.stopping.cancelled() => {}
            () = tokio::time::sleep(grace) => {
                tracing::warn!(tasks = self.running(), "the drain time is over, stopping");
            }
        }

        self.0.stopping.cancel();
        if !self.all_end_within(STOPPING).await {
            // Named before the abort, while the tasks are still there.
            let stuck = self.running();
            lock(&self.0.running).abort();
            self.all_end_within(ABORTING).await;
            self.fail(
                &stuck,
                format!("still running {STOPPING:?} after it was told to stop"),
            );
        }

        self.0
            .first_failure
            .get()
            .map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Registers the number of panics of detached tasks in `metrics`.
    pub fn measure(&self, metrics: &Metrics) {
        let panics = self.0.detached_panics.clone();
        metrics.register(
            "detached_panics",
            "Panics of tasks such as single connections",
            None,
            || panics,
        );
    }

    async fn all_end_within(&self, limit: Duration) -> bool {
        let all = async { tokio::join!(self.0.work.wait(), self.0.support.wait()) };
        tokio::time::timeout(limit, all).await.is_ok()
    }

    async fn supervise<E: Display>(
        self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        // Nothing of the future is used after a panic, so unwind safety is not at stake.
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(name, error.to_string()),
            Err(panic) => self.fail(name, format!("panicked: {}", text_of(&*panic))),
        }
    }

    fn start(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        // Registered before the spawn: the task may end, and remove itself, at any moment after it.
        let number = lock(&self.0.running).enter(name);
        let ended = Ended {
            inner: Arc::clone(&self.0),
            number,
        };

        let task = tracker.spawn(async move {
            let _ended = ended;
            future.await;
        });

        // The abort handle exists only now. If the task has ended, its entry is gone; if the abort
        // has come in between, `set_abort` carries it out.
        lock(&self.0.running).set_abort(number, task.abort_handle());
    }

    fn fail(&self, task: &str, why: String) {
        tracing::error!(task, why, "a task failed, shutting down");
        // The first failure wins; later ones are mostly its consequences.
        let _ = self.0.first_failure.set(Failure {
            task: task.to_owned(),
            why,
        });

        self.shutdown();
    }

    fn running(&self) -> String {
        let mut count = BTreeMap::<&str, usize>::new();
        for task in lock(&self.0.running).tasks.values() {
            *count.entry(task.name).or_default() += 1;
        }

        let named: Vec<String> = count
            .iter()
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();

        named.join(", ")
    }
}

/// Tasks that have not ended, by number.
#[derive(Default)]
struct Running {
    tasks: HashMap<u64, Task>,
    last: u64,
    /// Set once the tasks are being aborted; tasks that are spawned from then on are aborted too.
    aborting: bool,
}

struct Task {
    name: &'static str,
    /// `None` for the moment between registration and spawn.
    abort: Option<AbortHandle>,
}

impl Running {
    fn enter(&mut self, name: &'static str) -> u64 {
        self.last += 1;
        self.tasks.insert(self.last, Task { name, abort: None });
        self.last
    }

    /// Stores the handle by which a task is aborted, or aborts it if that has begun. A task that
    /// has ended is no longer registered.
    fn set_abort(&mut self, number: u64, handle: AbortHandle) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };

        if self.aborting {
            handle.abort();
        }

        task.abort = Some(handle);
    }

    fn abort(&mut self) {
        self.aborting = true;

        self.tasks
            .values()
            .filter_map(|task| task.abort.as_ref())
            .for_each(AbortHandle::abort);
    }
}

/// Guard that a task holds until it ends, also by a panic or an abort.
struct Ended {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Ended {
    fn drop(&mut self) {
        lock(&self.inner.running).tasks.remove(&self.number);
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self {
            terminate,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            // Both streams ended: no signal can come any more.
            else => pending().await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
