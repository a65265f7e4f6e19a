//! Migration of a PostgreSQL database that others read and write meanwhile.
//!
//! A migration in a transaction holds its locks to its end, and everybody queues behind one that
//! waits for a lock: such a wait is short, and begins again after a pause. A migration without a
//! transaction builds its indexes concurrently; one that was interrupted is run again from its
//! beginning, after what it left behind is dropped.

use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::history::{self, TABLE};
use super::progress::Progress;
use super::watch::watched;
use super::{locks, statements};
use crate::Error;
use crate::db::failure::map_migrate_error;
use crate::random::jitter;

const SESSION: &str = include_str!("postgres/session.postgres.sql");
const HALF_BUILT: &str = include_str!("postgres/half_built.postgres.sql");
const WAIT_FOR_LOCKS: &str = include_str!("postgres/wait_for_locks.postgres.sql");
const GIVE_UP_LOCKS: &str = include_str!("postgres/give_up_locks.postgres.sql");

/// Time that a migration in a transaction waits for a lock, and that others wait behind it.
const LOCK_TIMEOUT: &str = "3s";
/// Time to connect, and for a look at the migrations that a database has.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a lock was not free; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two attempts, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

pub(super) async fn run(
    what: &'static str,
    options: &PgConnectOptions,
    migrator: &Migrator,
    progress: &Progress,
) -> Result<(), Error> {
    let failed = |error: sqlx::Error| map_migrate_error(what, error.into());
    let different = |why: String| Error::broken(what, why);
    // Settings of the pools hold for sessions that serve requests. The later ones count.
    let options = options
        .clone()
        .application_name("dealwire migration")
        .options([("statement_timeout", "0"), ("lock_timeout", LOCK_TIMEOUT)]);

    // Most starts find nothing to do, and take no lock that another process may hold.
    let looked = timeout(CONNECT_TIMEOUT, async {
        let mut session = options.connect().await?;
        let applied = applied(&mut session).await?;
        Ok((session, applied))
    });

    let late = |_| Error::unavailable(what, format!("no answer within {CONNECT_TIMEOUT:?}"));
    let (mut session, found) = looked.await.map_err(late)?.map_err(failed)?;
    if history::pending(migrator, &found)
        .map_err(different)?
        .is_empty()
    {
        return session.close().await.map_err(failed);
    }

    locks::take(&mut session, progress).await.map_err(failed)?;
    let runner = Runner {
        what,
        pid: sqlx::query_scalar(SESSION)
            .fetch_one(&mut session)
            .await
            .map_err(failed)?,
        options,
        progress,
    };

    // Another process may have migrated before this one had its turn.
    let found = applied(&mut session).await.map_err(failed)?;
    for migration in history::pending(migrator, &found).map_err(different)? {
        runner.apply(&mut session, migration).await?;
    }

    session.close().await.map_err(failed)
}

/// Reads the migrations that the database has; none if it has no table of them yet.
async fn applied(session: &mut PgConnection) -> Result<Vec<AppliedMigration>, sqlx::Error> {
    match session.list_applied_migrations(TABLE).await {
        Ok(applied) => Ok(applied),
        Err(MigrateError::Execute(error)) if code(&error).as_deref() == Some("42P01") => {
            Ok(Vec::new())
        }
        Err(MigrateError::Execute(error)) => Err(error),
        Err(error) => Err(sqlx::Error::Protocol(error.to_string())),
    }
}

struct Runner<'a> {
    what: &'static str,
    /// Number of the session that migrates.
    pid: i32,
    options: PgConnectOptions,
    progress: &'a Progress,
}

impl Runner<'_> {
    /// Applies one migration, again and again while others hold locks that it needs.
    async fn apply(&self, session: &mut PgConnection, migration: &Migration) -> Result<(), Error> {
        let name = format!(
            "migration {} ({})",
            migration.version, migration.description
        );
        let mut pause = FIRST_PAUSE;
        loop {
            self.progress.tell(format!("applying {name}"));
            let attempt = attempt(session, migration);
            let Some(done) = watched(attempt, &self.options, self.pid, &name, self.progress).await
            else {
                let why = format!("the session that applied {name} is gone");
                return Err(Error::unavailable(self.what, why));
            };

            match done {
                Ok(()) => return Ok(()),
                Err(error) if is_taken(&error) => {
                    let error = map_migrate_error(self.what, error);
                    tracing::warn!(%error, "{name} begins again after a pause: {error}");
                }
                Err(error) => return Err(map_migrate_error(self.what, error)),
            }

            // Those who queued behind this attempt go first.
            sleep(jitter(pause, 0.2)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

async fn attempt(session: &mut PgConnection, migration: &Migration) -> Result<(), MigrateError> {
    session.ensure_migrations_table(TABLE).await?;
    if !migration.no_tx {
        return session.apply(TABLE, migration).await.map(|_| ());
    }

    let failed = |error| MigrateError::ExecuteMigration(error, migration.version);
    for statement in statements::split(migration.sql.as_str()) {
        run_alone(session, statement).await.map_err(failed)?;
    }

    // Notes the migration as applied, without running its text.
    session.skip(TABLE, migration).await
}

/// Runs a statement of a migration without a transaction.
async fn run_alone(session: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    let wait = if statements::is_concurrent(statement) {
        WAIT_FOR_LOCKS
    } else {
        GIVE_UP_LOCKS
    };
    sqlx::raw_sql(wait).execute(&mut *session).await?;

    // `IF NOT EXISTS` would take an index that was left half built for a finished one.
    let half_built: Vec<String> = sqlx::query_scalar(HALF_BUILT)
        .fetch_all(&mut *session)
        .await?;
    for index in half_built {
        if statements::names(statement, &index) {
            tracing::warn!(
                index,
                "building index {index} again: an earlier build was interrupted"
            );
            let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS \"{index}\"");
            sqlx::raw_sql(AssertSqlSafe(drop))
                .execute(&mut *session)
                .await?;
        }
    }

    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement).execute(session).await?;
    Ok(())
}

/// Returns whether somebody else held a lock: not in time, or each waited for the other.
fn is_taken(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };

    code(error).is_some_and(|code| matches!(code.as_str(), "55P03" | "40P01"))
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}
