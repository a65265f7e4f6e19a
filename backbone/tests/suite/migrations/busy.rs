//! Migrations of a filled PostgreSQL database that an older binary reads and writes meanwhile.

mod on_postgres {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use backbone::db::Db;
    use backbone::deal_table::{Scope, find_at};
    use backbone::ids::{DealId, SellerId};
    use backbone::on_db;
    use backbone::testkit::wait_until;
    use sqlx::{Connection, Executor, PgConnection};
    use tokio::task::JoinSet;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::super::{later, later_without_transaction, newer, number};
    use crate::databases::{TestDb, migrations};
    use crate::logs::SOON;

    const SELLER: Uuid = Uuid::from_u128(1);
    const FILL: &str = "
        CREATE TABLE busy (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
        INSERT INTO busy (note) SELECT 'filled' FROM generate_series(1, 3000);
        -- Makes each row that is indexed take two milliseconds.
        CREATE FUNCTION slowly(text) RETURNS text LANGUAGE sql IMMUTABLE
            AS 'SELECT $1 FROM pg_sleep(0.002)'";
    const INDEX: &str =
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS busy_by_note\n    ON busy (slowly(note));\n";
    const WRITE: &str = "INSERT INTO busy (note) VALUES ('written')";
    const VALID: &str =
        "SELECT count(*) FROM pg_index WHERE indexrelid = 'busy_by_note'::regclass AND indisvalid";

    #[tokio::test(flavor = "multi_thread")]
    async fn migration_builds_an_index_beside_writers_for_longer_than_a_statement_may_take() {
        // Goal: a market goes on while an upgrade builds an index.
        // Method: build one for six seconds while an older binary's connections read and write.
        // Proven: no write fails or waits for the build, progress is told, the index is valid.
        let test = TestDb::postgres().await;
        let mut admin = admin(&test).await;
        admin.execute(FILL).await.expect("it is ours");
        let older = test.beside();
        let writers = Writers::start(&older);

        let upgraded = newer(&[
            later(
                9001,
                "CREATE TABLE seen AS SELECT name, setting FROM pg_settings
                  WHERE name IN ('statement_timeout', 'lock_timeout')",
            ),
            later_without_transaction(9002, INDEX),
        ]);

        let began = Instant::now();
        let migrating = test.db.clone();
        let mut migration = JoinSet::new();
        migration.spawn(async move { migrating.migrate(&upgraded).await });
        wait_until(SOON, "the progress of the index is told", async || {
            let now = test.db.migration().unwrap_or_default();
            now.contains("migration 9002") && now.contains("building index")
        })
        .await;

        older
            .migrate(&migrations())
            .await
            .expect("an older binary starts meanwhile");
        let done = migration.join_next().await.expect("it was started");
        done.expect("it does not panic").expect("it is applied");

        assert!(
            began.elapsed() > Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        let (written, slowest) = writers.stop().await;
        assert!(written > 100, "{written} writes");
        assert!(slowest < Duration::from_secs(3), "a write took {slowest:?}");
        assert_eq!(number(&test.db, VALID).await, 1);
        assert_eq!(test.db.migration(), None);
        let unlimited = "SELECT setting::bigint FROM seen WHERE name = 'statement_timeout'";
        assert_eq!(number(&test.db, unlimited).await, 0);
        let limited = "SELECT setting::bigint FROM seen WHERE name = 'lock_timeout'";
        assert_eq!(number(&test.db, limited).await, 3_000);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn migration_waits_for_a_lock_in_turns_and_says_who_holds_it() {
        // Goal: a migration that needs a lock does not stop a market that somebody else's session uses.
        // Method: hold a lock on a table in a session, add a column to it, and release the lock.
        // Proven: the holder is named, readers wait no longer than the lock's time limit, and a
        // statement that an older binary has prepared goes on with the new column.
        let test = TestDb::postgres().await;
        let older = Db::postgres("seller database", test.url().expect("it has one"), 1)
            .expect("the URL is one");
        read_deal(&older).await;

        let mut holder = admin(&test).await;
        holder
            .execute("SET application_name = 'a long report'; BEGIN; LOCK TABLE deal IN ACCESS SHARE MODE")
            .await
            .expect("it is free");

        let upgraded = newer(&[later(9001, "ALTER TABLE deal ADD COLUMN added bigint")]);
        let migrating = test.db.clone();
        let mut migration = JoinSet::new();
        migration.spawn(async move { migrating.migrate(&upgraded).await });
        wait_until(SOON, "the holder is named", async || {
            let now = test.db.migration().unwrap_or_default();
            now.contains("waiting for session") && now.contains("a long report")
        })
        .await;

        for _ in 0..3 {
            let began = Instant::now();
            read_deal(&older).await;
            let waited = began.elapsed();
            assert!(waited < Duration::from_secs(5), "a read waited {waited:?}");
        }

        assert!(migration.try_join_next().is_none(), "the lock is held");
        holder.execute("COMMIT").await.expect("it is open");
        let done = migration.join_next().await.expect("it was started");
        done.expect("it does not panic").expect("it is applied");
        read_deal(&older).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn migrations_of_two_processes_are_applied_once() {
        let test = TestDb::postgres().await;
        let mut admin = admin(&test).await;
        admin.execute(FILL).await.expect("it is ours");

        let mut migrations = JoinSet::new();
        for _ in 0..3 {
            let db = test.beside();
            migrations.spawn(async move {
                let upgraded = newer(&[
                    later(9001, "CREATE TABLE once AS SELECT 1 AS id"),
                    later_without_transaction(9002, INDEX),
                    later(9003, "INSERT INTO once VALUES (2)"),
                ]);
                db.migrate(&upgraded).await
            });
        }

        for done in migrations.join_all().await {
            done.expect("one of them applies it, and the others find it");
        }
        assert_eq!(number(&test.db, "SELECT count(*) FROM once").await, 2);
        assert_eq!(number(&test.db, VALID).await, 1);
    }

    async fn admin(test: &TestDb) -> PgConnection {
        PgConnection::connect(test.url().expect("PostgreSQL has one"))
            .await
            .expect("PostgreSQL is up")
    }

    async fn read_deal(db: &Db) {
        let found = find_at(
            db,
            "seller",
            Scope::Seller(SellerId(SELLER)),
            DealId(SELLER),
        )
        .await;
        assert!(found.expect("the table can be read").0.is_none());
    }

    /// Writers who go on until they are stopped.
    struct Writers {
        stop: CancellationToken,
        written: Arc<AtomicU64>,
        tasks: JoinSet<Duration>,
    }

    impl Writers {
        fn start(db: &Db) -> Self {
            let stop = CancellationToken::new();
            let written = Arc::new(AtomicU64::new(0));
            let mut tasks = JoinSet::new();
            for _ in 0..2 {
                let db = db.clone();
                let stop = stop.clone();
                let written = written.clone();
                tasks.spawn(async move {
                    // A pace at which the index can follow: each row takes it two milliseconds.
                    let mut pace = tokio::time::interval(Duration::from_millis(20));
                    let mut slowest = Duration::ZERO;
                    while !stop.is_cancelled() {
                        pace.tick().await;
                        let began = Instant::now();
                        on_db!(db.write(), pool =>
                            sqlx::query(WRITE).execute(pool).await.map(|_| ()))
                        .expect("no write fails");
                        slowest = slowest.max(began.elapsed());
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    slowest
                });
            }

            Self {
                stop,
                written,
                tasks,
            }
        }

        /// Number of writes, and the longest time of one.
        async fn stop(self) -> (u64, Duration) {
            self.stop.cancel();
            let slowest = self.tasks.join_all().await.into_iter().max();
            (
                self.written.load(Ordering::Relaxed),
                slowest.expect("there are writers"),
            )
        }
    }
}
