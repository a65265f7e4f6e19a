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
const BEGIN_ASYNCHRONOUS_COMMIT: &str = "
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

/// A pool to run statements on, each in a transaction of its own; for [`on_db!`](crate::on_db).
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

/// A transaction; for [`on_tx!`](crate::on_tx). Dropped without [`Tx::commit`], it is rolled back.
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
/// With one arm, the same expression runs on either engine; with two, each engine has its own:
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
/// With one arm, the same expression runs on either engine; with two, each engine has its own:
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

    /// Commits.
    pub async fn commit(self) -> Result<(), Error> {
        match self.engine {
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
            sqlx::migrate::MigrateError::Execute(error) => map_error(self.what, error),
            error => Error::broken(self.what, error),
        })
    }

    /// The engine and its version, for operators.
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
            Backend::Sqlite { writer, .. } => writer
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(TxEngine::Sqlite),
        };
        self.begun(begun)
    }

    /// Begins a transaction that writes, and that reaches rows by their indexes however small a table is: for tables
    /// that grow a thousandfold within a minute. PostgreSQL keeps the plans of a connection's statements, and one that
    /// was made for a table of ten rows reads all of it.
    pub async fn begin_by_index(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_BY_INDEX).await
    }

    /// Begins a transaction as [`Db::begin_by_index`] does whose commit does not wait for the disk: for what no longer
    /// matters when the server has crashed, such as a lease. What was committed within the last second may be gone
    /// then.
    pub async fn begin_asynchronous_commit(&self) -> Result<Tx, Error> {
        self.begin_with(BEGIN_ASYNCHRONOUS_COMMIT).await
    }

    async fn begin_with(&self, postgres: &'static str) -> Result<Tx, Error> {
        match &self.backend {
            Backend::Postgres(pool) => {
                let begun = pool.begin_with(postgres).await;
                self.begun(begun.map(TxEngine::Postgres))
            }
            Backend::Sqlite { .. } => self.begin().await,
        }
    }

    /// Begins a transaction that reads, all of it from one snapshot.
    pub async fn begin_snapshot(&self) -> Result<Tx, Error> {
        let begun = match &self.backend {
            Backend::Postgres(pool) => pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await
                .map(TxEngine::Postgres),
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

/// Returns what an error of the driver means to the caller.
fn map_error(what: &'static str, error: sqlx::Error) -> Error {
    use sqlx::Error as Sql;
    match &error {
        Sql::Database(said) if said.is_unique_violation() => Error::Conflict { what },
        Sql::Database(said) if said.code().is_some_and(|code| may_pass(&code)) => {
            Error::unavailable(what, error)
        }
        Sql::Io(_)
        | Sql::Tls(_)
        | Sql::Protocol(_)
        | Sql::PoolTimedOut
        | Sql::PoolClosed
        | Sql::WorkerCrashed => Error::unavailable(what, error),
        _ => Error::broken(what, error),
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
