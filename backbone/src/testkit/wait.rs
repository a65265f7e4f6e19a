//! The only place where a test waits: polls a condition until it holds or a deadline has passed. A
//! wait that fails reports what it was for and where it was called.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// Polls `condition` every 10 ms until it is true.
///
/// # Panics
/// If the condition does not become true within `deadline`, also because one evaluation hangs for
/// that long. The message has `what` and the caller's location.
#[track_caller]
pub fn wait_until(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    wait_for(deadline, what, async move || {
        condition().await.then_some(())
    })
}

/// Polls `condition` every 10 ms until it yields a value, and returns that.
///
/// # Panics
/// Under the conditions of [`wait_until`].
#[track_caller]
pub fn wait_for<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let polling = async {
            loop {
                if let Some(value) = condition().await {
                    return value;
                }

                tokio::time::sleep(POLL).await;
            }
        };

        match tokio::time::timeout(deadline, polling).await {
            Ok(value) => value,
            Err(_) => panic!("not within {deadline:?}: {what} (awaited at {caller})"),
        }
    }
}

/// Blocks until `condition` holds, for code that cannot await, such as a drop. Returns whether it
/// held in time.
pub(super) fn settles(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }

        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
