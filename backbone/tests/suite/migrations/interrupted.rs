//! Migrations of PostgreSQL whose process or session dies in the middle.

mod on_postgres {
    use backbone::testkit::wait_until;
    use sqlx::{Connection, Executor, PgConnection};
    use tokio::task::JoinSet;

    use super::super::{later, later_without_transaction, newer, number};
    use crate::databases::TestDb;
    use crate::logs::SOON;

    const FILL: &str = "
        CREATE TABLE busy (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
        INSERT INTO busy (note) SELECT 'filled' FROM generate_series(1, 1000);
        CREATE FUNCTION slowly(text) RETURNS text LANGUAGE sql IMMUTABLE
            AS 'SELECT $1 FROM pg_sleep(0.002)'";
    const INDEX: &str =
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS busy_by_note\n    ON busy (slowly(note));\n";
    const STATE: &str = "SELECT count(*) FILTER (WHERE NOT indisvalid) + 10 * count(*) FILTER (WHERE indisvalid)
                           FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = 'busy_by_note'";
    const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'dealwire migration'";

    #[tokio::test(flavor = "multi_thread")]
    async fn migration_whose_index_was_left_half_built_builds_it_again() {
        // Goal: a killed migration needs no operator.
        // Method: end its session while it builds an index concurrently, and migrate again.
        // Proven: the invalid index is replaced by a valid one.
        let test = TestDb::postgres().await;
        let mut admin = admin(&test).await;
        admin.execute(FILL).await.expect("it is ours");

        let db = test.db.clone();
        let mut migration = JoinSet::new();
        migration.spawn(async move {
            db.migrate(&newer(&[later_without_transaction(9001, INDEX)]))
                .await
        });
        wait_until(SOON, "the index is half built", async || {
            number(&test.db, STATE).await == 1
        })
        .await;

        admin.execute(END).await.expect("they are ours");
        let ended = migration.join_next().await.expect("it was started");
        let ended = ended.expect("it does not panic");
        assert!(
            ended.as_ref().is_err_and(|why| why.is_unavailable()),
            "{ended:?}"
        );
        assert_eq!(number(&test.db, STATE).await, 1, "it is half built");

        let again = newer(&[later_without_transaction(9001, INDEX)]);
        test.beside()
            .migrate(&again)
            .await
            .expect("it is built again");
        assert_eq!(number(&test.db, STATE).await, 10);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn migration_that_was_given_up_in_a_transaction_is_applied_later() {
        let test = TestDb::postgres().await;
        let slow = || {
            newer(&[later(
                9001,
                "CREATE TABLE made AS SELECT 1 AS one FROM pg_sleep(2)",
            )])
        };

        let db = test.db.clone();
        let mut migration = JoinSet::new();
        migration.spawn(async move { db.migrate(&slow()).await });
        wait_until(SOON, "it is under way", async || {
            test.db
                .migration()
                .is_some_and(|now| now.contains("applying migration 9001"))
        })
        .await;

        // As when the process ends: the server finds out only when the statement is done.
        migration.shutdown().await;
        test.beside()
            .migrate(&slow())
            .await
            .expect("it has its turn");
        assert_eq!(number(&test.db, "SELECT count(*) FROM made").await, 1);
    }

    async fn admin(test: &TestDb) -> PgConnection {
        PgConnection::connect(test.url().expect("PostgreSQL has one"))
            .await
            .expect("PostgreSQL is up")
    }
}
