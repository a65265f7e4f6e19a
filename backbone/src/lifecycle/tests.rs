//! Shutdown in its two stages, with time moved by hand. It refuses real time, but for the one real
//! signal.

use std::convert::Infallible;
use std::process::Command;

use tokio::time::Instant;

use super::*;

const GRACE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn tasks_that_heed_draining_end_without_stage_two_or_waiting() {
    let (lifecycle, began) = (Lifecycle::new(), Instant::now());
    let (draining, stopping) = (lifecycle.draining(), lifecycle.stopping());
    lifecycle.spawn("worker", async move {
        draining.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!stopping.is_cancelled());
        Ok::<_, Infallible>(())
    });

    assert_eq!(lifecycle.finish(GRACE).await, Ok(()));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_grace_ends_in_stage_two() {
    let (lifecycle, began) = (Lifecycle::new(), Instant::now());
    let stopping = lifecycle.stopping();
    lifecycle.spawn_detached("connection", async move { stopping.cancelled().await });
    assert_eq!(lifecycle.finish(GRACE).await, Ok(()));
    assert_eq!(began.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn support_lives_until_the_work_is_done_and_is_not_waited_for_in_stage_one() {
    let (lifecycle, began) = (Lifecycle::new(), Instant::now());
    let (stopping, draining, in_use) = (lifecycle.stopping(), lifecycle.draining(), Arc::new(()));
    let held = in_use.clone();
    lifecycle.spawn_support("link", async move {
        stopping.cancelled().await;
        assert_eq!(Arc::strong_count(&held), 1, "the work was still going on");
        Ok::<_, Infallible>(())
    });

    lifecycle.spawn("worker", async move {
        draining.cancelled().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(in_use);
        Ok::<_, Infallible>(())
    });

    assert_eq!(lifecycle.finish(GRACE).await, Ok(()));
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_first_error_shuts_down_and_is_the_result() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("projection", async {
        Err("the log is not the one we followed")
    });

    soon(lifecycle.draining().cancelled()).await;
    lifecycle.spawn("late", async { Err("because the other one is gone") });
    let failure = lifecycle.finish(GRACE).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "projection failed: the log is not the one we followed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_task_shuts_down_and_is_the_result() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn::<Infallible>("dispatcher", async { panic!("lease {}", 7) });
    soon(lifecycle.draining().cancelled()).await;
    let failure = lifecycle.finish(GRACE).await.unwrap_err();
    assert_eq!(
        failure,
        Failure {
            task: "dispatcher".to_owned(),
            why: "panicked: lease 7".to_owned()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_detached_task_is_counted_and_ends_nothing() {
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new());
    lifecycle.measure(&metrics);
    let (sender, ended) = oneshot::channel::<()>();
    lifecycle.spawn_detached("connection", async move {
        let _dropped_by_the_panic = sender;
        panic!("odd frame");
    });

    soon(ended).await.unwrap_err();
    let still_draining = lifecycle.draining();
    tokio::task::yield_now().await;
    assert!(!still_draining.is_cancelled());
    assert_eq!(lifecycle.clone().finish(GRACE).await, Ok(()));
    assert!(
        metrics
            .encode()
            .contains("dealwire_detached_panics_total 1\n"),
        "{}",
        metrics.encode()
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_heeds_nothing_is_aborted_and_named() {
    let (lifecycle, began) = (Lifecycle::new(), Instant::now());
    let held = Arc::new(());
    let in_task = held.clone();
    lifecycle.spawn("deaf", async move {
        let _in_task = in_task;
        pending::<Result<(), Infallible>>().await
    });

    let failure = lifecycle.finish(GRACE).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "deaf (1) failed: still running 2s after it was told to stop"
    );

    assert_eq!(began.elapsed(), GRACE + STOPPING);
    assert_eq!(Arc::strong_count(&held), 1, "the task was not dropped");
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_stops() {
    let lifecycle = Lifecycle::new();
    let stopping = lifecycle.stopping();
    lifecycle.spawn_detached("connection", async move { stopping.cancelled().await });
    let waiting = lifecycle.clone();
    lifecycle.spawn("main", async move {
        waiting.run_until_signal().await;
        Ok::<_, Infallible>(())
    });
    // One turn of this single thread takes the task to where it listens.
    tokio::task::yield_now().await;
    send("TERM");
    soon(lifecycle.draining().cancelled()).await;
    assert!(!lifecycle.stopping().is_cancelled());
    send("INT");
    soon(lifecycle.stopping().cancelled()).await;
    assert_eq!(lifecycle.finish(GRACE).await, Ok(()));
}

#[tokio::test]
async fn waiting_for_a_signal_ends_when_a_task_fails() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("worker", async { Err("no") });
    soon(lifecycle.run_until_signal()).await;
    assert_eq!(lifecycle.finish(GRACE).await.unwrap_err().task, "worker");
}

async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), event)
        .await
        .expect("it should happen within 20 s")
}

fn send(signal: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &std::process::id().to_string()])
        .status();

    assert!(sent.expect("kill runs").success());
}
