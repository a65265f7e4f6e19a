//! Migration of an SQLite file, which one process at a time can use.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::history::{self, TABLE};
use crate::Error;
use crate::db::failure::map_migrate_error;

pub(super) async fn run(
    what: &'static str,
    options: &SqliteConnectOptions,
    migrator: &Migrator,
) -> Result<(), Error> {
    let failed = |error: MigrateError| map_migrate_error(what, error);
    let mut session = options
        .connect()
        .await
        .map_err(|error| failed(error.into()))?;

    session
        .ensure_migrations_table(TABLE)
        .await
        .map_err(failed)?;
    let applied = session
        .list_applied_migrations(TABLE)
        .await
        .map_err(failed)?;
    let pending = history::pending(migrator, &applied).map_err(|why| Error::broken(what, why))?;

    for migration in pending {
        session.apply(TABLE, migration).await.map_err(failed)?;
    }

    session.close().await.map_err(|error| failed(error.into()))
}
