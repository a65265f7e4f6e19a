//! Promises of the embedded log alone: nothing that was acknowledged is lost with its process, and
//! appends that come together share a transaction.

use std::fs;

use backbone::contract::Event;
use backbone::event_log::AppendAnswer::{Refused, Stored};
use backbone::position::Sequence;
use backbone::testkit::wait_until;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::deals::event;
use crate::logs::{SOON, event_of, read, sqlite, store, tail};

#[tokio::test]
async fn sqlite_log_keeps_acknowledged_events_when_its_process_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (acknowledged, folder) =
        tokio::task::spawn_blocking(|| (write_until_the_runtime_is_gone(&folder), folder))
            .await
            .expect("the writers are well");

    let log = sqlite(&folder).await;
    let head = log.head().await.expect("the log is up");
    let records = read(&mut tail(&log, 0).await, head as usize).await;
    for (sequence, event) in &acknowledged {
        assert_eq!(event_of(&records[*sequence as usize - 1]), event);
    }
}

/// Sixteen writers without end, whose runtime is dropped in the middle of it.
fn write_until_the_runtime_is_gone(folder: &TempDir) -> Vec<(Sequence, Event)> {
    let process = Runtime::new().expect("a runtime can be made");
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let received = process.block_on(async {
        let log = sqlite(folder).await;
        let mut writers = JoinSet::new();
        for writer in 0..16 {
            let (log, acknowledge) = (log.clone(), acknowledge.clone());
            writers.spawn(async move {
                for number in (writer..).step_by(16) {
                    let event = event(number, 1);
                    let Stored(end) = log.append(&event, 0).await else {
                        return;
                    };

                    acknowledge
                        .send((end.sequence, event))
                        .expect("the test listens");
                }
            });
        }

        let mut received = Vec::new();
        acknowledged.recv_many(&mut received, 1).await;
        while received.len() < 500 {
            acknowledged.recv_many(&mut received, 500).await;
        }

        received
    });

    process.shutdown_background();
    received
}

#[tokio::test]
async fn sqlite_log_commits_concurrent_appends_in_one_transaction() {
    const APPENDS: u128 = 256;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let log = sqlite(&folder).await;
    let before = commits(&folder);
    let mut writers = JoinSet::new();
    for number in 0..APPENDS {
        let log = log.clone();
        writers.spawn(async move { store(&log, &event(number, 1), 0).await });
    }

    writers.join_all().await;
    let spent = commits(&folder) - before;
    assert!(
        (1..=16).contains(&spent),
        "{spent} transactions for {APPENDS} appends"
    );
}

/// Returns the number of transactions in the write-ahead log: of the frames that name the size of
/// the database after a commit. Nothing has been moved out of the log while it has fewer than a
/// thousand pages.
fn commits(folder: &TempDir) -> usize {
    let wal = fs::read(folder.path().join("log.db-wal")).expect("the log is in WAL mode");
    let number = |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().expect("four bytes"));
    let page_size = number(8) as usize;
    // A header of 32 bytes, then frames of 24 bytes and a page.
    (32..wal.len())
        .step_by(24 + page_size)
        .filter(|frame| number(frame + 4) > 0)
        .count()
}

#[tokio::test]
async fn sqlite_log_goes_on_after_a_transaction_that_sqlite_rolled_back() {
    // Goal: a failure of the disk is over when the disk works again.
    // Method: let each insert end with SQLite's own rollback, as a full disk does, and then no more.
    // Proven: the append is refused and told, later ones are stored, and readiness follows.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let log = sqlite(&folder).await;
    store(&log, &event(1, 1), 0).await;
    let options = SqliteConnectOptions::new().filename(folder.path().join("log.db"));
    let mut beside = SqliteConnection::connect_with(&options)
        .await
        .expect("the log's file is there");
    let fault = "CREATE TRIGGER fault BEFORE INSERT ON event
                 BEGIN SELECT RAISE(ROLLBACK, 'no room'); END";
    beside.execute(fault).await.expect("it is ours");

    for number in 2..=4 {
        let refused = log.append(&event(number, 1), 0).await;
        assert!(matches!(refused, Refused { .. }), "{refused:?}");
    }
    let down = log.check().await.expect_err("it cannot be written");
    assert!(down.is_unavailable(), "{down}");
    assert!(down.to_string().contains("no room"), "{down}");

    beside
        .execute("DROP TRIGGER fault")
        .await
        .expect("it is ours");
    wait_until(SOON, "the log finds out by itself", async || {
        log.check().await.is_ok()
    })
    .await;
    assert_eq!(store(&log, &event(5, 1), 0).await, 3);
}
