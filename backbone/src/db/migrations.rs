//! Migrations: bring a database to the schema of this binary, or find it there or beyond.
//!
//! Each runs on a connection of its own, which is in no pool: without a limit for statements, and
//! with locks that end with the connection. Processes take turns. A database that a newer binary has
//! migrated is left as it is, so that an older one serves beside it and an upgrade can be taken back.

mod history;
mod locks;
mod postgres;
mod progress;
mod sqlite;
mod statements;
mod watch;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::Error;

pub(super) use progress::Progress;

/// The migrations of one database, for both engines.
pub struct Migrations {
    /// Migrations for PostgreSQL.
    pub postgres: Migrator,
    /// Migrations for SQLite.
    pub sqlite: Migrator,
}

/// Migrates a PostgreSQL database, for as long as it takes.
pub(super) async fn run_on_postgres(
    what: &'static str,
    options: &PgConnectOptions,
    migrator: &Migrator,
    progress: &Progress,
) -> Result<(), Error> {
    // Whoever runs this may give it up.
    let _running = progress.running();
    postgres::run(what, options, migrator, progress).await
}

/// Migrates an SQLite database, whose directory the caller has locked.
pub(super) async fn run_on_sqlite(
    what: &'static str,
    options: &SqliteConnectOptions,
    migrator: &Migrator,
) -> Result<(), Error> {
    sqlite::run(what, options, migrator).await
}
