//! Databases: PostgreSQL or SQLite behind one handle, with one SQL text for both where possible.
//!
//! [`on_db!`] and [`on_tx!`] run a statement on whichever engine is behind the handle. Where
//! dialects or hot paths differ, each engine has its own statement. This module knows no tables.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use tokio::time::sleep;

use crate::Error;

const BEGIN_BY_INDEX: &str = include_str!("db/begin_by_index.postgres.sql");
const BEGIN_ASYNCHRONOUS_COMMIT: &str = include_str!("db/begin_asynchronous_commit.postgres.sql");
const BEGIN_SNAPSHOT: &str = include_str!("db/begin_snapshot.postgres.sql");
const MIGRATION_TURN: &str = include_str!("db/migration_turn.postgres.sql");
const POSTGRES_VERSION: &str = include_str!("db/version.postgres.sql");
const SQLITE_VERSION: &str = include_str!("db/version.sqlite.sql");

/// Time that a caller waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time after which the server ends a statement: one that takes longer is stuck.
const STATEMENT_TIMEOUT: &str = "30s";
/// Time after which the server ends a session that is idle in a transaction. A process that is
/// stopped there would keep its rows locked, and a standby waits for them.
const IDLE_TIMEOUT: &str = "3s";
/// Pause before a process asks again whether it is its turn to migrate.
const MIGRATION_LOOK: Duration = Duration::from_millis(100);
/// Largest number of connections that read an SQLite database.
const READERS: u32 = 4;

/// Handle of one database. Clones share its connections.
#[derive(Clone)]
pub struct Db {
    what: &'static str,
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Postgres(PgPool),
    /// SQLite allows one writer at a time. A pool of one keeps readers from waiting behind it.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
}

/// A pool on which each statement runs in a transaction of its own; used with
/// [`on_db!`](crate::on_db).
pub struct Pool<'a> {
    what: &'static str,
    engine: PoolEngine<'a>,
}

/// The engine behind a [`Pool`].
#[derive(Clone, Copy)]
pub enum PoolEngine<'a> {
    /// PostgreSQL.
    Postgres(&'a PgPool),
    /// SQLite.
    Sqlite(&'a SqlitePool),
}

/// A transaction, used with [`on_tx!`](crate::on_tx). Dropping it without [`Tx::commit`] rolls it
/// back.
pub struct Tx {
    what: &'static str,
    engine: TxEngine,
}

/// The engine behind a [`Tx`].
pub enum TxEngine {
    /// PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// SQLite.
    Sqlite(Transaction<'static, Sqlite>),
}

/// Runs a statement on a [`Pool`](crate::db::Pool) and maps the driver's error.
///
/// One arm runs the same expression on either engine; two arms give each engine its own:
/// `on_db!(db.read(), postgres(pool) => …, sqlite(pool) => …)`. Each expression is a `Result<_, sqlx::Error>`.
#[macro_export]
macro_rules! on_db {
    ($pool:expr, postgres($postgres:ident) => $on_postgres:expr, sqlite($sqlite:ident) => $on_sqlite:expr $(,)?) => {{
        let pool = $pool;
        let result = match pool.engine() {
            $crate::db::PoolEngine::Postgres($postgres) => $on_postgres,
            $crate::db::PoolEngine::Sqlite($sqlite) => $on_sqlite,
        };
        result.map_err(|error| pool.error(error))
    }};
    ($pool:expr, $connection:ident => $run:expr) => {
        $crate::on_db!($pool, postgres($connection) => $run, sqlite($connection) => $run)
    };
}

/// Runs a statement in a [`Tx`](crate::db::Tx) and maps the driver's error.
///
/// One arm runs the same expression on either engine; two arms give each engine its own:
/// `on_tx!(tx, postgres(connection) => …, sqlite(connection) => …)`. `connection` is a mutable reference to the
/// engine's connection, and each expression is a `Result<_, sqlx::Error>`.
#[macro_export]
macro_rules! on_tx {
    ($tx:expr, postgres($postgres:ident) => $on_postgres:expr, sqlite($sqlite:ident) => $on_sqlite:expr $(,)?) => {{
        let tx: &mut $crate::db::Tx = $tx;
        let result = match tx.engine() {
            $crate::db::TxEngine::Postgres(transaction) => {
                let $postgres = &mut **transaction;
                $on_postgres
            }
            $crate::db::TxEngine::Sqlite(transaction) => {
                let $sqlite = &mut **transaction;
                $on_sqlite
            }
        };
        result.map_err(|error| tx.error(error))
    }};
    ($tx:expr, $connection:ident => $run:expr) => {
        $crate::on_tx!($tx, postgres($connection) => $run, sqlite($connection) => $run)
    };
}

impl<'a> Pool<'a> {
    /// Returns the engine, for statements that only one of them has.
    pub fn engine(&self) -> PoolEngine<'a> {
        self.engine
    }

    /// Returns what an error of the driver means to the caller.
    pub fn error(&self, error: sqlx::Error) -> Error {
        map_error(self.what, error)
    }
}

impl Tx {
    /// Returns the engine, for statements that only one of them has.
    pub fn engine(&mut self) -> &mut TxEngine {
        &mut self.engine
    }

    /// Returns whether the transaction runs on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.engine, TxEngine::Postgres(_))
    }

    /// Commits. An error leaves open whether the transaction was committed.
    pub async fn commit(self) -> Result<(), Error> {
        match self.engine {
            // A lost connection here leaves the outcome open; callers find it out by their
            // checkpoint or id.
            TxEngine::Postgres(tx) => tx.commit().await,
            TxEngine::Sqlite(tx) => tx.commit().await,
        }
        .map_err(|error| map_error(self.what, error))
    }

    /// Returns what an error of the driver means to the caller.
    pub fn error(&self, error: sqlx::Error) -> Error {
        map_error(self.what, error)
    }
}

/// The migrations of one database, for both engines.
pub struct Migrations {
    /// Migrations for PostgreSQL.
    pub postgres: Migrator,
    /// Migrations for SQLite.
    pub sqlite: Migrator,
}

fn postgres_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

fn sqlite_pools(options: SqliteConnectOptions) -> Backend {
    let pool = |connections, options| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options)
    };

    Backend::Sqlite {
        readers: pool(READERS, options.clone().read_only(true)),
        writer: pool(1, options),
    }
}

impl Db {
    /// Builds a handle of a PostgreSQL database, which connects when it is first used, with at most `connections`.
    ///
    /// # Errors
    /// [`Error::Broken`] if `url` cannot be parsed.
    pub fn postgres(what: &'static str, url: &str, connections: u32) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse().map_err(|error| Error::broken(what, error))?;

        let options = options.application_name("dealwire").options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("timezone", "UTC"),
        ]);

        Ok(Self {
            what,
            backend: Backend::Postgres(postgres_pool(options, connections)),
        })
    }

    /// Builds a handle of an SQLite database file, which is created if it does not exist. The
    /// caller holds the lock of its directory.
    pub fn sqlite(what: &'static str, file: &Path) -> Self {
        // A commit that was acknowledged must survive a power failure, so each one is synced.
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);

        Self {
            what,
            backend: sqlite_pools(options),
        }
    }

    /// Returns a handle of the same database with connections of its own, of which there are at most `connections` to
    /// PostgreSQL, at least 1. Its users wait for no user of another handle.
    pub fn with_own_connections(&self, connections: u32) -> Self {
        let backend = match &self.backend {
            Backend::Postgres(pool) => {
                let options = pool.connect_options().as_ref().clone();
                Backend::Postgres(postgres_pool(options, connections))
            }
            Backend::Sqlite { writer, .. } => {
                sqlite_pools(writer.connect_options().as_ref().clone())
            }
        };

        Self {
            what: self.what,
            backend,
        }
    }

    /// Returns the number of connections that are in use.
    pub fn connections_in_use(&self) -> u32 {
        fn in_use<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> u32 {
            // Two looks, between which a connection may have been given back.
            pool.size().saturating_sub(pool.num_idle() as u32)
        }

        match &self.backend {
            Backend::Postgres(pool) => in_use(pool),
            Backend::Sqlite { readers, writer } => in_use(readers) + in_use(writer),
        }
    }

    /// Applies this binary's migrations. Processes that start together take turns.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), Error> {
        let done = match &self.backend {
            Backend::Postgres(pool) => migrate_in_turn(pool, &migrations.postgres).await,
            Backend::Sqlite { writer, .. } => migrations.sqlite.run(writer).await,
        };

        done.map_err(|error| match error {
            // The database failed, not the migration: that may pass.
            MigrateError::Execute(error) => map_error(self.what, error),
            error => Error::broken(self.what, error),
        })
    }

    /// Returns the engine and its version, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        on_db!(
            self.read(),
            postgres(pool) => sqlx::query_scalar(POSTGRES_VERSION).fetch_one(pool).await,
            sqlite(pool) => sqlx::query_scalar(SQLITE_VERSION).fetch_one(pool).await,
        )
    }

    /// Returns the pool for statements that only read.
    pub fn read(&self) -> Pool<'_> {
        self.pool(match &self.backend {
            Backend::Postgres(pool) => PoolEngine::Postgres(pool),
            Backend::Sqlite { readers, .. } => PoolEngine::Sqlite(readers),
        })
    }

    /// Returns the pool for statements that write.
    pub fn write(&self) -> Pool<'_> {
        self.pool(match &self.backend {
            Backend::Postgres(pool) => PoolEngine::Postgres(pool),
            Backend::Sqlite { writer, .. } => PoolEngine::Sqlite(writer),
        })
    }

    fn pool<'a>(&self, engine: PoolEngine<'a>) -> Pool<'a> {
        Pool {
            what: self.what,
            engine,
        }
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let begun = match &self.backend {
            Backend::Postgres(pool) => pool.begin().await.map(TxEngine::Postgres),
            // Takes the write lock now: a transaction that upgrades a read lock later can fail at
            // once.
            Backend::Sqlite { writer, .. } => writer
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(TxEngine::Sqlite),
        };

        self.begun(begun)
    }

    /// Begins a transaction that writes and reaches rows by their indexes, however small a table
    /// is: for tables that grow a thousandfold within a minute. PostgreSQL keeps the plans of a
    /// connection's statements, and a plan made for a table of ten rows reads the whole table.
    pub async fn begin_by_index(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_BY_INDEX).await
    }

    /// Begins a transaction as [`Db::begin_by_index`] does, whose commit does not wait for the
    /// disk: for data that no longer matters after a crash of the server, such as a lease. Such a
    /// crash may lose what was committed within the last second.
    pub async fn begin_asynchronous_commit(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_ASYNCHRONOUS_COMMIT).await
    }

    async fn begin_with(&self, postgres: &'static str) -> Result<Tx, Error> {
        match &self.backend {
            Backend::Postgres(pool) => {
                let begun = pool.begin_with(postgres).await;
                self.begun(begun.map(TxEngine::Postgres))
            }
            // No settings are needed: without statistics, SQLite assumes large tables and prefers
            // their indexes.
            Backend::Sqlite { .. } => self.begin().await,
        }
    }

    /// Begins a transaction in which all reads see one snapshot.
    pub async fn begin_snapshot(&self) -> Result<Tx, Error> {
        let begun = match &self.backend {
            Backend::Postgres(pool) => pool
                .begin_with(BEGIN_SNAPSHOT)
                .await
                .map(TxEngine::Postgres),
            // In WAL mode, a transaction that reads keeps the snapshot of its first read by itself.
            Backend::Sqlite { readers, .. } => readers.begin().await.map(TxEngine::Sqlite),
        };

        self.begun(begun)
    }

    fn begun(&self, begun: Result<TxEngine, sqlx::Error>) -> Result<Tx, Error> {
        let engine = begun.map_err(|error| map_error(self.what, error))?;
        Ok(Tx {
            what: self.what,
            engine,
        })
    }
}

/// Migrates a PostgreSQL database when no other process does.
async fn migrate_in_turn(pool: &PgPool, migrator: &Migrator) -> Result<(), MigrateError> {
    // Whoever waits for a lock in a statement holds a snapshot meanwhile, for which CREATE INDEX
    // CONCURRENTLY waits in turn: a deadlock. Asking again and again holds none.
    let mut turn = pool.acquire().await?.detach();
    while !sqlx::query_scalar::<_, bool>(MIGRATION_TURN)
        .fetch_one(&mut turn)
        .await?
    {
        sleep(MIGRATION_LOOK).await;
    }

    let done = migrator.run(pool).await;
    // The end of the session ends the turn, whatever became of the migrations.
    turn.close().await?;
    done
}

/// Returns what an error of the driver means to the caller.
fn map_error(what: &'static str, error: sqlx::Error) -> Error {
    use sqlx::Error as Sql;
    match &error {
        Sql::Database(error) if error.is_unique_violation() => Error::Conflict { what },
        Sql::Database(cause) if cause.code().is_some_and(|code| may_pass(&code)) => {
            Error::unavailable(what, error)
        }
        // The connection failed, or none could be had: the same statement may succeed on another.
        Sql::Io(_)
        | Sql::Tls(_)
        | Sql::Protocol(_)
        | Sql::PoolTimedOut
        | Sql::PoolClosed
        | Sql::WorkerCrashed => Error::unavailable(what, error),
        _ => Error::broken(what, error),
    }
}

/// Returns whether an SQLSTATE or SQLite result code describes a passing condition.
fn may_pass(code: &str) -> bool {
    // Classes: connection, transaction rollback, resources, operator intervention, system error.
    let postgres = ["08", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.len() == 5 && code.starts_with(class));

    // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR, in the low byte of an extended code.
    let sqlite = code
        .parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13));

    // Read-only, because a failover is under way; a transaction that the server ended because it
    // was idle; an undefined table or column, because the migrations have not run yet.
    let single = matches!(
        code,
        "25006" | "25P02" | "25P03" | "25P04" | "42P01" | "42703"
    );
    postgres || single || (code.len() < 5 && sqlite)
}
