//! Statements on table `access`, and the checkpoint that snapshot reads carry. Statements on the
//! feed are with the feed; those on deals are shared with the seller side.

use std::collections::HashMap;

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, EventId, SellerId};
use backbone::position::{Epoch, Sequence};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::access::Interval;
use crate::access::state::{AccessRow, Pair};

/// Row of table `projection` that holds the buyer side's checkpoint.
pub const PROJECTION: &str = "buyer";

const NEWEST_GRANTS_POSTGRES: &str = include_str!("store/newest_grants.postgres.sql");
const NEWEST_GRANTS_SQLITE: &str = include_str!("store/newest_grants.sqlite.sql");
const WRITE_ACCESS_POSTGRES: &str = include_str!("store/write_access.postgres.sql");
const WRITE_ACCESS_SQLITE: &str = include_str!("store/write_access.sqlite.sql");
const INTERVALS: &str = include_str!("store/intervals.sql");
const ACCESS_AMONG_POSTGRES: &str = include_str!("store/access_among.postgres.sql");
const ACCESS_AMONG_SQLITE: &str = include_str!("store/access_among.sqlite.sql");
const GRANTS: &str = include_str!("store/grants.sql");

/// A seller's grant of access to a buyer that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Grant {
    /// Seller who grants the access.
    pub seller_id: SellerId,
    /// Buyer who has the access.
    pub buyer_id: BuyerId,
    /// Time of the grant.
    pub since: Timestamp,
}

/// A page of the grants to a buyer that hold.
#[derive(Clone, Debug)]
pub struct AccessPage {
    /// Grants in the order of their sellers' ids.
    pub grants: Vec<Grant>,
    /// True when more grants follow the last one of the page.
    pub has_next: bool,
}

/// One interval of a buyer's access to a seller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct PairInterval {
    /// Seller who granted the access.
    pub seller_id: SellerId,
    /// Buyer who has or had the access.
    pub buyer_id: BuyerId,
    /// Sequence of the grant.
    #[sqlx(try_from = "i64")]
    pub granted_at: Sequence,
    revoked_at: Option<i64>,
}

impl PairInterval {
    /// Returns whether the access held at a sequence. It is the rule for live subscribers too: see
    /// [`Interval`].
    pub fn holds_at(&self, sequence: Sequence) -> bool {
        let revoked = self.revoked_at.is_some_and(|at| at as Sequence <= sequence);
        self.granted_at <= sequence && !revoked
    }
}

#[derive(FromRow)]
struct AccessReadRow {
    seller_id: SellerId,
    buyer_id: BuyerId,
    granted_at: i64,
    revoked_at: Option<i64>,
    since: Timestamp,
    revision: i64,
}

/// The checkpoint's columns, which every read that must show a snapshot selects too.
#[derive(FromRow)]
pub(crate) struct CheckpointRow {
    epoch: Epoch,
    position: i64,
    event_id: Option<EventId>,
    generation: i32,
}

impl From<CheckpointRow> for Checkpoint {
    fn from(row: CheckpointRow) -> Self {
        Self {
            epoch: row.epoch,
            position: row.position as Sequence,
            event_id: row.event_id,
            generation: row.generation,
        }
    }
}

#[derive(FromRow)]
struct IntervalReadRow {
    #[sqlx(flatten)]
    checkpoint: CheckpointRow,
    seller_id: Option<SellerId>,
    granted_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// Reads the newest row of each pair. Pairs without a row are left out.
pub(crate) async fn newest_grants(
    tx: &mut Tx,
    pairs: &[Pair],
) -> Result<HashMap<Pair, AccessRow>, Error> {
    if pairs.is_empty() {
        return Ok(HashMap::new());
    }

    let rows: Result<Vec<AccessReadRow>, _> = on_tx!(tx, postgres(tx) => {
        let sellers: Vec<Uuid> = pairs.iter().map(|pair| pair.0.0).collect();
        let buyers: Vec<Uuid> = pairs.iter().map(|pair| pair.1.0).collect();

        sqlx::query_as(NEWEST_GRANTS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let pairs: Vec<Value> = pairs
            .iter()
            .map(|pair| json!({ "seller": pair.0.0.simple(), "buyer": pair.1.0.simple() }))
            .collect();

        sqlx::query_as(NEWEST_GRANTS_SQLITE).bind(Json(pairs)).fetch_all(&mut *tx).await
    });

    // Sequences and revisions are counted from 1 and far from the end of either type, so the casts
    // lose nothing.
    let newest = rows?.into_iter().map(|row| {
        let access = AccessRow {
            granted_at: row.granted_at as Sequence,
            revoked_at: row.revoked_at.map(|at| at as Sequence),
            since: row.since,
            revision: row.revision as u64,
        };
        ((row.seller_id, row.buyer_id), access)
    });

    Ok(newest.collect())
}

/// Writes the rows that a batch of access events changed.
pub(crate) async fn write_access(tx: &mut Tx, rows: &[(Pair, AccessRow)]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        // One array a column keeps the statement's text, and so its plan, the same for every number
        // of rows.
        let sellers: Vec<Uuid> = rows.iter().map(|(pair, _)| pair.0.0).collect();
        let buyers: Vec<Uuid> = rows.iter().map(|(pair, _)| pair.1.0).collect();
        let granted_at: Vec<i64> = rows.iter().map(|(_, row)| row.granted_at as i64).collect();
        let revoked_at: Vec<Option<i64>> =
            rows.iter().map(|(_, row)| row.revoked_at.map(|at| at as i64)).collect();
        let since: Vec<Timestamp> = rows.iter().map(|(_, row)| row.since).collect();
        let revisions: Vec<i64> = rows.iter().map(|(_, row)| row.revision as i64).collect();

        sqlx::query(WRITE_ACCESS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .bind(granted_at)
            .bind(revoked_at)
            .bind(since)
            .bind(revisions)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<Value> = rows
            .iter()
            .map(|((seller, buyer), row)| {
                json!({
                    "seller": seller.0.simple(), "buyer": buyer.0.simple(),
                    "granted_at": row.granted_at, "revoked_at": row.revoked_at,
                    "since": row.since.as_micros(), "revision": row.revision,
                })
            })
            .collect();

        sqlx::query(WRITE_ACCESS_SQLITE).bind(Json(rows)).execute(&mut *tx).await.map(|_| ())
    })
}

/// Reads every interval of a buyer's access, with the checkpoint of the same snapshot.
pub(crate) async fn intervals(
    db: &Db,
    buyer: BuyerId,
) -> Result<(Vec<Interval>, Checkpoint), Error> {
    let rows: Result<Vec<IntervalReadRow>, _> =
        on_db!(db.read(), pool => sqlx::query_as(INTERVALS).bind(buyer).fetch_all(pool).await);

    let mut checkpoint = None;
    let mut intervals = Vec::new();
    for row in rows? {
        checkpoint.get_or_insert(Checkpoint::from(row.checkpoint));

        // A buyer without access is one row that has only the checkpoint.
        if let (Some(seller), Some(granted_at)) = (row.seller_id, row.granted_at) {
            intervals.push(Interval {
                seller,
                granted_at: granted_at as Sequence,
                revoked_at: row.revoked_at.map(|at| at as Sequence),
            });
        }
    }

    Ok((intervals, checkpoint.ok_or_else(missing_checkpoint)?))
}

/// Reads the intervals of access between some sellers and some buyers that meet a range of the log,
/// given by its first and last sequence.
pub(crate) async fn access_among(
    db: &Db,
    sellers: &[SellerId],
    buyers: &[BuyerId],
    (first, last): (Sequence, Sequence),
) -> Result<Vec<PairInterval>, Error> {
    on_db!(db.read(), postgres(pool) => {
        let sellers: Vec<Uuid> = sellers.iter().map(|seller| seller.0).collect();
        let buyers: Vec<Uuid> = buyers.iter().map(|buyer| buyer.0).collect();

        // Planned anew by the table's present size and these arguments each time. A kept plan may
        // have been made while the table was empty, and would read all buyers of the sellers.
        sqlx::query_as(ACCESS_AMONG_POSTGRES)
            .persistent(false)
            .bind(sellers)
            .bind(buyers)
            .bind(first as i64)
            .bind(last as i64)
            .fetch_all(pool)
            .await
    }, sqlite(pool) => {
        let sellers: Vec<_> = sellers.iter().map(|seller| seller.0.simple()).collect();
        let buyers: Vec<_> = buyers.iter().map(|buyer| buyer.0.simple()).collect();

        sqlx::query_as(ACCESS_AMONG_SQLITE)
            .bind(Json(sellers))
            .bind(Json(buyers))
            .bind(first as i64)
            .bind(last as i64)
            .fetch_all(pool)
            .await
    })
}

/// Reads a page of the grants to a buyer that hold.
pub(crate) async fn grants(
    db: &Db,
    buyer: BuyerId,
    limit: u32,
    after: Option<SellerId>,
) -> Result<AccessPage, Error> {
    // The nil UUID sorts before every seller's id, so the first page needs no statement of its own.
    // One row more than the page holds tells whether there is a next page.
    let rows: Result<Vec<Grant>, _> = on_db!(db.read(), pool => sqlx::query_as(GRANTS)
        .bind(buyer)
        .bind(after.unwrap_or(SellerId(Uuid::nil())))
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await);
    let mut grants = rows?;

    let has_next = grants.len() > limit as usize;
    grants.truncate(limit as usize);

    Ok(AccessPage { grants, has_next })
}

/// Returns the error of a database whose migrations did not run to the end.
pub(crate) fn missing_checkpoint() -> Error {
    Error::broken(
        "buyer database",
        "table projection has no row for the buyer side",
    )
}
