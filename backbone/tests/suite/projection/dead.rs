//! Events that cannot be applied: set aside with their reason, and their subjects with them, until
//! a repair.

use backbone::contract::wire::{self, Headers, Message};
use backbone::contract::{DealCause, DealFact, Event, Fact};
use backbone::db::Db;
use backbone::position::Epoch;
use backbone::{Error, on_db};

use sqlx::FromRow;
use sqlx::types::Json;

use super::toy::{caught_up, checkpoint, rows, start, worker};
use super::{append, begin};
use crate::databases::{TestDb, on_both_engines};
use crate::deals::{deal_of, event, subject};
use crate::logs::{MARKET, SOON, TestLog, store};

on_both_engines! {
    dead_events_are_those_that_cannot_be_decoded_or_leave_a_gap_and_their_successors,
    dead_events_are_settled_by_a_later_repair,
    dead_events_may_contain_any_bytes,
    projection_leaves_an_event_of_a_newer_binary_to_it,
}

async fn dead_events_are_those_that_cannot_be_decoded_or_leave_a_gap_and_their_successors(
    test: TestDb,
) {
    let (log, db) = begin(&test).await;
    let running = start(&log.log, &db);
    for number in 1..=3 {
        store(&log.log, &event(number, 1), 0).await; // 2, 3, 4
    }

    assert_eq!(caught_up(&log.log, &db).await.len(), 4);
    log.insert(5, &garbage(&event(1, 2))).await;
    append(&log.log, &event(2, 3)).await; // 6: a gap
    append(&log.log, &event(3, 2)).await; // 7
    append(&log.log, &event(1, 3)).await; // 8: joins
    let alive = [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 0),
        (6, 0),
        (7, 2),
        (8, 0),
    ];

    assert_eq!(caught_up(&log.log, &db).await, alive);
    running.stop().await;

    let running = start(&log.log, &db);
    append(&log.log, &event(2, 4)).await; // 9: joins what died before the restart
    append(&log.log, &event(3, 3)).await; // 10
    assert_eq!(caught_up(&log.log, &db).await[8..], [(9, 0), (10, 3)]);
    assert_eq!(running.complaint(), "");
    let metrics = running.metrics.encode();
    assert!(
        metrics.contains("dealwire_projection_dead_events_total{projection=\"seller\"} 1\n"),
        "{metrics}"
    );

    running.stop().await;

    let dead = dead_events(&db).await;
    let reasons = [
        "hash",
        "its revision is 3, but the subject's last revision is 1",
        "earlier",
        "earlier",
    ];

    let subjects = [1, 2, 1, 2].map(|number| subject(number).to_string());
    assert_eq!(
        dead.iter().map(|dead| dead.sequence).collect::<Vec<_>>(),
        [5, 6, 8, 9]
    );

    for ((dead, reason), subject) in dead.iter().zip(reasons).zip(subjects) {
        assert!(dead.reason.contains(reason), "{dead:?}");
        assert_eq!(
            (dead.subject.as_str(), dead.repaired),
            (subject.as_str(), false)
        );
    }

    assert_eq!(dead[0].body, b"garbage", "what was stored is kept");
    assert_eq!(dead[0].headers["ce-type"], "deal.updated");
}

async fn dead_events_are_settled_by_a_later_repair(test: TestDb) {
    let (log, db) = begin(&test).await;
    let running = start(&log.log, &db);
    append(&log.log, &event(1, 2)).await; // 2: no beginning
    append(&log.log, &event(2, 2)).await; // 3: no beginning either
    append(&log.log, &event(1, 3)).await; // 4
    append(&log.log, &repair(1, 5)).await; // 5
    append(&log.log, &event(1, 6)).await; // 6
    append(&log.log, &event(2, 3)).await; // 7: not repaired
    append(&log.log, &event(1, 8)).await; // 8: dead again
    let alive = [
        (1, 1),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 5),
        (6, 6),
        (7, 0),
        (8, 0),
    ];

    assert_eq!(caught_up(&log.log, &db).await, alive);
    running.stop().await;
    let settled: Vec<_> = dead_events(&db)
        .await
        .iter()
        .map(|dead| (dead.sequence, dead.repaired))
        .collect();

    assert_eq!(
        settled,
        [(2, true), (3, false), (4, true), (7, false), (8, false)]
    );
}

async fn dead_events_may_contain_any_bytes(test: TestDb) {
    let (log, db) = begin(&test).await;
    let mut message = garbage(&event(1, 1));
    message
        .1
        .headers
        .insert("ce-id".into(), "nul \0 and \u{1} and \\u0000".to_owned());

    message
        .1
        .headers
        .insert("nul\0name".into(), "💥".to_owned());

    message.1.body = vec![0, 255, 0, 128].into();
    log.insert(2, &message).await;
    log.insert(3, &("deal.nul\0.subject".to_owned(), message.1))
        .await;

    append(&log.log, &event(2, 1)).await;
    let running = start(&log.log, &db);
    assert_eq!(
        caught_up(&log.log, &db).await,
        [(1, 1), (2, 0), (3, 0), (4, 1)]
    );

    running.stop().await;
    assert_eq!(dead_events(&db).await[0].body, [0, 255, 0, 128]);
}

async fn projection_leaves_an_event_of_a_newer_binary_to_it(test: TestDb) {
    for (name, value) in [("ce-schemaversion", "2"), ("ce-type", "deal.auctioned")] {
        let (log, db) = (TestLog::sqlite().await, test.db.clone());
        clear(&db).await;
        store(&log.log, &event(1, 1), 0).await;
        let running = start(&log.log, &db);
        caught_up(&log.log, &db).await;
        running.stop().await;
        let before = checkpoint(&db).await;
        let epoch = log.log.epoch().await.expect("the log is up");
        let mut newer = (
            subject(1).to_string(),
            wire::encode(MARKET, epoch, &event(1, 2)),
        );
        newer.1.headers.insert(name.into(), value.to_owned());
        log.insert(3, &newer).await;
        store(&log.log, &event(2, 1), 0).await;

        let (worker, running) = (worker(&log.log, &db), start(&log.log, &db));
        let (place_then, mut tail) = worker.open().await.expect("all is up");
        let answer = worker.run_once(place_then, &mut tail).await;
        assert!(matches!(answer, Err(Error::Blocked { .. })), "{answer:?}");
        backbone::testkit::wait_until(SOON, "it says why it is not ready", async || {
            running.complaint().contains("newer than this binary")
        })
        .await;

        running.stop().await;
        assert_eq!(checkpoint(&db).await, before);
        assert_eq!(rows(&db).await, [(1, 1), (2, 1)]);
        assert!(dead_events(&db).await.is_empty());
    }
}

/// The event's message with a body that it cannot have had.
fn garbage(event: &Event) -> (String, Message) {
    let message = wire::encode(MARKET, Epoch(1), event);
    (
        event.subject.to_string(),
        Message {
            body: b"garbage".as_slice().into(),
            ..message
        },
    )
}

fn repair(number: u128, revision: u64) -> Event {
    let event = event(number, revision);
    let fact = DealFact {
        cause: DealCause::Repaired,
        ..deal_of(&event.fact).clone()
    };
    Event {
        fact: Fact::Deal(fact),
        ..event
    }
}

#[derive(Debug, FromRow)]
pub(super) struct DeadEvent {
    sequence: i64,
    subject: String,
    pub(super) reason: String,
    headers: Json<Headers>,
    body: Vec<u8>,
    pub(super) repaired: bool,
}

pub(super) async fn dead_events(db: &Db) -> Vec<DeadEvent> {
    let all = "SELECT sequence, subject, reason, headers, body, repaired FROM dead_event ORDER BY sequence";
    on_db!(db.read(), pool => sqlx::query_as(all).fetch_all(pool).await)
        .expect("the table can be read")
}

/// Recreates the toy table, and resets the checkpoint to the beginning of no log.
async fn clear(db: &Db) {
    for statement in [
        "DROP TABLE IF EXISTS toy",
        "DELETE FROM dead_event",
        "UPDATE projection SET epoch = 0, position = 0, event_id = NULL",
    ] {
        on_db!(db.write(), pool => sqlx::query(statement).execute(pool).await.map(|_| ()))
            .expect("the tables can be cleared");
    }
    super::toy::create_table(db).await;
}
