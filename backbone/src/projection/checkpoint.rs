//! The checkpoint: position of a projection's tables in the log, stored in one row that is moved
//! only from where its mover read it.

use sqlx::FromRow;

use crate::db::{Db, Tx};
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};
use crate::{Error, on_db, on_tx};

const READ: &str = include_str!("checkpoint/read.sql");
const ADOPT: &str = include_str!("checkpoint/adopt.sql");
const ADVANCE: &str = include_str!("checkpoint/advance.sql");

/// Position of a projection's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Checkpoint {
    /// Epoch of the log that the tables were built from; 0 before the first.
    pub epoch: Epoch,
    /// Sequence of the last event in the tables; 0 before the first.
    #[sqlx(try_from = "i64")]
    pub position: Sequence,
    /// Id of that event; `None` before the first, or if it could not be decoded.
    pub event_id: Option<EventId>,
    /// Number of the build of the tables.
    pub generation: i32,
}

impl Checkpoint {
    /// Reads the checkpoint of the projection `name`.
    pub async fn read(db: &Db, name: &str) -> Result<Self, Error> {
        on_db!(db.read(), pool => sqlx::query_as(READ).bind(name).fetch_one(pool).await)
    }

    /// Reads the checkpoint of the projection `name` in the snapshot of a transaction.
    pub async fn read_in(tx: &mut Tx, name: &str) -> Result<Self, Error> {
        on_tx!(tx, connection => sqlx::query_as(READ).bind(name).fetch_one(connection).await)
    }
}

/// Gives empty tables the log's epoch, and returns the checkpoint. Tables with an epoch keep
/// theirs.
pub(super) async fn adopt(db: &Db, name: &str, epoch: Epoch) -> Result<Checkpoint, Error> {
    on_db!(db.write(), pool => sqlx::query(ADOPT)
        .bind(name)
        .bind(epoch)
        .execute(pool)
        .await
        .map(|_| ()))?;

    // Another worker may have adopted an epoch first: what the row holds now decides.
    Checkpoint::read(db, name).await
}

/// Moves the checkpoint, if it still is where its mover read it.
///
/// # Errors
/// [`Error::Conflict`] if another worker moved it.
pub(super) async fn advance(
    tx: &mut Tx,
    name: &str,
    from: Checkpoint,
    to: Checkpoint,
) -> Result<(), Error> {
    // Epoch and generation are compared as well: tables that were built anew meanwhile may have
    // reached the same position.
    let moved = on_tx!(tx, connection => sqlx::query(ADVANCE)
        .bind(to.position as i64)
        .bind(to.event_id)
        .bind(name)
        .bind(from.epoch)
        .bind(from.position as i64)
        .bind(from.generation)
        .execute(connection)
        .await
        .map(|done| done.rows_affected()))?;

    match moved {
        0 => Err(Error::Conflict { what: "projection" }),
        _ => Ok(()),
    }
}
