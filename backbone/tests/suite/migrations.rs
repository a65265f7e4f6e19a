//! Migrations: processes of two versions on one database, and everything that gets in the way of a
//! migration.

mod busy;
mod interrupted;

use backbone::db::{Db, Migrations};
use backbone::{Error, on_db};
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::databases::{TestDb, migrations, on_both_engines};

on_both_engines! {
    migrations_of_a_newer_binary_are_left_alone_by_an_older_one,
    migrations_of_another_history_are_refused,
    migration_that_fails_leaves_nothing_behind_and_holds_no_lock,
}

/// A migration of a binary that comes after this one.
#[derive(Clone, Copy)]
pub(super) struct Later {
    version: i64,
    sql: &'static str,
    in_transaction: bool,
}

/// A migration in a transaction.
pub(super) fn later(version: i64, sql: &'static str) -> Later {
    Later {
        version,
        sql,
        in_transaction: true,
    }
}

/// A migration without a transaction.
pub(super) fn later_without_transaction(version: i64, sql: &'static str) -> Later {
    Later {
        version,
        sql,
        in_transaction: false,
    }
}

/// The migrations of a binary that has these after all of today's.
pub(super) fn newer(more: &[Later]) -> Migrations {
    let with = |migrator: Migrator| {
        let more = more.iter().map(|later| {
            Migration::new(
                later.version,
                "later".into(),
                MigrationType::Simple,
                SqlStr::from_static(later.sql),
                !later.in_transaction,
            )
        });
        Migrator::with_migrations(migrator.iter().cloned().chain(more).collect())
    };

    let today = migrations();
    Migrations {
        postgres: with(today.postgres),
        sqlite: with(today.sqlite),
    }
}

/// Number that a statement finds.
pub(super) async fn number(db: &Db, sql: &'static str) -> i64 {
    on_db!(db.read(), pool => sqlx::query_scalar(sql).fetch_one(pool).await).expect(sql)
}

async fn migrations_of_a_newer_binary_are_left_alone_by_an_older_one(test: TestDb) {
    let upgraded = newer(&[
        later(9001, "CREATE TABLE added (id BIGINT PRIMARY KEY)"),
        later(9002, "INSERT INTO added VALUES (1)"),
    ]);

    test.db.migrate(&upgraded).await.expect("it is newer");
    let older = test.beside();
    older
        .migrate(&migrations())
        .await
        .expect("its tables are there");
    older
        .migrate(&upgraded)
        .await
        .expect("nothing is left to do");

    assert_eq!(number(&older, "SELECT count(*) FROM added").await, 1);
    assert_eq!(number(&older, "SELECT count(*) FROM deal").await, 0);
}

async fn migrations_of_another_history_are_refused(test: TestDb) {
    let one = later(9001, "CREATE TABLE one (id BIGINT PRIMARY KEY)");
    let two = later(9002, "CREATE TABLE two (id BIGINT PRIMARY KEY)");
    test.db.migrate(&newer(&[two])).await.expect("it is newer");

    let same_number = later(9002, "CREATE TABLE other (id BIGINT PRIMARY KEY)");
    for (different, expected) in [
        (newer(&[same_number]), "is not the one of this version"),
        (newer(&[one]), "lacks migration 9001"),
        (newer(&[later(9003, "SELECT 1")]), "does not know"),
    ] {
        let refused = test.beside().migrate(&different).await;
        let Err(Error::Broken { why, .. }) = refused else {
            panic!("{expected}: {refused:?}");
        };
        assert!(why.contains(expected), "{why}");
    }
}

async fn migration_that_fails_leaves_nothing_behind_and_holds_no_lock(test: TestDb) {
    let broken = newer(&[later(
        9001,
        "CREATE TABLE half (id BIGINT PRIMARY KEY); INSERT INTO half VALUES (NULL), (NULL);
         INSERT INTO nowhere VALUES (1)",
    )]);

    for _ in 0..3 {
        let failed = test.db.migrate(&broken).await;
        assert!(
            failed
                .as_ref()
                .is_err_and(|why| why.to_string().contains("migration 9001")),
            "{failed:?}"
        );
    }

    let mended = newer(&[later(9001, "CREATE TABLE half (id BIGINT PRIMARY KEY)")]);
    test.beside().migrate(&mended).await.expect("it is free");
    assert_eq!(number(&test.db, "SELECT count(*) FROM half").await, 0);
}
