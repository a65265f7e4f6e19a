//! The SQL of access. That of the feed is beside the feed, that of deals is shared with the seller side.

use std::collections::HashMap;

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, EventId, SellerId};
use backbone::on_tx;
use backbone::position::{Epoch, Sequence};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, on_db};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::access::{Grant as GrantRow, Interval, Pair};

/// Row of table `projection` that holds the buyer side's checkpoint.
pub const PROJECTION: &str = "buyer";

const NEWEST_GRANTS_POSTGRES: &str = "
    SELECT DISTINCT ON (a.seller_id, a.buyer_id)
           a.seller_id, a.buyer_id, a.granted_at, a.revoked_at, a.since, a.revision
      FROM unnest($1::uuid[], $2::uuid[]) AS pair (seller_id, buyer_id)
      JOIN access a USING (seller_id, buyer_id)
     ORDER BY a.seller_id, a.buyer_id, a.granted_at DESC";
/// SQLite takes the other columns of a `max` from the row that has it.
const NEWEST_GRANTS_SQLITE: &str = "
    SELECT a.seller_id, a.buyer_id, max(a.granted_at) AS granted_at, a.revoked_at, a.since, a.revision
      FROM json_each($1) AS pair
      JOIN access a ON a.seller_id = unhex(pair.value ->> 'seller') AND a.buyer_id = unhex(pair.value ->> 'buyer')
     GROUP BY a.seller_id, a.buyer_id";
const WRITE_GRANTS_POSTGRES: &str = "
    INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[])
    ON CONFLICT (seller_id, buyer_id, granted_at) DO UPDATE
       SET revoked_at = excluded.revoked_at, revision = excluded.revision";
const WRITE_GRANTS_SQLITE: &str = "
    INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
    SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), value ->> 'granted_at', value ->> 'revoked_at',
           value ->> 'since', value ->> 'revision'
      FROM json_each($1) WHERE TRUE
    ON CONFLICT (seller_id, buyer_id, granted_at) DO UPDATE
       SET revoked_at = excluded.revoked_at, revision = excluded.revision";
const INTERVALS: &str = "
    SELECT p.epoch, p.position, p.event_id, p.generation, a.seller_id, a.granted_at, a.revoked_at
      FROM projection p
      LEFT JOIN access a ON a.buyer_id = $1 AND (a.revoked_at IS NULL OR a.revoked_at > a.granted_at)
     WHERE p.name = 'buyer'";
const GRANTS: &str = "
    SELECT seller_id, buyer_id, since FROM access
     WHERE buyer_id = $1 AND revoked_at IS NULL AND seller_id > $2
     ORDER BY seller_id LIMIT $3";

/// A grant that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Grant {
    /// Who grants.
    pub seller_id: SellerId,
    /// To whom.
    pub buyer_id: BuyerId,
    /// Since when.
    pub since: Timestamp,
}

/// Some grants, by the other party's id.
#[derive(Clone, Debug)]
pub struct AccessPage {
    /// In order.
    pub grants: Vec<Grant>,
    /// There are more.
    pub has_next: bool,
}

#[derive(FromRow)]
struct GrantRead {
    seller_id: SellerId,
    buyer_id: BuyerId,
    granted_at: i64,
    revoked_at: Option<i64>,
    since: Timestamp,
    revision: i64,
}

/// Columns of the projection's row, which every snapshot read carries.
#[derive(FromRow)]
pub(crate) struct CheckpointRow {
    epoch: Epoch,
    position: i64,
    event_id: Option<EventId>,
    generation: i32,
}

impl From<CheckpointRow> for Checkpoint {
    fn from(read: CheckpointRow) -> Self {
        let position = read.position as Sequence;
        Self {
            epoch: read.epoch,
            position,
            event_id: read.event_id,
            generation: read.generation,
        }
    }
}

#[derive(FromRow)]
struct IntervalRead {
    #[sqlx(flatten)]
    checkpoint: CheckpointRow,
    seller_id: Option<SellerId>,
    granted_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// The newest row of each of these pairs that has one.
pub(crate) async fn newest_grants(
    tx: &mut Tx,
    pairs: &[Pair],
) -> Result<HashMap<Pair, GrantRow>, Error> {
    if pairs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Result<Vec<GrantRead>, _> = on_tx!(tx, postgres(tx) => {
        let sellers: Vec<Uuid> = pairs.iter().map(|pair| pair.0.0).collect();
        let buyers: Vec<Uuid> = pairs.iter().map(|pair| pair.1.0).collect();
        sqlx::query_as(NEWEST_GRANTS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let named =
            |pair: &Pair| json!({ "seller": pair.0.0.simple(), "buyer": pair.1.0.simple() });
        let pairs: Vec<_> = pairs.iter().map(named).collect();
        sqlx::query_as(NEWEST_GRANTS_SQLITE)
            .bind(Json(pairs))
            .fetch_all(&mut *tx)
            .await
    });
    let newest = rows?.into_iter().map(|row| {
        let grant = GrantRow {
            granted_at: row.granted_at as Sequence,
            revoked_at: row.revoked_at.map(|at| at as Sequence),
            since: row.since,
            revision: row.revision as u64,
        };
        ((row.seller_id, row.buyer_id), grant)
    });
    Ok(newest.collect())
}

/// Writes the rows that a batch of access events leaves.
pub(crate) async fn write_grants(tx: &mut Tx, rows: &[(Pair, GrantRow)]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(WRITE_GRANTS_POSTGRES)
        .bind(rows.iter().map(|(pair, _)| pair.0.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(pair, _)| pair.1.0).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|(_, row)| row.granted_at as i64)
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|(_, row)| row.revoked_at.map(|at| at as i64))
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|(_, row)| row.since).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|(_, row)| row.revision as i64)
                .collect::<Vec<_>>(),
        )
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = rows
            .iter()
            .map(|((seller, buyer), row)| {
                json!({
                    "seller": seller.0.simple(), "buyer": buyer.0.simple(),
                    "granted_at": row.granted_at, "revoked_at": row.revoked_at,
                    "since": row.since.as_micros(), "revision": row.revision,
                })
            })
            .collect();
        sqlx::query(WRITE_GRANTS_SQLITE)
            .bind(Json(rows))
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

/// Every interval of a buyer's access.
pub(crate) async fn intervals(
    db: &Db,
    buyer: BuyerId,
) -> Result<(Vec<Interval>, Checkpoint), Error> {
    let rows: Result<Vec<IntervalRead>, _> =
        on_db!(db.read(), pool => sqlx::query_as(INTERVALS).bind(buyer).fetch_all(pool).await);
    let mut checkpoint = None;
    let mut intervals = Vec::new();
    for row in rows? {
        checkpoint.get_or_insert(Checkpoint::from(row.checkpoint));
        if let (Some(seller), Some(granted_at)) = (row.seller_id, row.granted_at) {
            let revoked_at = row.revoked_at.map(|at| at as Sequence);
            intervals.push(Interval {
                seller,
                granted_at: granted_at as Sequence,
                revoked_at,
            });
        }
    }
    Ok((intervals, checkpoint.ok_or_else(missing_checkpoint)?))
}

/// The grants that hold.
pub(crate) async fn grants(
    db: &Db,
    buyer: BuyerId,
    limit: u32,
    after: Option<SellerId>,
) -> Result<AccessPage, Error> {
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

pub(crate) fn missing_checkpoint() -> Error {
    Error::broken("buyer database", "its projection row is missing")
}
