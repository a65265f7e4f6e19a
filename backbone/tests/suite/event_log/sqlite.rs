//! Promises of the embedded log alone: nothing that was acknowledged is lost with its process, and
//! appends that come together share a transaction.

use std::fs;

use backbone::contract::Event;
use backbone::event_log::AppendAnswer::Stored;
use backbone::position::Sequence;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::deals::event;
use crate::logs::{event_of, read, sqlite, store, tail};

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
