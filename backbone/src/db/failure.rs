//! Meaning of a driver's errors for callers.

use sqlx::migrate::MigrateError;

use crate::Error;

/// Result codes of SQLite that describe a passing condition: SQLITE_BUSY, SQLITE_LOCKED,
/// SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN, which a full disk causes as well.
const PASSING_IN_SQLITE: [u32; 5] = [5, 6, SQLITE_IOERR, SQLITE_FULL, 14];
const SQLITE_IOERR: u32 = 10;
const SQLITE_FULL: u32 = 13;

/// Returns what an error of the driver means to the caller.
///
/// A violated constraint is [`Error::Broken`], a unique one too: statements that expect a row to
/// exist already say so with `ON CONFLICT`.
pub(super) fn map_error(what: &'static str, error: sqlx::Error) -> Error {
    if passes(&error) {
        Error::unavailable(what, error)
    } else {
        Error::broken(what, error)
    }
}

/// Returns what an error of the driver means to the caller of a statement that ends a write: a
/// COMMIT, or a statement in a transaction of its own.
pub(super) fn map_write_error(what: &'static str, error: sqlx::Error) -> Error {
    if leaves_outcome_open(&error) {
        Error::Unknown {
            what,
            why: error.to_string(),
        }
    } else {
        map_error(what, error)
    }
}

/// Returns whether the write may have been carried out although the driver reports an error.
fn leaves_outcome_open(error: &sqlx::Error) -> bool {
    use sqlx::Error as Sql;
    match error {
        // The connection was lost between the request and its answer.
        Sql::Io(_) | Sql::Tls(_) | Sql::Protocol(_) | Sql::WorkerCrashed => true,
        // The server may report the end of a session, or of itself, in place of a success.
        Sql::Database(cause) => cause.code().is_some_and(|code| {
            let session_ended = ["08", "57P", "58"]
                .iter()
                .any(|class| code.starts_with(class));
            let is_sqlite = code.len() < 5;

            (code.len() == 5 && session_ended)
                || (is_sqlite && sqlite_code(&code) == Some(SQLITE_IOERR))
        }),
        _ => false,
    }
}

/// Returns what a failed migration means to the caller.
pub(super) fn map_migrate_error(what: &'static str, error: MigrateError) -> Error {
    match error {
        // The database failed, not the migration.
        MigrateError::Execute(error) => map_error(what, error),
        MigrateError::ExecuteMigration(error, version) => {
            let why = format!("migration {version} failed: {error}");
            if passes(&error) {
                Error::unavailable(what, why)
            } else {
                Error::broken(what, why)
            }
        }
        error => Error::broken(what, error),
    }
}

/// Returns whether the same call may succeed later.
fn passes(error: &sqlx::Error) -> bool {
    use sqlx::Error as Sql;
    match error {
        Sql::Database(cause) => cause.code().is_some_and(|code| may_pass(&code)),
        // The connection failed, or none could be had: the same statement may succeed on another.
        Sql::Io(_)
        | Sql::Tls(_)
        | Sql::Protocol(_)
        | Sql::PoolTimedOut
        | Sql::PoolClosed
        | Sql::WorkerCrashed => true,
        _ => false,
    }
}

/// Returns whether SQLite found no room on the disk. Nothing of the transaction was stored then:
/// its last frame, without which it does not count, could not be written.
pub(crate) fn sqlite_is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| sqlite_code(&code)) == Some(SQLITE_FULL)
}

/// Returns whether an SQLSTATE or SQLite result code describes a passing condition.
fn may_pass(code: &str) -> bool {
    // Classes: connection, transaction rollback, resources, operator intervention, system error.
    let postgres = ["08", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.len() == 5 && code.starts_with(class));

    // Read-only, because a failover is under way; a transaction that the server ended because it
    // was idle; a lock that was not free in time.
    let single = matches!(code, "25006" | "25P02" | "25P03" | "25P04" | "55P03");

    // An undefined table, column or unique index: the migrations of this version have not run yet,
    // and may take a while.
    let not_yet = matches!(code, "42P01" | "42703" | "42P10");

    // SQLite's codes have fewer digits than an SQLSTATE.
    let sqlite = sqlite_code(code).is_some_and(|code| PASSING_IN_SQLITE.contains(&code));
    postgres || single || not_yet || (code.len() < 5 && sqlite)
}

/// Returns the primary result code, which an extended one has in its low byte.
fn sqlite_code(code: &str) -> Option<u32> {
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn write_is_unknown_only_if_its_answer_may_be_what_was_lost() {
        let lost = || sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(
            map_write_error("x", lost()),
            Error::Unknown { .. }
        ));
        // Nothing was sent: no connection could be had.
        let none = map_write_error("x", sqlx::Error::PoolTimedOut);
        assert!(matches!(none, Error::Unavailable { .. }), "{none:?}");
        let wrong = map_write_error("x", sqlx::Error::RowNotFound);
        assert!(matches!(wrong, Error::Broken { .. }), "{wrong:?}");

        // Elsewhere a lost connection is an outage like another.
        let read = map_error("x", lost());
        assert!(matches!(read, Error::Unavailable { .. }), "{read:?}");
        assert!(matches!(read.after_write(), Error::Unknown { .. }));
    }
}
