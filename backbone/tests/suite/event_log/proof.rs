//! The proof that a log is the market's before anything is written to it: whatever the server or the
//! file holds, nothing is acknowledged that the market's readers would never see.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use backbone::checkpoint::{Checkpoint, Tables};
use backbone::clock::Clock;
use backbone::db::Db;
use backbone::event_log::{AppendAnswer, EventLog};
use backbone::lifecycle::Lifecycle;
use backbone::position::{Epoch, Sequence};
use backbone::telemetry::Metrics;
use backbone::testkit::{NatsServer, Proxy, wait_for, wait_until};
use backbone::{Error, on_db};
use futures_util::future::join_all;

use super::jetstream::{stream, stream_context};
use crate::databases::{TestDb, on_both_engines};
use crate::deals::event;
use crate::logs::{MARKET, SOON, store};

/// Name of the projection in the tables that the suite has.
const NAME: &str = "seller";

on_both_engines! {
    new_market_gets_one_log_however_many_begin_it,
    nothing_is_written_to_a_server_without_the_log_of_these_tables,
    nothing_is_written_to_the_log_of_another_market,
    nothing_is_written_to_a_log_that_is_shorter_than_its_tables,
    nothing_is_written_to_a_log_with_another_event_where_the_tables_are,
    log_may_be_ahead_of_its_tables,
}

async fn new_market_gets_one_log_however_many_begin_it(test: TestDb) {
    let nats = NatsServer::start().await;
    let logs: Vec<_> = (0..8).map(|_| log_of(&nats.url(), &test.db)).collect();

    let epochs = join_all(logs.iter().map(prepared)).await;

    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    assert_eq!(checkpoint(&test.db).await.epoch, epochs[0]);
    // One that was pointed at another server meanwhile finds the epoch in the tables.
    let elsewhere = NatsServer::start().await;
    assert_blocked(&elsewhere, &test.db, "missing").await;
}

async fn nothing_is_written_to_a_server_without_the_log_of_these_tables(test: TestDb) {
    let (_nats, _epoch) = followed(&test.db).await;
    let empty = NatsServer::start().await;

    assert_blocked(&empty, &test.db, "missing").await;

    let stream = stream_context(&empty).await.get_stream("MARKET").await;
    assert!(stream.is_err(), "no stream was created");
}

async fn nothing_is_written_to_the_log_of_another_market(test: TestDb) {
    let (_nats, _epoch) = followed(&test.db).await;
    let other = NatsServer::start().await;
    let log = EventLog::jetstream(
        &other.url(),
        MARKET,
        Tables::none(),
        Clock::system(),
        &Metrics::new(),
    );
    let log = log.expect("the client starts");
    prepared(&log).await;
    for number in 1..=5 {
        store(&log, &event(number, 1), 0).await;
    }

    assert_blocked(&other, &test.db, "epoch").await;
    assert_eq!(log.head().await.expect("the log is up"), 6);
}

async fn nothing_is_written_to_a_log_that_is_shorter_than_its_tables(test: TestDb) {
    let (nats, _epoch) = followed(&test.db).await;
    move_to(&test.db, 7, None).await;

    assert_blocked(&nats, &test.db, "sequence 7, which the log does not have").await;
}

async fn nothing_is_written_to_a_log_with_another_event_where_the_tables_are(test: TestDb) {
    let (nats, _epoch) = followed(&test.db).await;
    move_to(&test.db, 2, Some(9)).await;

    assert_blocked(&nats, &test.db, "a different event at sequence 2").await;
}

async fn log_may_be_ahead_of_its_tables(test: TestDb) {
    let (nats, epoch) = followed(&test.db).await;
    move_to(&test.db, 1, None).await;

    let log = log_of(&nats.url(), &test.db);

    assert_eq!(prepared(&log).await, epoch);
    store(&log, &event(2, 1), 0).await;
}

#[tokio::test]
async fn nothing_is_written_before_the_tables_have_answered() {
    let test = TestDb::postgres().await;
    let (nats, _epoch) = followed(&test.db).await;
    let url = test.url().expect("it has one");
    let proxy = Proxy::in_front_of(url).await;
    proxy.cut().await;
    let db = Db::postgres("seller database", &proxy.url(url), 2).expect("the URL is one");
    let log = log_of(&nats.url(), &db);

    let refused = log.prepare().await;
    assert!(
        matches!(refused, Err(Error::Unavailable { .. })),
        "{refused:?}"
    );
    let answer = log.append(&event(2, 1), 0).await;
    assert!(
        matches!(answer, AppendAnswer::NotConnected { .. }),
        "{answer:?}"
    );

    proxy.restore().await;
    prepared(&log).await;
    store(&log, &event(2, 1), 0).await;
}

#[tokio::test]
async fn nothing_is_written_after_the_server_came_back_empty() {
    let test = TestDb::sqlite().await;
    let nats = NatsServer::start().await;
    let log = log_of(&nats.url(), &test.db);
    prepared(&log).await;
    store(&log, &event(1, 1), 0).await;

    nats.kill();
    nats.clear();
    nats.restart().await;

    wait_for(SOON, "the loss is told", async || match log.epoch().await {
        Err(Error::Blocked { why, .. }) => Some(why),
        _ => None,
    })
    .await;
    let answer = log.append(&event(2, 1), 0).await;
    assert!(
        matches!(answer, AppendAnswer::NotConnected { .. }),
        "{answer:?}"
    );
    let stream = stream_context(&nats).await.get_stream("MARKET").await;
    assert!(stream.is_err(), "no stream was created");
}

#[tokio::test]
async fn nothing_is_written_after_the_log_has_lost_its_end() {
    let test = TestDb::sqlite().await;
    let nats = NatsServer::start().await;
    let log = log_of(&nats.url(), &test.db);
    prepared(&log).await;
    store(&log, &event(1, 1), 0).await;
    let copy = nats.copy();
    store(&log, &event(2, 1), 0).await;

    nats.kill();
    nats.put_back(&copy);
    nats.restart().await;

    wait_until(SOON, "the loss is told", async || {
        matches!(log.epoch().await, Err(Error::Blocked { why, .. }) if why.contains("lost its end"))
    })
    .await;
    let answer = log.append(&event(3, 1), 0).await;
    assert!(
        matches!(answer, AppendAnswer::NotConnected { .. }),
        "{answer:?}"
    );
}

#[tokio::test]
async fn log_with_a_hole_is_refused() {
    let test = TestDb::sqlite().await;
    let nats = NatsServer::start().await;
    // As somebody would have made it who has taken the protection away and put it back.
    let context = stream_context(&nats).await;
    let (other, _epoch) = followed(&TestDb::sqlite().await.db).await;
    let config = Config {
        deny_delete: false,
        ..stream()
    };
    context.create_stream(config).await.expect("it is new");
    copy_events(&other, &nats).await;
    let log = context.get_stream("MARKET").await.expect("it is there");
    log.delete_message(2).await.expect("it is not protected");
    // Another event behind it, as after the loss of a block in the middle.
    copy_events(&other, &nats).await;

    context
        .update_stream(stream())
        .await
        .expect("protection can be added");

    assert_blocked(&nats, &test.db, "1 hole").await;
}

/// Publishes what one server's stream holds to another's.
async fn copy_events(from: &NatsServer, to: &NatsServer) {
    let source = stream_context(from).await.get_stream("MARKET").await;
    let source = source.expect("it is there");
    let target = stream_context(to).await;

    for sequence in 1..=source.cached_info().state.last_sequence {
        let message = source.get_raw_message(sequence).await.expect("it is there");
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter() {
            if !name.to_string().starts_with("Nats-") {
                headers.insert(name.clone(), values[0].clone());
            }
        }

        target
            .publish_with_headers(message.subject, headers, message.payload)
            .await
            .expect("it was sent")
            .await
            .expect("it was stored");
    }
}

#[tokio::test]
async fn stream_that_binds_everything_is_narrowed_to_the_market() {
    let test = TestDb::sqlite().await;
    let nats = NatsServer::start().await;
    let context = stream_context(&nats).await;
    context.create_stream(stream()).await.expect("it is new");
    let log = log_of(&nats.url(), &test.db);
    prepared(&log).await;

    let stream = context.get_stream("MARKET").await.expect("it is there");
    let subjects = &stream.cached_info().config.subjects;

    assert!(!subjects.contains(&"market.>".to_owned()), "{subjects:?}");
    let foreign = context.publish("market.anything", "".into()).await;
    let answer = foreign.expect("it was sent").await;
    assert!(answer.is_err(), "no stream takes it");
    store(&log, &event(1, 1), 0).await;
}

#[tokio::test]
async fn missing_log_file_is_not_made_anew_beside_its_tables() {
    let test = TestDb::sqlite().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("log.db");
    let open = async || {
        let tables = Tables::new([(test.db.clone(), NAME)]);
        let lifecycle = Lifecycle::new();
        let clock = Clock::system();
        EventLog::sqlite(&file, MARKET, tables, clock, &lifecycle, &Metrics::new()).await
    };
    let first = open().await.expect("the market is new");
    let epoch = first.epoch().await.expect("it is open");
    assert_eq!(checkpoint(&test.db).await.epoch, epoch);
    drop(first);

    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside).expect("it is there");
    let refused = open().await.map(|_| ());
    assert!(matches!(refused, Err(Error::Blocked { .. })), "{refused:?}");
    assert!(!file.exists(), "it was made anew");

    std::fs::rename(&aside, &file).expect("it is there");
    let again = open().await.expect("it is the market's log");
    assert_eq!(again.epoch().await.expect("it is open"), epoch);
}

/// A server with the log of these tables, which have applied its second event.
async fn followed(db: &Db) -> (NatsServer, Epoch) {
    let nats = NatsServer::start().await;
    let log = log_of(&nats.url(), db);
    let epoch = prepared(&log).await;
    store(&log, &event(1, 1), 0).await;
    move_to(db, 2, Some(1)).await;
    (nats, epoch)
}

/// Moves the checkpoint, as a projection would have. `event` is the number of the event there.
async fn move_to(db: &Db, position: Sequence, event: Option<u128>) {
    let id = event.map(|number| crate::deals::event(number, 1).id);
    on_db!(db.write(), pool => sqlx::query("UPDATE projection SET position = $1, event_id = $2")
        .bind(position as i64)
        .bind(id)
        .execute(pool)
        .await
        .map(|_| ()))
    .expect("the checkpoint can be moved");
}

async fn checkpoint(db: &Db) -> Checkpoint {
    Checkpoint::read(db, NAME)
        .await
        .expect("the tables are there")
}

fn log_of(url: &str, db: &Db) -> EventLog {
    let tables = Tables::new([(db.clone(), NAME)]);
    EventLog::jetstream(url, MARKET, tables, Clock::system(), &Metrics::new())
        .expect("the client starts")
}

async fn prepared(log: &EventLog) -> Epoch {
    wait_for(SOON, "the log is the market's", async || {
        log.prepare().await.ok()
    })
    .await
}

/// Asserts that a process with these tables writes nothing to the server, and says why.
async fn assert_blocked(nats: &NatsServer, db: &Db, reason: &str) {
    let log = log_of(&nats.url(), db);
    let why = wait_for(SOON, "the reason is told", async || {
        match log.prepare().await {
            Err(Error::Blocked { why, .. }) => Some(why),
            _ => None,
        }
    })
    .await;
    assert!(why.contains(reason), "{why:?} does not say {reason:?}");

    match log.append(&event(9, 1), 0).await {
        AppendAnswer::NotConnected { why } => assert!(why.contains(reason), "{why:?}"),
        other => panic!("it was sent: {other:?}"),
    }

    // What an operator asks for says the same.
    match log.describe().await {
        Err(Error::Blocked { why, .. }) => assert!(why.contains(reason), "{why:?}"),
        other => panic!("it is described as usable: {other:?}"),
    }
}
