//! The runner when its log or its database goes away: it waits, says so, and goes on where it
//! stood.

use backbone::db::Db;
use backbone::on_tx;
use backbone::testkit::{NatsServer, Proxy, wait_until};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::begin;
use super::toy::{caught_up, create_table, start};
use crate::databases::TestDb;
use crate::deals::event;
use crate::logs::{SOON, jetstream, opened, store};

#[tokio::test]
async fn projection_waits_for_a_database_that_is_down() {
    let test = TestDb::postgres().await;
    let (log, db) = begin(&test).await;
    let url = test.url().expect("PostgreSQL has one");
    let proxy = Proxy::in_front_of(url).await;
    let worker = start(
        &log.log,
        &Db::postgres("seller database", &proxy.url(url), 12).expect("the URL is one"),
    );

    caught_up(&log.log, &db).await;

    proxy.cut().await;
    for number in 1..=50 {
        store(&log.log, &event(number, 1), 0).await;
    }

    wait_until(SOON, "it says what is away", async || {
        !worker.complaint().is_empty()
    })
    .await;

    proxy.restore().await;

    let all: Vec<_> = (1..=51).map(|sequence| (sequence, 1)).collect();
    assert_eq!(caught_up(&log.log, &db).await, all);
    assert_eq!(worker.complaint(), "");
    worker.stop().await;
}

#[tokio::test]
async fn projection_may_retry_a_transaction_that_was_idle_for_too_long() {
    let test = TestDb::postgres().await;
    let mut admin = PgConnection::connect(test.url().expect("it has one"))
        .await
        .expect("PostgreSQL is up");

    let mut tx = test.db.begin().await.expect("PostgreSQL is up");
    let backend: i32 = on_tx!(&mut tx, connection =>
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await)
    .expect("it has a backend");
    on_tx!(&mut tx, connection =>
        sqlx::query("SET LOCAL idle_in_transaction_session_timeout = '10ms'").execute(connection).await.map(|_| ()))
    .expect("it can be set");

    wait_until(SOON, "PostgreSQL gives the transaction up", async || {
        let backends = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        let backends: i64 = sqlx::query_scalar(backends)
            .bind(backend)
            .fetch_one(&mut admin)
            .await
            .expect("PostgreSQL is up");
        backends == 0
    })
    .await;
    let late = on_tx!(&mut tx, connection =>
        sqlx::query("SELECT 1").execute(connection).await.map(|_| ()));
    let late = late.expect_err("the transaction is gone");
    assert!(late.is_unavailable(), "{late}");
}

#[tokio::test]
async fn projection_waits_for_a_database_that_is_read_only_for_now() {
    let test = TestDb::postgres().await;
    let (log, db) = begin(&test).await;
    let url = test.url().expect("PostgreSQL has one");
    let mut admin = PgConnection::connect(url).await.expect("PostgreSQL is up");
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut admin)
        .await
        .expect("it has a name");

    let mut set = async |setting: &str| {
        let statement = AssertSqlSafe(format!("ALTER DATABASE {name} {setting}"));
        sqlx::query(statement)
            .execute(&mut admin)
            .await
            .expect("it is ours");

        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(others)
            .execute(&mut admin)
            .await
            .expect("they are ours");
    };

    set("SET default_transaction_read_only = on").await;
    let worker = start(&log.log, &test.beside());
    wait_until(SOON, "it says what is away", async || {
        worker.complaint().contains("read-only")
    })
    .await;

    set("RESET default_transaction_read_only").await;
    assert_eq!(caught_up(&log.log, &db).await, [(1, 1)]);
    worker.stop().await;
}

#[tokio::test]
async fn projection_follows_a_log_that_was_killed_and_is_back() {
    // Goal: a projection outlives its log.
    // Method: kill and restart nats-server while a worker follows it.
    // Proven: the worker reports the outage and applies every later event once.
    let (nats, test) = (NatsServer::start().await, TestDb::sqlite().await);
    create_table(&test.db).await;
    let log = jetstream(&nats.url());
    let worker = start(&log, &test.db);
    opened(&log).await;
    store(&log, &event(1, 1), 0).await;
    assert_eq!(caught_up(&log, &test.db).await.len(), 2);

    nats.kill();
    wait_until(SOON, "it says what is away", async || {
        !worker.complaint().is_empty()
    })
    .await;

    nats.restart().await;
    opened(&log).await;
    store(&log, &event(2, 1), 0).await;

    assert_eq!(caught_up(&log, &test.db).await, [(1, 1), (2, 1), (3, 1)]);
    wait_until(SOON, "it is ready again", async || {
        worker.complaint().is_empty()
    })
    .await;

    worker.stop().await;
}
