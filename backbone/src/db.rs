//! Where tables live: PostgreSQL or SQLite behind one handle, and one text of SQL for both wherever it can be.
//!
//! [`on_db!`] and [`on_tx!`] run one expression in either arm. Where dialects or hot paths part, two constants stand
//! side by side in the file of the slice. No table is known here.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::Error;

/// How long a caller waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A statement that takes longer is stuck, not slow: the server ends it.
const STATEMENT_TIMEOUT: &str = "30s";
/// A process that is stopped in the middle of a transaction must not keep its rows locked: a standby waits for them.
const IDLE_TIMEOUT: &str = "3s";
const READERS: u32 = 4;
/// What is read whole all the same counts as very dear, which is no reason to compile the statement. Where the only way
/// is by an index, arguments change no plan, and making one at every call would cost more than running it.
const BEGIN_BY_INDEX: &str = "
    BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan";
/// The same, and its commit does not wait for the disk.
const BEGIN_PASSING: &str = "
    BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan;
    SET LOCAL synchronous_commit = off";
const POSTGRES_VERSION: &str = "SELECT 'PostgreSQL ' || current_setting('server_version')";
const SQLITE_VERSION: &str = "SELECT 'SQLite ' || sqlite_version()";

/// One database.
#[derive(Clone)]
pub struct Db {
    what: &'static str,
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Postgres(PgPool),
    /// SQLite has one writer at a time; its own pool of one keeps readers from waiting for it.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
}

/// A pool to run one statement on; for [`on_db!`].
pub enum Pool<'a> {
    /// PostgreSQL.
    Postgres(&'a PgPool),
    /// SQLite.
    Sqlite(&'a SqlitePool),
}

/// A transaction; for [`on_tx!`]. Dropped without [`Tx::commit`], it is rolled back.
pub enum Tx {
    /// PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// SQLite.
    Sqlite(Transaction<'static, Sqlite>),
}

/// Runs one expression on a [`Pool`], whichever engine it is.
#[macro_export]
macro_rules! on_db {
    ($pool:expr, $connection:ident => $run:expr) => {
        match $pool {
            $crate::db::Pool::Postgres($connection) => $run,
            $crate::db::Pool::Sqlite($connection) => $run,
        }
    };
}

/// Runs one expression on the connection of a [`Tx`], whichever engine it is.
#[macro_export]
macro_rules! on_tx {
    ($tx:expr, $connection:ident => $run:expr) => {
        match $tx {
            $crate::db::Tx::Postgres(tx) => {
                let $connection = &mut **tx;
                $run
            }
            $crate::db::Tx::Sqlite(tx) => {
                let $connection = &mut **tx;
                $run
            }
        }
    };
}

/// The migrations of one database in both engines.
pub struct Migrations {
    /// For PostgreSQL.
    pub postgres: Migrator,
    /// For SQLite.
    pub sqlite: Migrator,
}

impl Db {
    /// A PostgreSQL database. It connects when first used.
    ///
    /// # Errors
    /// [`Error::Broken`] when the URL is none.
    pub fn postgres(what: &'static str, url: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse().map_err(|error| Error::broken(what, error))?;
        let options = options.application_name("dealwire").options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("timezone", "UTC"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(12)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self {
            what,
            backend: Backend::Postgres(pool),
        })
    }

    /// An SQLite database file, made if absent. The caller holds the lock of its folder.
    pub fn sqlite(what: &'static str, file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |connections, options| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_lazy_with(options)
        };
        let backend = Backend::Sqlite {
            readers: pool(READERS, options.clone().read_only(true)),
            writer: pool(1, options),
        };
        Self { what, backend }
    }

    /// Brings the tables up to this binary's migrations. Processes that start together take turns.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), Error> {
        let done = match &self.backend {
            Backend::Postgres(pool) => migrations.postgres.run(pool).await,
            Backend::Sqlite { writer, .. } => migrations.sqlite.run(writer).await,
        };
        done.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => self.error(error),
            error => Error::broken(self.what, error),
        })
    }

    /// The engine and its version, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        let version: Result<String, _> = match self.read() {
            Pool::Postgres(pool) => sqlx::query_scalar(POSTGRES_VERSION).fetch_one(pool).await,
            Pool::Sqlite(pool) => sqlx::query_scalar(SQLITE_VERSION).fetch_one(pool).await,
        };
        version.map_err(|error| self.error(error))
    }

    /// For statements that only read.
    pub fn read(&self) -> Pool<'_> {
        match &self.backend {
            Backend::Postgres(pool) => Pool::Postgres(pool),
            Backend::Sqlite { readers, .. } => Pool::Sqlite(readers),
        }
    }

    /// For statements that write.
    pub fn write(&self) -> Pool<'_> {
        match &self.backend {
            Backend::Postgres(pool) => Pool::Postgres(pool),
            Backend::Sqlite { writer, .. } => Pool::Sqlite(writer),
        }
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx, Error> {
        match &self.backend {
            Backend::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
            Backend::Sqlite { writer, .. } => {
                writer.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite)
            }
        }
        .map_err(|error| self.error(error))
    }

    /// Begins a transaction that writes, and that reaches rows by their indexes however small a table is: for tables
    /// that grow a thousandfold within a minute. PostgreSQL keeps the plans of a connection's statements, and one that
    /// was made for a table of ten rows reads all of it.
    pub async fn begin_by_index(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_BY_INDEX).await
    }

    /// As [`Db::begin_by_index`], for what matters no longer when the server has crashed, such as a lease: what was
    /// committed within the last second may be gone then.
    pub async fn begin_passing(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_PASSING).await
    }

    async fn begin_with(&self, postgres: &'static str) -> Result<Tx, Error> {
        match &self.backend {
            Backend::Postgres(pool) => pool.begin_with(postgres).await.map(Tx::Postgres),
            Backend::Sqlite { .. } => return self.begin().await,
        }
        .map_err(|error| self.error(error))
    }

    /// Begins a transaction that reads, all of it from one snapshot.
    pub async fn begin_snapshot(&self) -> Result<Tx, Error> {
        match &self.backend {
            Backend::Postgres(pool) => pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await
                .map(Tx::Postgres),
            Backend::Sqlite { readers, .. } => readers.begin().await.map(Tx::Sqlite),
        }
        .map_err(|error| self.error(error))
    }

    /// Commits.
    pub async fn commit(&self, tx: Tx) -> Result<(), Error> {
        match tx {
            Tx::Postgres(tx) => tx.commit().await,
            Tx::Sqlite(tx) => tx.commit().await,
        }
        .map_err(|error| self.error(error))
    }

    /// What an error of the driver means to the caller.
    pub fn error(&self, error: sqlx::Error) -> Error {
        use sqlx::Error as Sql;
        match &error {
            Sql::Database(said) if said.is_unique_violation() => {
                Error::Conflict { what: self.what }
            }
            Sql::Database(said) if said.code().is_some_and(|code| may_pass(&code)) => {
                Error::unavailable(self.what, error)
            }
            Sql::Io(_)
            | Sql::Tls(_)
            | Sql::Protocol(_)
            | Sql::PoolTimedOut
            | Sql::PoolClosed
            | Sql::WorkerCrashed => Error::unavailable(self.what, error),
            _ => Error::broken(self.what, error),
        }
    }
}

/// SQLSTATE classes and SQLite result codes that say "not now" rather than "not so".
fn may_pass(code: &str) -> bool {
    // connection, transaction rollback, resources, operator intervention, system error; read-only: a failover is
    // under way; a transaction that was given up because we slept in it; undefined table: not migrated yet.
    let postgres = ["08", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.len() == 5 && code.starts_with(class));
    // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR, in the low byte of an extended code.
    let sqlite = code
        .parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13));
    postgres
        || matches!(code, "25006" | "25P02" | "25P03" | "25P04" | "42P01")
        || (code.len() < 5 && sqlite)
}
