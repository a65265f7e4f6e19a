//! The one place where a test waits: polls a condition until it holds or a deadline has passed.
//!
//! Refuses fixed sleeps: whoever waits says for what, and a wait that fails says where it stood.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// Polls `condition` every 10 ms until it is true.
///
/// # Panics
/// With `what` and the caller's place when it has not become true within `deadline`, also when one evaluation of
/// it hangs for that long.
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

/// Polls `condition` every 10 ms until it gives a value, and returns that.
///
/// # Panics
/// As [`wait_until`] does.
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

/// The same for places that cannot await, such as a drop: says whether the condition came true in time.
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
