//! The one door for tasks, and the two stages in which all of them end. It refuses tasks nobody waits for, and a
//! process that lives on after one of its parts has failed.
//!
//! Stage one, *draining*: take no new work, finish what is held. Stage two, *stopping*: let go now. Support tasks
//! (links that the others need until they are done) skip stage one.

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
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Metrics;

/// How long tasks may take to notice stage two before they are aborted.
const STOPPING: Duration = Duration::from_secs(2);
/// How long an aborted task may take to reach its next await.
const ABORTING: Duration = Duration::from_millis(500);

/// Owns the tasks of one app and ends them in order. Clones are the same lifecycle.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    draining: CancellationToken,
    stopping: CancellationToken,
    work: TaskTracker,
    support: TaskTracker,
    running: Mutex<Running>,
    first_failure: OnceLock<Failure>,
    detached_panics: Counter,
}

/// The task that ended the app, and its error or panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} failed: {why}")]
pub struct Failure {
    /// The name the task was spawned with.
    pub task: String,
    /// Its error, or the message of its panic.
    pub why: String,
}

impl Lifecycle {
    /// A lifecycle with no tasks, in neither stage.
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

    /// Runs a part of the app. It should end, with `Ok`, soon after [`draining`](Self::draining); if it ends with
    /// an error or a panic, ever, the whole app shuts down and [`finish`](Self::finish) reports the failure.
    pub fn spawn<E: Display + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(&self.0.work, name, self.clone().supervise(name, future));
    }

    /// Runs a part that the others need until they are done, such as a link to a server: it is not awaited in
    /// stage one and should end at [`stopping`](Self::stopping). It fails as [`spawn`](Self::spawn) does.
    pub fn spawn_support<E: Display + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(&self.0.support, name, self.clone().supervise(name, future));
    }

    /// Runs something whose failure is its own, such as one connection. It is awaited in stage one; its panic is
    /// logged and counted, and ends nothing else.
    pub fn spawn_detached(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let lifecycle = self.clone();
        // Each wrapper around it would hold it twice, where it came from and where it is awaited, and connections are
        // many.
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

    /// Cancelled in stage one: take no new work, finish what is held.
    pub fn draining(&self) -> CancellationToken {
        self.0.draining.clone()
    }

    /// Cancelled in stage two: let go now.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    /// Starts stage one. More calls change nothing.
    pub fn shutdown(&self) {
        self.0.draining.cancel();
    }

    /// Waits for SIGTERM or SIGINT and starts stage one, or for stage one however it starts. From then on a
    /// further signal starts stage two. [`finish`](Self::finish) is due when this returns.
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

    /// Ends the app: stage one for up to `grace`, stage two for up to 2 s, then what is left is aborted.
    ///
    /// # Errors
    /// The first failure of a task, or the names of the tasks that did not heed stage two.
    pub async fn finish(self, grace: Duration) -> Result<(), Failure> {
        self.shutdown();
        self.0.work.close();
        self.0.support.close();
        tokio::select! {
            () = self.0.work.wait() => {}
            () = self.0.stopping.cancelled() => {}
            () = tokio::time::sleep(grace) => {
                tracing::warn!(tasks = self.running(), "the grace is over, stopping");
            }
        }
        self.0.stopping.cancel();
        if !self.all_end_within(STOPPING).await {
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

    /// Shows the number of panics of detached tasks among `metrics`.
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
        let number = lock(&self.0.running).enter(name);
        let ended = Ended {
            inner: Arc::clone(&self.0),
            number,
        };
        let task = tracker.spawn(async move {
            let _ended = ended;
            future.await;
        });
        lock(&self.0.running).abort_by(number, task.abort_handle());
    }

    fn fail(&self, task: &str, why: String) {
        tracing::error!(task, why, "a task failed, shutting down");
        // Later failures are mostly consequences of the first.
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

/// The tasks that have not ended, by number.
#[derive(Default)]
struct Running {
    tasks: HashMap<u64, Task>,
    last: u64,
    /// Whoever comes from now on is aborted too.
    aborting: bool,
}

struct Task {
    name: &'static str,
    /// None for the moment in which it is spawned.
    abort: Option<AbortHandle>,
}

impl Running {
    fn enter(&mut self, name: &'static str) -> u64 {
        self.last += 1;
        self.tasks.insert(self.last, Task { name, abort: None });
        self.last
    }

    /// A task that has ended already is not there any more.
    fn abort_by(&mut self, number: u64, handle: AbortHandle) {
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

/// Held by a task until it ends, however it does.
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
