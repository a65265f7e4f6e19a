//! Tables and a log that do not belong together: the worker waits and says so, and touches nothing.

use backbone::db::Db;
use backbone::on_db;
use backbone::testkit::wait_until;

use super::begin;
use super::toy::{caught_up, checkpoint, rows, start};
use crate::databases::{TestDb, on_both_engines};
use crate::deals::event;
use crate::logs::{SOON, TestLog, store};

on_both_engines! {
    projection_does_not_follow_a_different_log,
    projection_does_not_follow_a_log_with_a_different_event_at_its_checkpoint,
    projection_does_not_follow_a_log_that_ends_before_its_checkpoint,
}

async fn projection_does_not_follow_a_different_log(test: TestDb) {
    let (_log, db) = followed(&test).await;
    let other = TestLog::sqlite().await;
    store(&other.log, &event(1, 1), 0).await;
    assert_refused(&other, &db, "epoch").await;
}

async fn projection_does_not_follow_a_log_with_a_different_event_at_its_checkpoint(test: TestDb) {
    let (log, db) = followed(&test).await;
    on_db!(db.write(), pool => sqlx::query("UPDATE projection SET event_id = $1")
        .bind(event(9, 9).id).execute(pool).await.map(|_| ()))
    .expect("the checkpoint can be changed");

    assert_refused(&log, &db, "the log has a different event at sequence 2").await;
}

async fn projection_does_not_follow_a_log_that_ends_before_its_checkpoint(test: TestDb) {
    let (log, db) = followed(&test).await;
    on_db!(db.write(), pool =>
        sqlx::query("UPDATE projection SET position = 3").execute(pool).await.map(|_| ()))
    .expect("the checkpoint can be changed");

    assert_refused(
        &log,
        &db,
        "they are at sequence 3, which the log does not have",
    )
    .await;
}

/// A log and tables that have followed it to its second event.
async fn followed(test: &TestDb) -> (TestLog, Db) {
    let (log, db) = begin(test).await;
    store(&log.log, &event(1, 1), 0).await;
    let worker = start(&log.log, &db);
    caught_up(&log.log, &db).await;
    worker.stop().await;
    (log, db)
}

async fn assert_refused(log: &TestLog, db: &Db, reason: &str) {
    let before = checkpoint(db).await;
    let worker = start(&log.log, db);
    wait_until(SOON, "it says why it is not ready", async || {
        worker.complaint().contains(reason)
    })
    .await;

    worker.stop().await;
    assert_eq!(checkpoint(db).await, before);
    assert_eq!(rows(db).await, [(1, 1), (2, 1)]);
}
