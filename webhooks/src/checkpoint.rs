//! The place of the fan-out in the log: one row, moved only from where its mover read it.
//!
//! The row is also the boundary between settings. Before the fan-out decides about changes it claims
//! them, and settings take effect behind everything that is projected or claimed. Whoever changes
//! settings holds the row's lock from reading that boundary to the commit, so that a claim comes
//! wholly before or wholly after.

use backbone::db::{Db, Tx};
use backbone::ids::WebhookId;
use backbone::position::{Epoch, Position, Sequence};
use backbone::projection::Checkpoint;
use backbone::{Error, on_db, on_tx};
use buyer_core::BuyerSide;
use sqlx::FromRow;

const READ: &str = include_str!("checkpoint/read.sql");
const LOCK_POSTGRES: &str = include_str!("checkpoint/lock.postgres.sql");
const CLAIM: &str = include_str!("checkpoint/claim.sql");
const ADVANCE: &str = include_str!("checkpoint/advance.sql");
const ADOPT: &str = include_str!("checkpoint/adopt.sql");
const PROJECTION_POSTGRES: &str = include_str!("checkpoint/projection.postgres.sql");

/// Place of the fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct FanoutCheckpoint {
    /// Epoch of the log; 0 before the first.
    pub(crate) epoch: Epoch,
    /// Sequence of the last change.
    #[sqlx(try_from = "i64")]
    pub(crate) sequence: Sequence,
    /// Index of the last change within its event.
    #[sqlx(rename = "change_index", try_from = "i32")]
    pub(crate) index: u16,
    /// Last endpoint that has a delivery for the last change; `None` when all have.
    pub(crate) webhook_id: Option<WebhookId>,
    /// Sequence up to which the fan-out may have begun to decide.
    #[sqlx(try_from = "i64")]
    pub(crate) claimed: Sequence,
}

impl FanoutCheckpoint {
    /// Returns the sequence up to which every change has its deliveries.
    pub(crate) fn complete_up_to(&self) -> Sequence {
        if self.index == Position::END && self.webhook_id.is_none() {
            self.sequence
        } else {
            self.sequence.saturating_sub(1)
        }
    }
}

/// Reads the place of the fan-out.
pub(crate) async fn read(db: &Db) -> Result<FanoutCheckpoint, Error> {
    on_db!(db.read(), pool => sqlx::query_as(READ).fetch_one(pool).await)
}

/// Claims what lies up to a sequence, which must be projected.
pub(crate) async fn claim(db: &Db, up_to: Sequence) -> Result<(), Error> {
    // The update waits for settings that are being changed. Those took a boundary before `up_to`,
    // perhaps, and are committed when this returns; those that come later read a boundary that is
    // not before it.
    on_db!(
        db.write(),
        pool => sqlx::query(CLAIM).bind(up_to as i64).execute(pool).await.map(|_| ())
    )
}

/// Moves the fan-out, if it still is where its mover read it.
///
/// # Errors
/// [`Error::Conflict`] if another process moved it.
pub(crate) async fn advance(
    tx: &mut Tx,
    from: FanoutCheckpoint,
    to: FanoutCheckpoint,
) -> Result<(), Error> {
    let moved = on_tx!(tx, connection => sqlx::query(ADVANCE)
        .bind(to.sequence as i64)
        .bind(i32::from(to.index))
        .bind(to.webhook_id)
        .bind(from.epoch)
        .bind(from.sequence as i64)
        .bind(i32::from(from.index))
        .bind(from.webhook_id)
        .execute(connection)
        .await
        .map(|done| done.rows_affected()))?;

    match moved {
        0 => Err(Error::Conflict { what: "fan-out" }),
        _ => Ok(()),
    }
}

/// Gives the fan-out another log, in which it goes on after a sequence.
pub(crate) async fn adopt(
    db: &Db,
    from: Epoch,
    to: Epoch,
    sequence: Sequence,
) -> Result<(), Error> {
    on_db!(db.write(), pool => sqlx::query(ADOPT)
        .bind(to)
        .bind(sequence as i64)
        .bind(from)
        .execute(pool)
        .await
        .map(|_| ()))
}

/// Databases that a change of settings needs: that of the webhooks' tables, and the buyer side's.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) db: &'a Db,
    pub(crate) buyers: &'a BuyerSide,
}

/// Begins a transaction that changes settings. Returns it with the sequence after which the new
/// settings hold, and with the projection's checkpoint.
///
/// It waits for a step of the fan-out, which is short, and never for the projection.
pub(crate) async fn begin_settings(
    tables: Tables<'_>,
) -> Result<(Tx, Sequence, Checkpoint), Error> {
    let mut tx = tables.db.begin().await?;

    // SQLite needs no lock: a transaction that writes is alone.
    let statement = if tx.is_postgres() {
        LOCK_POSTGRES
    } else {
        READ
    };
    let fanout: Result<FanoutCheckpoint, Error> =
        on_tx!(&mut tx, connection => sqlx::query_as(statement).fetch_one(connection).await);
    let fanout = fanout?;

    // Read after the lock is held, in a statement of its own: one that waited for the lock would
    // show the checkpoint of before the wait, and a claim beyond it might have come between.
    let projection = if tx.is_postgres() {
        // On this connection, because a transaction that waits for a second one can use up a pool.
        let read: Result<Checkpoint, Error> = on_tx!(
            &mut tx,
            connection => sqlx::query_as(PROJECTION_POSTGRES).fetch_one(connection).await
        );
        read?
    } else {
        tables.buyers.checkpoint().await?
    };

    let boundary = projection.position.max(fanout.claimed);
    Ok((tx, boundary, projection))
}
