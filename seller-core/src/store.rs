//! Statements on the seller database beyond those shared with the buyer side: table `access`, and
//! table `seeding`, which records how far the example markets are filled in.

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

const FIRST_GRANTS: &str = include_str!("store/first_grants.sql");
const NEXT_GRANTS: &str = include_str!("store/next_grants.sql");
const UPSERT_ACCESS_POSTGRES: &str = include_str!("store/upsert_access.postgres.sql");
const UPSERT_ACCESS_SQLITE: &str = include_str!("store/upsert_access.sqlite.sql");
const CLOSE_ACCESS_POSTGRES: &str = include_str!("store/close_access.postgres.sql");
const CLOSE_ACCESS_SQLITE: &str = include_str!("store/close_access.sqlite.sql");
const ACCESS_REVISIONS_POSTGRES: &str = include_str!("store/access_revisions.postgres.sql");
const ACCESS_REVISIONS_SQLITE: &str = include_str!("store/access_revisions.sqlite.sql");
const SEEDING: &str = include_str!("store/seeding.sql");
const BEGIN_SEEDING: &str = include_str!("store/begin_seeding.sql");
const END_SEEDING: &str = include_str!("store/end_seeding.sql");

/// A buyer to whom a seller grants access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Grant {
    /// Buyer who has the access.
    #[sqlx(rename = "buyer_id")]
    pub buyer: BuyerId,
    /// Time of the grant.
    pub since: Timestamp,
}

/// The part of a seller's grants to read.
#[derive(Clone, Copy, Debug)]
pub struct AccessWindow {
    /// Most grants to return.
    pub limit: u32,
    /// Exclusive lower bound on buyer ids; a buyer of this id need not exist or have access.
    pub after: Option<BuyerId>,
}

/// A page of the grants that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPage {
    /// Grants in the order of their buyers' ids.
    pub grants: Vec<Grant>,
    /// True when more grants follow the last one of the page.
    pub has_next: bool,
}

/// A seller and a buyer: the subject of access.
pub(crate) type Pair = (SellerId, BuyerId);

/// A row of table `access`: the state of a pair after its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessRow {
    pub(crate) granted: bool,
    pub(crate) since: Timestamp,
    pub(crate) revision: u64,
}

/// Reads a page of the grants that hold.
pub(crate) async fn grants(
    db: &Db,
    seller: SellerId,
    window: AccessWindow,
) -> Result<AccessPage, Error> {
    // One row more than the page holds tells whether there is a next page, without a second query.
    let limit = i64::from(window.limit) + 1;

    let rows: Result<Vec<Grant>, _> = on_db!(db.read(), pool => match window.after {
        None => sqlx::query_as(FIRST_GRANTS).bind(seller).bind(limit).fetch_all(pool).await,
        Some(after) => {
            sqlx::query_as(NEXT_GRANTS).bind(seller).bind(limit).bind(after).fetch_all(pool).await
        }
    });
    let mut grants = rows?;

    let has_next = grants.len() > window.limit as usize;
    grants.truncate(window.limit as usize);

    Ok(AccessPage { grants, has_next })
}

/// Writes the state of pairs, of which each may occur once.
pub(crate) async fn upsert_access(tx: &mut Tx, rows: &[(Pair, AccessRow)]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let (sellers, buyers) = columns(rows.iter().map(|(pair, _)| pair));
        let granted: Vec<bool> = rows.iter().map(|(_, row)| row.granted).collect();
        // One array a column keeps the statement's text, and so its plan, the same for every number
        // of rows.
        let since: Vec<Timestamp> = rows.iter().map(|(_, row)| row.since).collect();
        let revisions: Vec<i64> = rows.iter().map(|(_, row)| row.revision as i64).collect();

        sqlx::query(UPSERT_ACCESS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .bind(granted)
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
                    "seller": seller.0.simple(), "buyer": buyer.0.simple(), "granted": row.granted,
                    "since": row.since.as_micros(), "revision": row.revision,
                })
            })
            .collect();

        sqlx::query(UPSERT_ACCESS_SQLITE).bind(Json(rows)).execute(&mut *tx).await.map(|_| ())
    })
}

/// Ends the access of pairs and keeps the revisions that they are at.
pub(crate) async fn close_access(tx: &mut Tx, pairs: &[Pair]) -> Result<(), Error> {
    if pairs.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let (sellers, buyers) = columns(pairs);

        sqlx::query(CLOSE_ACCESS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        sqlx::query(CLOSE_ACCESS_SQLITE)
            .bind(json_rows(pairs))
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

/// Reads the revisions of pairs. Pairs without a row are left out.
pub(crate) async fn access_revisions(
    tx: &mut Tx,
    pairs: &[Pair],
) -> Result<Vec<(SellerId, BuyerId, i64)>, Error> {
    on_tx!(tx, postgres(tx) => {
        let (sellers, buyers) = columns(pairs);

        sqlx::query_as(ACCESS_REVISIONS_POSTGRES)
            .bind(sellers)
            .bind(buyers)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        sqlx::query_as(ACCESS_REVISIONS_SQLITE)
            .bind(json_rows(pairs))
            .fetch_all(&mut *tx)
            .await
    })
}

/// Reads whether an example is complete; `None` when it was never begun.
pub(crate) async fn seeding(db: &Db, name: &str) -> Result<Option<bool>, Error> {
    on_db!(db.read(), pool =>
        sqlx::query_scalar(SEEDING).bind(name).fetch_optional(pool).await)
}

/// Marks an example as begun, unless it was before.
pub(crate) async fn begin_seeding(db: &Db, name: &str) -> Result<(), Error> {
    mark(db, BEGIN_SEEDING, name).await
}

/// Marks an example as complete.
pub(crate) async fn end_seeding(db: &Db, name: &str) -> Result<(), Error> {
    mark(db, END_SEEDING, name).await
}

async fn mark(db: &Db, statement: &'static str, name: &str) -> Result<(), Error> {
    on_db!(db.write(), pool =>
        sqlx::query(statement).bind(name).execute(pool).await.map(|_| ()))
}

/// Returns the sellers and the buyers of pairs, as the arrays that PostgreSQL unnests.
fn columns<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> (Vec<Uuid>, Vec<Uuid>) {
    pairs
        .into_iter()
        .map(|(seller, buyer)| (seller.0, buyer.0))
        .unzip()
}

/// Returns pairs as the JSON array that SQLite's statements read, with ids in the form that `unhex`
/// takes.
fn json_rows(pairs: &[Pair]) -> Json<Vec<Value>> {
    let rows = pairs
        .iter()
        .map(|(seller, buyer)| json!({ "seller": seller.0.simple(), "buyer": buyer.0.simple() }))
        .collect();

    Json(rows)
}
