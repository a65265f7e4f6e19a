//! The projection runner on both engines, with a toy projection: every event once and in order,
//! whichever worker dies or loses a race.

mod dead;
mod faults;
mod foreign;
mod hostile;
mod toy;

use backbone::Error;
use backbone::db::Db;
use backbone::event_log::EventLog;
use backbone::testkit::wait_until;
use tokio::task::JoinSet;

use crate::databases::{TestDb, on_both_engines};
use crate::deals::event;
use crate::logs::{SOON, TestLog, store};
use toy::{Running, caught_up, checkpoint, rows, start, worker};

on_both_engines! {
    projection_applies_every_event_in_order_and_restarts_from_its_checkpoint,
    projection_worker_writes_nothing_when_another_moved_the_checkpoint,
    projection_workers_apply_each_event_once_and_the_standby_takes_over,
    projection_waits_at_an_event_that_its_tables_refuse,
}

async fn projection_applies_every_event_in_order_and_restarts_from_its_checkpoint(test: TestDb) {
    let (log, db) = begin(&test).await;
    let mut all = vec![(1, 1)];
    for round in 0..3 {
        let worker = start(&log.log, &db);
        for number in 1..=100 {
            all.push((store(&log.log, &event(round * 100 + number, 1), 0).await, 1));
        }

        assert_eq!(caught_up(&log.log, &db).await, all);
        assert_eq!(worker.complaint(), "");
        assert!(
            is_chain(&worker.commits.all()),
            "{:?}",
            worker.commits.all()
        );

        worker.stop().await;
        // While nobody works.
        all.push((store(&log.log, &event(1_000 + round, 1), 0).await, 1));
    }

    let last = all.pop().expect("it was stored");
    let checkpoint = checkpoint(&db).await;
    assert_eq!(
        (checkpoint.position, checkpoint.event_id),
        (last.0 - 1, Some(event(300, 1).id))
    );

    assert_eq!(
        checkpoint.epoch,
        log.log.epoch().await.expect("the log is up")
    );
}

async fn projection_worker_writes_nothing_when_another_moved_the_checkpoint(test: TestDb) {
    let (log, db) = begin(&test).await;
    store(&log.log, &event(1, 1), 0).await;
    let (first, second) = (worker(&log.log, &db), worker(&log.log, &test.beside()));
    let (from_first, mut tail_of_first) = first.open().await.expect("all is up");
    let (from_second, mut tail_of_second) = second.open().await.expect("all is up");
    let moved = first
        .run_once(from_first, &mut tail_of_first)
        .await
        .expect("it is the first");

    assert_eq!(moved.position, 2);

    let late = second.run_once(from_second, &mut tail_of_second).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    assert_eq!(rows(&db).await, [(1, 1), (2, 1)]);
    assert_eq!(checkpoint(&db).await, moved);
}

async fn projection_workers_apply_each_event_once_and_the_standby_takes_over(test: TestDb) {
    let (log, db) = begin(&test).await;
    let mut workers = vec![start(&log.log, &db), start(&log.log, &test.beside())];
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let log = log.log.clone();
        writers.spawn(async move {
            for number in 0..100 {
                store(&log, &event(writer * 1_000 + number, 1), 0).await;
            }
        });
    }

    writers.join_all().await;
    let all: Vec<_> = (1..=401).map(|sequence| (sequence, 1)).collect();
    assert_eq!(caught_up(&log.log, &db).await, all);
    let mut commits: Vec<_> = all_commits(&workers, 401).await;
    commits.sort_unstable();
    assert!(is_chain(&commits), "{commits:?}");

    let active = workers
        .iter()
        .position(|worker| worker.commits.all().contains(commits.last().expect("some")));

    workers
        .remove(active.expect("one of them committed last"))
        .stop()
        .await;

    store(&log.log, &event(9_999, 1), 0).await;
    assert_eq!(caught_up(&log.log, &db).await.len(), 402);
    for worker in workers {
        assert_eq!(worker.complaint(), "");
        worker.stop().await;
    }
}

async fn projection_waits_at_an_event_that_its_tables_refuse(test: TestDb) {
    let (log, db) = begin(&test).await;
    store(&log.log, &event(1, 1), 0).await;
    toy::insert(&db, 2, 7).await;
    let worker = start(&log.log, &db);
    wait_until(SOON, "it names the event", async || {
        let why = worker.complaint();
        why.contains("event 2 cannot be applied") && why.to_lowercase().contains("unique")
    })
    .await;

    let rows = rows(&db).await;
    assert_eq!(rows, [(1, 1), (2, 7)], "what came before is there");
    worker.stop().await;
}

/// The commits of all workers, once they have noted the one that came to `last`.
async fn all_commits(workers: &[Running], last: u64) -> Vec<(u64, u64)> {
    let commits = || {
        workers
            .iter()
            .flat_map(|worker| worker.commits.all())
            .collect::<Vec<_>>()
    };

    wait_until(SOON, "the last commit is noted", async || {
        commits().iter().any(|(_, to)| *to == last)
    })
    .await;

    commits()
}

/// Whether each commit begins where the one before it ended.
fn is_chain(commits: &[(u64, u64)]) -> bool {
    commits.windows(2).all(|pair| pair[0].1 == pair[1].0)
}

/// Opens a new log, and creates the toy table in a new database.
async fn begin(test: &TestDb) -> (TestLog, Db) {
    toy::create_table(&test.db).await;
    (TestLog::sqlite().await, test.db.clone())
}

/// An event that must be stored at the end of its subject.
async fn append(log: &EventLog, event: &backbone::contract::Event) -> u64 {
    let last = log.last(&event.subject).await.expect("the log is up");
    store(log, event, last.map_or(0, |last| last.sequence)).await
}
