//! The SQL of the feed: a batch into it, ranges out of it. How long it is kept is [`super::retention`]'s.

use backbone::db::{Db, Tx};
use backbone::ids::SellerId;
use backbone::on_tx;
use backbone::position::Sequence;
use backbone::time::Timestamp;
use backbone::{Error, on_db};
use serde_json::json;
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::{Change, ChangeBody, FeedPage};
use crate::notification::OutgoingChange;
use crate::store::{CheckpointRow, missing_checkpoint};

const WRITE_POSTGRES: &str = "
    INSERT INTO feed (sequence, change_index, seller_id, body, occurred_at)
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::text[], $5::timestamptz[])";
const WRITE_SQLITE: &str = "
    INSERT INTO feed (sequence, change_index, seller_id, body, occurred_at)
    SELECT value ->> 'sequence', value ->> 'index', unhex(value ->> 'seller'), value ->> 'body', value ->> 'at'
      FROM json_each($1)";

/// The projection's place, the horizon and the range in one statement, so from one snapshot.
macro_rules! with_place {
    ($range:literal) => {
        concat!(
            "
    SELECT p.epoch, p.position, p.event_id, p.generation, h.sequence AS horizon,
           f.sequence, f.change_index, f.seller_id, f.body
      FROM projection p
     CROSS JOIN feed_horizon h
      LEFT JOIN (",
            $range,
            ") f ON TRUE
     WHERE p.name = 'buyer'
     ORDER BY f.sequence, f.change_index"
        )
    };
}

/// The first comparison tells PostgreSQL which partitions need not be looked at; it does not see that in the second.
const AFTER: &str = with_place!(
    "SELECT sequence, change_index, seller_id, body FROM feed
      WHERE sequence >= $1 AND (sequence, change_index) > ($1, $2) AND sequence <= $3
      ORDER BY sequence, change_index LIMIT $4"
);
const OF_SELLERS_POSTGRES: &str = with_place!(
    "SELECT mine.* FROM unnest($5::uuid[]) AS wanted (seller_id)
      CROSS JOIN LATERAL (
          SELECT sequence, change_index, feed.seller_id, body FROM feed
           WHERE feed.seller_id = wanted.seller_id
             AND sequence >= $1 AND (sequence, change_index) > ($1, $2) AND sequence <= $3
           ORDER BY sequence, change_index LIMIT $4) AS mine
      ORDER BY sequence, change_index LIMIT $4"
);
const OF_SELLERS_SQLITE: &str = with_place!(
    "SELECT feed.sequence, feed.change_index, feed.seller_id, feed.body FROM json_each($5) AS wanted
       JOIN feed ON feed.rowid IN (
          SELECT mine.rowid FROM feed AS mine
           WHERE mine.seller_id = unhex(wanted.value)
             AND mine.sequence >= $1 AND (mine.sequence, mine.change_index) > ($1, $2) AND mine.sequence <= $3
           ORDER BY mine.sequence, mine.change_index LIMIT $4)
      ORDER BY feed.sequence, feed.change_index LIMIT $4"
);
const MADE: &str = "SELECT coalesce(max(last), 0) FROM feed_block";
const MAKE: &str = "INSERT INTO feed_block (first, last) VALUES ($1, $2)";

/// A row to be written.
#[derive(Debug)]
pub struct FeedRow {
    sequence: Sequence,
    index: u16,
    seller_id: SellerId,
    body: Box<RawValue>,
    at: Timestamp,
}

impl FeedRow {
    /// A change of this place, seller and time.
    pub(crate) fn new(
        sequence: Sequence,
        seller_id: SellerId,
        at: Timestamp,
        body: &ChangeBody,
    ) -> Self {
        let body = serde_json::value::to_raw_value(body).expect("a change has string keys");
        Self {
            sequence,
            index: 0,
            seller_id,
            body,
            at,
        }
    }

    pub(crate) fn outgoing(&self) -> OutgoingChange<'_> {
        let Self {
            sequence,
            index,
            seller_id,
            body,
            ..
        } = self;
        OutgoingChange {
            sequence: *sequence,
            index: *index,
            seller_id: *seller_id,
            body,
        }
    }
}

/// What is asked of the feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedRange {
    /// After this place: sequence, and index within the event.
    pub after: (Sequence, u16),
    /// Up to and including this event.
    pub up_to: Sequence,
    /// At most so many changes.
    pub limit: u32,
}

#[derive(FromRow)]
struct FeedRead {
    #[sqlx(flatten)]
    checkpoint: CheckpointRow,
    horizon: i64,
    sequence: Option<i64>,
    change_index: Option<i16>,
    seller_id: Option<SellerId>,
    body: Option<String>,
}

/// Writes the changes of a batch. The blocks that they go to are there.
pub(crate) async fn write(tx: &mut Tx, rows: &[FeedRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(WRITE_POSTGRES)
        .bind(rows.iter().map(|row| row.sequence as i64).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.index as i16).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.seller_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.body.get()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "sequence": row.sequence, "index": row.index, "seller": row.seller_id.0.simple(),
                    "body": row.body.get(), "at": row.at.as_micros(),
                })
            })
            .collect();
        sqlx::query(WRITE_SQLITE).bind(Json(rows)).execute(&mut *tx).await.map(|_| ())
    })
}

/// Creates blocks until they hold every sequence up to `up_to`. Returns the last sequence that they hold; SQLite keeps
/// the feed in one table, which holds any.
pub(crate) async fn extend(tx: &mut Tx, up_to: Sequence, block: u64) -> Result<Sequence, Error> {
    on_tx!(
        tx,
        postgres(connection) => create_blocks(connection, up_to, block).await,
        sqlite(_connection) => Ok(Sequence::MAX),
    )
}

/// Only the holder of the projection's row comes here, so no two workers create the same block.
async fn create_blocks(
    connection: &mut PgConnection,
    up_to: Sequence,
    block: u64,
) -> Result<Sequence, sqlx::Error> {
    let held: i64 = sqlx::query_scalar(MADE).fetch_one(&mut *connection).await?;
    let mut held = held as Sequence;

    while held < up_to {
        let first = held + 1;
        let last = held + block;

        // Created apart and then attached: CREATE TABLE … PARTITION OF would lock readers of the feed out.
        let create = format!(
            "CREATE TABLE feed_{first} (LIKE feed INCLUDING DEFAULTS);
             ALTER TABLE feed ATTACH PARTITION feed_{first} FOR VALUES FROM ({first}) TO ({});",
            last + 1
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut *connection)
            .await?;
        sqlx::query(MAKE)
            .bind(first as i64)
            .bind(last as i64)
            .execute(&mut *connection)
            .await?;

        held = last;
    }

    Ok(held)
}

/// The changes of a range.
pub(crate) async fn after(db: &Db, range: FeedRange) -> Result<FeedPage, Error> {
    let rows: Result<Vec<FeedRead>, _> = on_db!(db.read(), pool => sqlx::query_as(AFTER)
        .bind(range.after.0 as i64)
        .bind(stored_index(range.after.1))
        .bind(stored_sequence(range.up_to))
        .bind(i64::from(range.limit))
        .fetch_all(pool)
        .await);
    page(rows?, range.limit)
}

/// The changes of a range that are these sellers'.
pub(crate) async fn of_sellers(
    db: &Db,
    range: FeedRange,
    sellers: &[SellerId],
) -> Result<FeedPage, Error> {
    let (index, up_to) = (stored_index(range.after.1), stored_sequence(range.up_to));
    let rows: Result<Vec<FeedRead>, _> = on_db!(db.read(), postgres(pool) => {
        sqlx::query_as(OF_SELLERS_POSTGRES)
            .bind(range.after.0 as i64)
            .bind(index)
            .bind(up_to)
            .bind(i64::from(range.limit))
            .bind(sellers.iter().map(|seller| seller.0).collect::<Vec<_>>())
            .fetch_all(pool)
            .await
    }, sqlite(pool) => {
        sqlx::query_as(OF_SELLERS_SQLITE)
            .bind(range.after.0 as i64)
            .bind(index)
            .bind(up_to)
            .bind(i64::from(range.limit))
            .bind(Json(
                sellers
                    .iter()
                    .map(|seller| seller.0.simple())
                    .collect::<Vec<_>>(),
            ))
            .fetch_all(pool)
            .await
    });
    page(rows?, range.limit)
}

fn page(rows: Vec<FeedRead>, limit: u32) -> Result<FeedPage, Error> {
    let mut standing = None;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        standing.get_or_insert((row.checkpoint.into(), row.horizon as Sequence));
        if let (Some(sequence), Some(index), Some(seller_id), Some(body)) =
            (row.sequence, row.change_index, row.seller_id, row.body)
        {
            let body = serde_json::from_str(&body).map_err(|error| Error::broken("feed", error))?;
            changes.push(Change {
                sequence: sequence as Sequence,
                index: index as u16,
                seller_id,
                body,
            });
        }
    }
    let (checkpoint, horizon) = standing.ok_or_else(missing_checkpoint)?;
    let more = changes.len() == limit as usize;
    Ok(FeedPage {
        changes,
        checkpoint,
        horizon,
        more,
    })
}

/// The table counts indices in signed 16 bits; the end of an event sorts after all of them there too.
fn stored_index(index: u16) -> i16 {
    i16::try_from(index).unwrap_or(i16::MAX)
}

fn stored_sequence(sequence: Sequence) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
