//! Tables of webhooks: on PostgreSQL in the buyer database, whose migrations create them, and on
//! SQLite in a file of their own, so that its writer never waits for the projection's.
//!
//! Earlier versions kept them in the buyer side's file. What is found there is moved.

use backbone::Error;
use backbone::db::{Db, PoolEngine};
use buyer_core::BuyerSide;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, SqlitePool};

const BUYER_FILE: &str = include_str!("migrate/buyer_file.sqlite.sql");
const ATTACH: &str = include_str!("migrate/attach.sqlite.sql");
const COPY: &str = include_str!("migrate/copy.sqlite.sql");
const CLEAR: &str = include_str!("migrate/clear.sqlite.sql");

/// Creates the tables of webhooks in `db`, if it is a file of its own, and moves what the buyer
/// side's file still has of them. The buyer side is migrated already, and nothing else runs yet.
///
/// # Errors
/// [`Error::Broken`] if a migration fails; [`Error::Unavailable`] if a file cannot be written.
pub async fn migrate(db: &Db, buyers: &BuyerSide) -> Result<(), Error> {
    let (PoolEngine::Sqlite(own), PoolEngine::Sqlite(of_buyers)) =
        (db.write().engine(), buyers.db().read().engine())
    else {
        return Ok(());
    };

    sqlx::migrate!("../migrations/sqlite/webhooks")
        .run(own)
        .await
        .map_err(|error| Error::broken("webhook database", error))?;

    let moved = move_from_buyers(own, of_buyers).await;
    moved.map_err(|error| db.write().error(error))
}

/// Moves what the buyer side's file has of webhooks.
async fn move_from_buyers(own: &SqlitePool, of_buyers: &SqlitePool) -> Result<(), sqlx::Error> {
    let file: String = sqlx::query_scalar(BUYER_FILE).fetch_one(of_buyers).await?;

    // Taken out of the pool, because the other file stays attached to it. Closing it rolls back.
    let mut connection = own.acquire().await?.detach();
    sqlx::query(ATTACH)
        .bind(file)
        .execute(&mut connection)
        .await?;

    // Two transactions, each of which writes one file: in WAL mode, a crash may leave a transaction
    // over two files committed in one of them. A crash in between leaves both with the same rows,
    // and the next start passes over those that are here.
    run(&mut connection, COPY).await?;
    run(&mut connection, CLEAR).await?;

    connection.close().await
}

async fn run(connection: &mut SqliteConnection, script: &'static str) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(script).execute(&mut *tx).await?;
    tx.commit().await
}
