//! Databases: PostgreSQL or SQLite behind one handle, with one SQL text for both where possible.
//!
//! [`on_db!`] and [`on_tx!`] run a statement on whichever engine is behind the handle. Where
//! dialects or hot paths differ, each engine has its own statement. This module knows no tables.

mod failure;
mod migrations;
mod pools;
mod transaction;

pub(crate) use failure::sqlite_is_full;
pub use migrations::Migrations;
pub(crate) use pools::{sqlite_options, sqlite_pool};
pub use transaction::{PooledTransaction, Tx, TxEngine};

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{PgPool, SqlitePool};

use crate::Error;
use failure::{map_error, map_write_error};
use migrations::{Progress, run_on_postgres, run_on_sqlite};
use pools::{READERS, postgres_pool};

const BEGIN_BY_INDEX: &str = include_str!("db/begin_by_index.postgres.sql");
const BEGIN_ASYNCHRONOUS_COMMIT: &str = include_str!("db/begin_asynchronous_commit.postgres.sql");
const BEGIN_SNAPSHOT: &str = include_str!("db/begin_snapshot.postgres.sql");
const POSTGRES_VERSION: &str = include_str!("db/version.postgres.sql");
const SQLITE_VERSION: &str = include_str!("db/version.sqlite.sql");

/// Time after which the server ends a statement: one that takes longer is stuck.
const STATEMENT_TIMEOUT: &str = "30s";
/// Time after which the server ends a session that is idle in a transaction. A process that is
/// stopped there would keep its rows locked, and a standby waits for them.
const IDLE_TIMEOUT: &str = "3s";

/// Handle of one database. Clones share its connections.
#[derive(Clone)]
pub struct Db {
    what: &'static str,
    backend: Backend,
    migration: Progress,
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
    /// Meaning of the driver's errors.
    meaning: fn(&'static str, sqlx::Error) -> Error,
}

/// The engine behind a [`Pool`].
#[derive(Clone, Copy)]
pub enum PoolEngine<'a> {
    /// PostgreSQL.
    Postgres(&'a PgPool),
    /// SQLite.
    Sqlite(&'a SqlitePool),
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
        (self.meaning)(self.what, error)
    }
}

fn sqlite_pools(options: SqliteConnectOptions) -> Backend {
    Backend::Sqlite {
        readers: sqlite_pool(options.clone().read_only(true), READERS),
        writer: sqlite_pool(options, 1),
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
            migration: Progress::new(what),
            backend: Backend::Postgres(postgres_pool(options, connections)),
        })
    }

    /// Builds a handle of an SQLite database file, which is created if it does not exist. The
    /// caller holds the lock of its directory.
    pub fn sqlite(what: &'static str, file: &Path) -> Self {
        Self {
            what,
            migration: Progress::new(what),
            backend: sqlite_pools(sqlite_options(file)),
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
            migration: self.migration.clone(),
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

    /// Brings the database to the schema of this binary, for as long as that takes; does nothing if
    /// a newer binary has migrated it. Processes that start together take turns.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database cannot be reached. [`Error::Broken`] if it has a
    /// different history than this binary, or a migration cannot be applied.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), Error> {
        match &self.backend {
            Backend::Postgres(pool) => {
                let options = pool.connect_options();
                run_on_postgres(self.what, &options, &migrations.postgres, &self.migration).await
            }
            Backend::Sqlite { writer, .. } => {
                let options = writer.connect_options();
                run_on_sqlite(self.what, &options, &migrations.sqlite).await
            }
        }
    }

    /// Returns what a migration of this handle or its clones is doing; `None` while none runs.
    pub fn migration(&self) -> Option<String> {
        self.migration.state()
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

    /// Returns the pool for statements that write and whose caller must be told the outcome: their
    /// error is [`Error::Unknown`] if the statement may have been carried out.
    pub fn write_with_outcome(&self) -> Pool<'_> {
        Pool {
            meaning: map_write_error,
            ..self.write()
        }
    }

    fn pool<'a>(&self, engine: PoolEngine<'a>) -> Pool<'a> {
        Pool {
            what: self.what,
            engine,
            meaning: map_error,
        }
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx, Error> {
        self.begin_with(None).await
    }

    /// Begins a transaction that writes and reaches rows by their indexes, however small a table
    /// is: for tables that grow a thousandfold within a minute. PostgreSQL keeps the plans of a
    /// connection's statements, and a plan made for a table of ten rows reads the whole table.
    pub async fn begin_by_index(&self) -> Result<Tx, Error> {
        self.begin_with(Some(BEGIN_BY_INDEX)).await
    }

    /// Begins a transaction as [`Db::begin_by_index`] does, whose commit does not wait for the
    /// disk: for data that no longer matters after a crash of the server, such as a lease. Such a
    /// crash may lose what was committed within the last second.
    pub async fn begin_asynchronous_commit(&self) -> Result<Tx, Error> {
        self.begin_with(Some(BEGIN_ASYNCHRONOUS_COMMIT)).await
    }

    async fn begin_with(&self, postgres: Option<&'static str>) -> Result<Tx, Error> {
        let begun = match &self.backend {
            Backend::Postgres(pool) => PooledTransaction::begin(pool, postgres)
                .await
                .map(TxEngine::Postgres),
            // Takes the write lock now: a transaction that upgrades a read lock later can fail at
            // once. No other settings are needed: without statistics, SQLite assumes large tables
            // and prefers their indexes.
            Backend::Sqlite { writer, .. } => {
                PooledTransaction::begin(writer, Some("BEGIN IMMEDIATE"))
                    .await
                    .map(TxEngine::Sqlite)
            }
        };

        self.begun(begun)
    }

    /// Begins a transaction in which all reads see one snapshot.
    pub async fn begin_snapshot(&self) -> Result<Tx, Error> {
        let begun = match &self.backend {
            Backend::Postgres(pool) => PooledTransaction::begin(pool, Some(BEGIN_SNAPSHOT))
                .await
                .map(TxEngine::Postgres),
            // In WAL mode, a transaction that reads keeps the snapshot of its first read by itself.
            Backend::Sqlite { readers, .. } => PooledTransaction::begin(readers, None)
                .await
                .map(TxEngine::Sqlite),
        };

        self.begun(begun)
    }

    fn begun(&self, begun: Result<TxEngine, sqlx::Error>) -> Result<Tx, Error> {
        let engine = begun.map_err(|error| map_error(self.what, error))?;
        Ok(Tx::new(self.what, engine))
    }
}
