//! Pools of connections, for databases and for the embedded log.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, SqlitePool};

/// Time that a caller waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest number of connections that read an SQLite database.
pub(crate) const READERS: u32 = 4;

/// Builds a pool that connects when it is first used.
pub(super) fn postgres_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

/// Returns the options of a database file that is created if it does not exist.
pub(crate) fn sqlite_options(file: &Path) -> SqliteConnectOptions {
    // A commit that was acknowledged must survive a power failure, so each one is synced.
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
}

/// Builds a pool that connects when it is first used.
pub(crate) fn sqlite_pool(options: SqliteConnectOptions, connections: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A transaction that was dropped has queued its rollback, which has run when the
                // ping is answered. Where SQLite had rolled back by itself, as it does on a full
                // disk, that rollback fails and the driver still counts a transaction.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_lazy_with(options)
}
