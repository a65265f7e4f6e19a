//! Checkpoints: how far tables have been built from the log, each in one row that is moved only from
//! where its mover read it.

use std::sync::Arc;

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

    /// Gives tables the log's epoch if they have none yet, and reads the checkpoint.
    pub(crate) async fn adopt(db: &Db, name: &str, epoch: Epoch) -> Result<Self, Error> {
        on_db!(db.write(), pool => sqlx::query(ADOPT)
            .bind(name)
            .bind(epoch)
            .execute(pool)
            .await
            .map(|_| ()))?;

        // Another process may have adopted an epoch first: what the row holds now decides.
        Self::read(db, name).await
    }

    /// Returns whether the tables have never belonged to a log.
    pub fn is_new(&self) -> bool {
        self.epoch == Epoch(0)
    }
}

/// The tables that one log belongs to, each with its database and the name of its projection. A
/// writer compares the log with them before it writes.
#[derive(Clone, Default)]
pub struct Tables(Arc<[(Db, &'static str)]>);

impl Tables {
    /// Builds the list from databases and the names of the projections that keep tables there.
    pub fn new(tables: impl IntoIterator<Item = (Db, &'static str)>) -> Self {
        Self(tables.into_iter().collect())
    }

    /// Builds an empty list: any log fits, as in a tool that only looks at one.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the checkpoints of all tables, each with the name of its projection.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while one of the databases cannot be reached.
    pub(crate) async fn checkpoints(&self) -> Result<Vec<(&'static str, Checkpoint)>, Error> {
        let mut checkpoints = Vec::with_capacity(self.0.len());
        for (db, name) in self.0.iter() {
            checkpoints.push((*name, Checkpoint::read(db, name).await?));
        }

        Ok(checkpoints)
    }

    /// Gives tables that have never belonged to a log this epoch, and reads all checkpoints.
    pub(crate) async fn adopt(
        &self,
        epoch: Epoch,
    ) -> Result<Vec<(&'static str, Checkpoint)>, Error> {
        let mut checkpoints = Vec::with_capacity(self.0.len());
        for (db, name) in self.0.iter() {
            checkpoints.push((*name, Checkpoint::adopt(db, name, epoch).await?));
        }

        Ok(checkpoints)
    }
}

/// Moves the checkpoint, if it still is where its mover read it.
///
/// # Errors
/// [`Error::Conflict`] if another worker moved it.
pub(crate) async fn advance(
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
