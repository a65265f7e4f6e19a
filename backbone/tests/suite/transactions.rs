//! Connections whose transaction did not end cleanly: nobody gets them again.

use std::time::Duration;

use backbone::Error;
use backbone::db::{Db, Tx};
use backbone::testkit::{Direction, Proxy};
use backbone::{on_db, on_tx};
use sqlx::AssertSqlSafe;

use crate::databases::{TestDb, on_both_engines};

on_both_engines! {
    transaction_that_fails_to_commit_leaves_nothing_behind,
    transaction_is_not_committed_after_a_failed_statement,
}

const TABLE: &str = "CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL,
    parent BIGINT REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED)";
const INSERT: &str = "INSERT INTO note (id, text, parent) VALUES ($1, $2, $3)";
const COUNT: &str = "SELECT count(*) FROM note";

async fn transaction_that_fails_to_commit_leaves_nothing_behind(test: TestDb) {
    create_table(&test.db).await;
    for orphan in 1..=20 {
        let mut tx = test.db.begin().await.expect("the connection is clean");
        insert(&mut tx, orphan, "an orphan", Some(-1))
            .await
            .expect("the reference is checked at the end");
        let refused = tx.commit().await;
        assert!(matches!(refused, Err(Error::Broken { .. })), "{refused:?}");
    }

    write(&test.db, 100).await;
    assert_eq!(count(&test.beside()).await, 1);
}

async fn transaction_is_not_committed_after_a_failed_statement(test: TestDb) {
    create_table(&test.db).await;
    let mut tx = test.db.begin().await.expect("the database is up");
    insert(&mut tx, 1, "kept?", None).await.expect("it is free");
    let twice = insert(&mut tx, 1, "twice", None).await;
    assert!(
        matches!(twice, Err(Error::Broken { .. })),
        "nobody asked what happens to a second one: {twice:?}"
    );

    let refused = tx.commit().await;
    assert!(matches!(refused, Err(Error::Broken { .. })), "{refused:?}");
    write(&test.db, 100).await;
    assert_eq!(count(&test.beside()).await, 1);
}

#[tokio::test]
async fn transaction_on_a_full_sqlite_disk_is_unavailable_until_there_is_room() {
    // Goal: a full disk ends nothing.
    // Method: bound the pages of the database, write until it is full, and try again.
    // Proven: the writer reports Unavailable, its connection is not used again, and what was
    // committed is there.
    let test = TestDb::sqlite().await;
    create_table(&test.db).await;
    write(&test.db, 1).await;
    let pages: i64 = on_db!(test.db.write(), pool =>
        sqlx::query_scalar("PRAGMA page_count").fetch_one(pool).await)
    .expect("it can be asked");

    // A setting of the connection, of which there is one that writes: closing it makes room.
    let limit = format!("PRAGMA max_page_count = {}", pages + 8);
    on_db!(test.db.write(), pool =>
        sqlx::query(AssertSqlSafe(limit)).execute(pool).await.map(|_| ()))
    .expect("it can be set");

    let mut tx = test.db.begin().await.expect("there is room yet");
    let text = "x".repeat(4_000);
    let mut id = 2;
    let full = loop {
        match insert(&mut tx, id, &text, None).await {
            Ok(()) => id += 1,
            Err(error) => break error,
        }
        assert!(id < 100, "eight pages are full after eight rows");
    };

    assert!(full.is_unavailable(), "{full}");
    assert!(full.to_string().contains("full"), "{full}");
    drop(tx);

    write(&test.db, 1_000).await;
    assert_eq!(count(&test.beside()).await, 2);
}

mod faults {
    use super::*;

    #[tokio::test]
    async fn transaction_that_was_given_up_at_its_begin_swallows_no_write() {
        // Goal: no statement runs in a transaction that somebody else has begun.
        // Method: give up a BEGIN whose answer is late, then write on the only connection.
        // Proven: the write is committed.
        let test = TestDb::postgres().await;
        create_table(&test.db).await;
        let url = test.url().expect("PostgreSQL has one");
        let proxy = Proxy::in_front_of(url).await;
        let db = Db::postgres("seller database", &proxy.url(url), 1).expect("the URL is one");
        assert_eq!(count(&db).await, 0);

        proxy.hold(Direction::ToClient);
        let begun = tokio::time::timeout(Duration::from_millis(100), db.begin()).await;
        assert!(begun.is_err(), "no answer was let through");
        proxy.restore().await;

        on_db!(db.write(), pool => sqlx::query(INSERT)
            .bind(1_i64)
            .bind("acknowledged")
            .bind(None::<i64>)
            .execute(pool)
            .await
            .map(|_| ()))
        .expect("PostgreSQL is up");
        assert_eq!(count(&test.db).await, 1);
    }
}

async fn create_table(db: &Db) {
    on_db!(db.write(), pool => sqlx::query(TABLE).execute(pool).await.map(|_| ()))
        .expect("the table can be created");
}

async fn insert(tx: &mut Tx, id: i64, text: &str, parent: Option<i64>) -> Result<(), Error> {
    on_tx!(tx, connection => sqlx::query(INSERT)
        .bind(id)
        .bind(text)
        .bind(parent)
        .execute(connection)
        .await
        .map(|_| ()))
}

/// Writes one row in a transaction of its own.
async fn write(db: &Db, id: i64) {
    let mut tx = db.begin().await.expect("the connection is clean");
    insert(&mut tx, id, "written", None)
        .await
        .expect("there is room");
    tx.commit().await.expect("there is room");
}

async fn count(db: &Db) -> i64 {
    on_db!(db.read(), pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)
        .expect("the table can be read")
}
