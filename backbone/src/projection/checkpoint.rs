//! Where a projection's tables stand in the log: one row, moved only from where its mover read it.

use sqlx::FromRow;

use crate::db::{Db, Tx};
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};
use crate::{Error, on_db, on_tx};

const READ: &str = "SELECT epoch, position, event_id, generation FROM projection WHERE name = $1";
const ADOPT: &str =
    "UPDATE projection SET epoch = $2 WHERE name = $1 AND position = 0 AND epoch = 0";
const ADVANCE: &str = "
    UPDATE projection SET position = $1, event_id = $2
     WHERE name = $3 AND epoch = $4 AND position = $5 AND generation = $6";

/// The place of a projection's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Checkpoint {
    /// Of which log.
    pub epoch: Epoch,
    /// The last event in the tables; 0 before the first.
    #[sqlx(try_from = "i64")]
    pub position: Sequence,
    /// That event's id; none before the first, or when it could not be read.
    pub event_id: Option<EventId>,
    /// Which build of the tables.
    pub generation: i32,
}

impl Checkpoint {
    /// Reads the place of the projection of this name.
    pub async fn read(db: &Db, name: &str) -> Result<Self, Error> {
        on_db!(db.read(), pool => sqlx::query_as(READ).bind(name).fetch_one(pool).await)
    }
}

/// Tables at 0 take the log's epoch for theirs.
pub(super) async fn adopt(db: &Db, name: &str, epoch: Epoch) -> Result<Checkpoint, Error> {
    on_db!(db.write(), pool => sqlx::query(ADOPT).bind(name).bind(epoch).execute(pool).await.map(|_| ()))?;
    Checkpoint::read(db, name).await
}

/// Moves the place, if it still is where its mover read it.
///
/// # Errors
/// [`Error::Conflict`] when it is not.
pub(super) async fn advance(
    tx: &mut Tx,
    name: &str,
    from: Checkpoint,
    to: Checkpoint,
) -> Result<(), Error> {
    let moved = on_tx!(tx, connection => sqlx::query(ADVANCE)
        .bind(to.position as i64)
        .bind(to.event_id)
        .bind(name)
        .bind(from.epoch)
        .bind(from.position as i64)
        .bind(from.generation)
        .execute(connection)
        .await
        .map(|done| done.rows_affected()));
    match moved? {
        0 => Err(Error::Conflict { what: "projection" }),
        _ => Ok(()),
    }
}
