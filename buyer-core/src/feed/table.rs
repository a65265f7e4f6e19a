//! Statements on the feed's table: a batch into it, ranges out of it. How long it keeps changes is
//! decided in [`super::retention`].

use backbone::db::{Db, Tx};
use backbone::ids::SellerId;
use backbone::position::Sequence;
use backbone::projection::Checkpoint;
use backbone::telemetry::TraceContext;
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::change::{Change, ChangeBody, EncodedChange};
use crate::store::{CheckpointRow, missing_checkpoint};

const WRITE_POSTGRES: &str = include_str!("table/write.postgres.sql");
const WRITE_SQLITE: &str = include_str!("table/write.sqlite.sql");
const AFTER: &str = include_str!("table/after.sql");
const OF_SELLERS_POSTGRES: &str = include_str!("table/of_sellers.postgres.sql");
const OF_SELLERS_SQLITE: &str = include_str!("table/of_sellers.sqlite.sql");

/// The part of the feed to read.
#[derive(Clone, Copy, Debug)]
pub struct FeedRange {
    /// Exclusive start: sequence of an event, and index of a change within it.
    pub after: (Sequence, u16),
    /// Inclusive end: sequence of an event.
    pub up_to: Sequence,
    /// Most changes to return.
    pub limit: u32,
}

/// Changes of a range, with the checkpoint and the horizon that the tables had in the same
/// snapshot.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Changes, oldest first.
    pub changes: Vec<Change>,
    /// Checkpoint of the tables.
    pub checkpoint: Checkpoint,
    /// Sequence up to which, inclusively, the feed no longer keeps changes. A range that starts
    /// before it has a gap.
    pub horizon: Sequence,
    /// True when the page is full, so that more changes may follow within the range.
    pub more: bool,
}

/// A change with what its row of the feed keeps beside it.
#[derive(Clone, Debug)]
pub struct FeedRecord {
    /// The change.
    pub change: Change,
    /// Time of the event.
    pub at: Timestamp,
    /// W3C trace context of the mutation behind the event; `None` if the row was written by a
    /// version that did not keep it.
    pub trace: Option<String>,
}

/// Records of a range, with the checkpoint and the horizon of the same snapshot, as in
/// [`FeedPage`].
#[derive(Clone, Debug)]
pub struct FeedRecords {
    /// Records, oldest first.
    pub records: Vec<FeedRecord>,
    /// Checkpoint of the tables.
    pub checkpoint: Checkpoint,
    /// Sequence up to which, inclusively, the feed no longer keeps changes.
    pub horizon: Sequence,
    /// True when the limit was reached, so that more changes may follow within the range.
    pub more: bool,
}

/// A change to be written.
#[derive(Debug)]
pub(crate) struct FeedRow {
    sequence: Sequence,
    index: u16,
    seller_id: SellerId,
    body: Box<RawValue>,
    at: Timestamp,
    trace: Option<String>,
}

impl FeedRow {
    /// Encodes the first change of an event.
    pub(crate) fn new(
        sequence: Sequence,
        seller_id: SellerId,
        at: Timestamp,
        trace: Option<TraceContext>,
        body: &ChangeBody,
    ) -> Self {
        let body = serde_json::value::to_raw_value(body).expect("a change has string keys");

        Self {
            sequence,
            index: 0,
            seller_id,
            body,
            at,
            trace: trace.map(|trace| trace.to_string()),
        }
    }

    /// Returns the change as the live bus carries it.
    pub(crate) fn encoded(&self) -> EncodedChange<'_> {
        EncodedChange {
            sequence: self.sequence,
            index: self.index,
            seller_id: self.seller_id,
            body: &self.body,
        }
    }
}

#[derive(FromRow)]
struct ReadRow {
    #[sqlx(flatten)]
    checkpoint: CheckpointRow,
    horizon: i64,
    sequence: Option<i64>,
    change_index: Option<i16>,
    seller_id: Option<SellerId>,
    body: Option<String>,
    #[sqlx(default)]
    occurred_at: Option<Timestamp>,
    #[sqlx(default)]
    trace: Option<String>,
}

/// Writes the changes of a batch. The blocks that hold their sequences must exist.
pub(crate) async fn write(tx: &mut Tx, rows: &[FeedRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let sequences: Vec<i64> = rows.iter().map(|row| row.sequence as i64).collect();
        let indexes: Vec<i16> = rows.iter().map(|row| row.index as i16).collect();
        let sellers: Vec<Uuid> = rows.iter().map(|row| row.seller_id.0).collect();
        // Bodies are text rather than `jsonb`: they are passed on as they are and never queried
        // into.
        let bodies: Vec<&str> = rows.iter().map(|row| row.body.get()).collect();
        let times: Vec<Timestamp> = rows.iter().map(|row| row.at).collect();
        let traces: Vec<Option<&str>> = rows.iter().map(|row| row.trace.as_deref()).collect();

        sqlx::query(WRITE_POSTGRES)
            .bind(sequences)
            .bind(indexes)
            .bind(sellers)
            .bind(bodies)
            .bind(times)
            .bind(traces)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "sequence": row.sequence, "index": row.index, "seller": row.seller_id.0.simple(),
                    "body": row.body.get(), "at": row.at.as_micros(), "trace": row.trace,
                })
            })
            .collect();

        sqlx::query(WRITE_SQLITE).bind(Json(rows)).execute(&mut *tx).await.map(|_| ())
    })
}

/// Reads the changes of a range.
pub(crate) async fn after(db: &Db, range: FeedRange) -> Result<FeedPage, Error> {
    records_after(db, range).await.map(FeedPage::from)
}

/// Reads the records of a range.
pub(crate) async fn records_after(db: &Db, mut range: FeedRange) -> Result<FeedRecords, Error> {
    loop {
        let (sequence, index) = range.after;
        let rows: Vec<ReadRow> = on_db!(db.read(), pool => sqlx::query_as(AFTER)
            .bind(sequence as i64)
            .bind(stored_index(index))
            .bind(stored_sequence(range.up_to))
            .bind(i64::from(range.limit))
            .fetch_all(pool)
            .await)?;

        match read(rows, range.limit)? {
            Read::Records(records) => return Ok(records),
            Read::OnlyUnknown(last) => range.after = last,
        }
    }
}

/// Reads the changes of a range that belong to some sellers.
pub(crate) async fn of_sellers(
    db: &Db,
    mut range: FeedRange,
    sellers: &[SellerId],
) -> Result<FeedPage, Error> {
    loop {
        let rows = rows_of_sellers(db, range, sellers).await?;

        match read(rows, range.limit)? {
            Read::Records(records) => return Ok(records.into()),
            Read::OnlyUnknown(last) => range.after = last,
        }
    }
}

async fn rows_of_sellers(
    db: &Db,
    range: FeedRange,
    sellers: &[SellerId],
) -> Result<Vec<ReadRow>, Error> {
    let (sequence, index) = range.after;

    on_db!(db.read(), postgres(pool) => {
        let sellers: Vec<Uuid> = sellers.iter().map(|seller| seller.0).collect();

        sqlx::query_as(OF_SELLERS_POSTGRES)
            .bind(sequence as i64)
            .bind(stored_index(index))
            .bind(stored_sequence(range.up_to))
            .bind(i64::from(range.limit))
            .bind(sellers)
            .fetch_all(pool)
            .await
    }, sqlite(pool) => {
        let sellers: Vec<_> = sellers.iter().map(|seller| seller.0.simple()).collect();

        sqlx::query_as(OF_SELLERS_SQLITE)
            .bind(sequence as i64)
            .bind(stored_index(index))
            .bind(stored_sequence(range.up_to))
            .bind(i64::from(range.limit))
            .bind(Json(sellers))
            .fetch_all(pool)
            .await
    })
}

/// Result of a read of the table.
enum Read {
    Records(FeedRecords),
    /// As many rows as were asked for, all of kinds that this version does not know. The last of
    /// them was here.
    OnlyUnknown((Sequence, u16)),
}

fn read(rows: Vec<ReadRow>, limit: u32) -> Result<Read, Error> {
    let mut snapshot: Option<(Checkpoint, Sequence)> = None;
    let mut records = Vec::with_capacity(rows.len());
    let mut last = None;
    // A full page may also be the exact end of the range; the next read then finds nothing.
    let more = rows.len() == limit as usize;

    for row in rows {
        snapshot.get_or_insert((row.checkpoint.into(), row.horizon as Sequence));

        // One row without a change carries the snapshot of an empty range.
        if let (Some(sequence), Some(index), Some(seller_id), Some(body)) =
            (row.sequence, row.change_index, row.seller_id, row.body)
        {
            let sequence = sequence as Sequence;
            let index = index as u16;
            last = Some((sequence, index));

            let body = ChangeBody::decode(&body).map_err(|error| Error::broken("feed", error))?;
            let Some(body) = body else { continue };
            records.push(FeedRecord {
                change: Change {
                    sequence,
                    index,
                    seller_id,
                    body,
                },
                // Absent only where the statement does not select it.
                at: row.occurred_at.unwrap_or(Timestamp::from_micros(0)),
                trace: row.trace,
            });
        }
    }

    let (checkpoint, horizon) = snapshot.ok_or_else(missing_checkpoint)?;
    match last {
        // Readers go on after the last change of a page, so a full one has at least one.
        Some(last) if more && records.is_empty() => Ok(Read::OnlyUnknown(last)),
        _ => Ok(Read::Records(FeedRecords {
            records,
            checkpoint,
            horizon,
            more: more && last.is_some(),
        })),
    }
}

impl From<FeedRecords> for FeedPage {
    fn from(records: FeedRecords) -> Self {
        Self {
            changes: records
                .records
                .into_iter()
                .map(|record| record.change)
                .collect(),
            checkpoint: records.checkpoint,
            horizon: records.horizon,
            more: records.more,
        }
    }
}

/// Returns an index as the table stores it.
fn stored_index(index: u16) -> i16 {
    // The column is signed. `Position::END` becomes its greatest value, which still sorts after
    // every stored index.
    i16::try_from(index).unwrap_or(i16::MAX)
}

fn stored_sequence(sequence: Sequence) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
