//! The seller database, beside what is shared with the buyer side: table `access`, and the marks of examples.

use std::collections::HashMap;

use backbone::db::{Db, Tx};
use backbone::deal_table;
use backbone::ids::{BuyerId, DealId, SellerId};
use backbone::on_tx;
use backbone::time::Timestamp;
use backbone::{Error, on_db};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

const FIRST_GRANTS: &str = "
    SELECT buyer_id, since FROM access WHERE seller_id = $1 AND granted ORDER BY buyer_id LIMIT $2";
const NEXT_GRANTS: &str = "
    SELECT buyer_id, since FROM access
     WHERE seller_id = $1 AND granted AND buyer_id > $3 ORDER BY buyer_id LIMIT $2";

const UPSERT_ACCESS_POSTGRES: &str = "
    INSERT INTO access (seller_id, buyer_id, granted, since, revision)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::bigint[])
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
       SET granted = excluded.granted, since = excluded.since, revision = excluded.revision";
const UPSERT_ACCESS_SQLITE: &str = "
    INSERT INTO access (seller_id, buyer_id, granted, since, revision)
    SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), value ->> 'granted', value ->> 'since',
           value ->> 'revision'
      FROM json_each($1) WHERE TRUE
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
       SET granted = excluded.granted, since = excluded.since, revision = excluded.revision";

/// A pair of which nothing could ever be read has a row that no event made: revision 0, since the epoch of time.
const CLOSE_ACCESS_POSTGRES: &str = "
    INSERT INTO access (seller_id, buyer_id, granted, since, revision)
    SELECT seller, buyer, FALSE, to_timestamp(0), 0 FROM unnest($1::uuid[], $2::uuid[]) AS pair (seller, buyer)
    ON CONFLICT (seller_id, buyer_id) DO UPDATE SET granted = FALSE";
const CLOSE_ACCESS_SQLITE: &str = "
    INSERT INTO access (seller_id, buyer_id, granted, since, revision)
    SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), FALSE, 0, 0 FROM json_each($1) WHERE TRUE
    ON CONFLICT (seller_id, buyer_id) DO UPDATE SET granted = FALSE";

const ACCESS_REVISIONS_POSTGRES: &str = "
    SELECT seller_id, buyer_id, revision FROM access
      JOIN unnest($1::uuid[], $2::uuid[]) AS pair (seller, buyer) ON seller_id = seller AND buyer_id = buyer";
const ACCESS_REVISIONS_SQLITE: &str = "
    SELECT seller_id, buyer_id, revision FROM json_each($1)
      JOIN access ON seller_id = unhex(value ->> 'seller') AND buyer_id = unhex(value ->> 'buyer')";

const SEEDING: &str = "SELECT done FROM seeding WHERE name = $1";
const BEGIN_SEEDING: &str = "
    INSERT INTO seeding (name, done) VALUES ($1, FALSE) ON CONFLICT (name) DO NOTHING";
const END_SEEDING: &str = "UPDATE seeding SET done = TRUE WHERE name = $1";

/// A buyer to whom a seller grants access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Granted {
    /// To whom.
    #[sqlx(rename = "buyer_id")]
    pub buyer: BuyerId,
    /// When the grant was made.
    pub since: Timestamp,
}

/// How many grants, and from where.
#[derive(Clone, Copy, Debug)]
pub struct AccessWindow {
    /// At most this many.
    pub limit: u32,
    /// Only buyers whose ids come after this one, which need not have access.
    pub after: Option<BuyerId>,
}

/// Grants that hold, by their buyers' ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPage {
    /// In order.
    pub grants: Vec<Granted>,
    /// There is more after it.
    pub has_next: bool,
}

/// One pair's access.
pub(crate) type Pair = (SellerId, BuyerId);

/// A pair's state after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessRow {
    pub(crate) granted: bool,
    pub(crate) since: Timestamp,
    pub(crate) revision: u64,
}

/// The seller database.
#[derive(Clone)]
pub(crate) struct Store {
    db: Db,
}

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    pub(crate) async fn grants(
        &self,
        seller: SellerId,
        window: AccessWindow,
    ) -> Result<AccessPage, Error> {
        let limit = i64::from(window.limit) + 1;
        let grants: Result<Vec<Granted>, _> = on_db!(self.db.read(), pool => match window.after {
            None => sqlx::query_as(FIRST_GRANTS).bind(seller).bind(limit).fetch_all(pool).await,
            Some(after) => {
                sqlx::query_as(NEXT_GRANTS).bind(seller).bind(limit).bind(after).fetch_all(pool).await
            }
        });
        let mut grants = grants?;
        let has_next = grants.len() > window.limit as usize;
        grants.truncate(window.limit as usize);
        Ok(AccessPage { grants, has_next })
    }

    pub(crate) async fn seeding(&self, name: &str) -> Result<Option<bool>, Error> {
        on_db!(self.db.read(), pool =>
            sqlx::query_scalar(SEEDING).bind(name).fetch_optional(pool).await)
    }

    pub(crate) async fn begin_seeding(&self, name: &str) -> Result<(), Error> {
        self.mark(BEGIN_SEEDING, name).await
    }

    pub(crate) async fn end_seeding(&self, name: &str) -> Result<(), Error> {
        self.mark(END_SEEDING, name).await
    }

    async fn mark(&self, statement: &'static str, name: &str) -> Result<(), Error> {
        on_db!(self.db.write(), pool =>
            sqlx::query(statement).bind(name).execute(pool).await.map(|_| ()))
    }

    /// Writes deals as events left them; one row a deal.
    pub(crate) async fn upsert_deals(
        &self,
        tx: &mut Tx,
        rows: &[deal_table::Write<'_>],
    ) -> Result<(), Error> {
        deal_table::upsert(tx, rows).await
    }

    pub(crate) async fn deal_revisions(
        &self,
        tx: &mut Tx,
        ids: &[DealId],
    ) -> Result<HashMap<DealId, u64>, Error> {
        deal_table::revisions(tx, ids).await
    }

    /// Writes pairs as events left them; one row a pair.
    pub(crate) async fn upsert_access(
        &self,
        tx: &mut Tx,
        rows: &[(Pair, AccessRow)],
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        on_tx!(tx, postgres(tx) => {
            let (sellers, buyers) = columns(rows.iter().map(|(pair, _)| pair));
            sqlx::query(UPSERT_ACCESS_POSTGRES)
                .bind(sellers)
                .bind(buyers)
                .bind(rows.iter().map(|(_, row)| row.granted).collect::<Vec<_>>())
                .bind(rows.iter().map(|(_, row)| row.since).collect::<Vec<_>>())
                .bind(rows.iter().map(|(_, row)| row.revision as i64).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await
                .map(|_| ())
        }, sqlite(tx) => {
            let row = |((seller, buyer), row): &(Pair, AccessRow)| {
                json!({
                    "seller": seller.0.simple(), "buyer": buyer.0.simple(), "granted": row.granted,
                    "since": row.since.as_micros(), "revision": row.revision,
                })
            };
            let rows: Vec<_> = rows.iter().map(row).collect();
            sqlx::query(UPSERT_ACCESS_SQLITE).bind(Json(rows)).execute(&mut *tx).await.map(|_| ())
        })
    }

    /// Ends access of these pairs, whatever they had, and keeps the revision they are at.
    pub(crate) async fn close_access(&self, tx: &mut Tx, pairs: &[Pair]) -> Result<(), Error> {
        if pairs.is_empty() {
            return Ok(());
        }
        on_tx!(tx, postgres(tx) => {
            let (sellers, buyers) = columns(pairs);
            let query = sqlx::query(CLOSE_ACCESS_POSTGRES)
                .bind(sellers)
                .bind(buyers);
            query.execute(&mut *tx).await.map(|_| ())
        }, sqlite(tx) => {
            let query = sqlx::query(CLOSE_ACCESS_SQLITE).bind(json_of(pairs));
            query.execute(&mut *tx).await.map(|_| ())
        })
    }

    /// The revisions of those of these pairs that have a row.
    pub(crate) async fn access_revisions(
        &self,
        tx: &mut Tx,
        pairs: &[Pair],
    ) -> Result<Vec<(SellerId, BuyerId, i64)>, Error> {
        on_tx!(tx, postgres(tx) => {
            let (sellers, buyers) = columns(pairs);
            let query = sqlx::query_as(ACCESS_REVISIONS_POSTGRES)
                .bind(sellers)
                .bind(buyers);
            query.fetch_all(&mut *tx).await
        }, sqlite(tx) => {
            sqlx::query_as(ACCESS_REVISIONS_SQLITE)
                .bind(json_of(pairs))
                .fetch_all(&mut *tx)
                .await
        })
    }
}

fn columns<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> (Vec<Uuid>, Vec<Uuid>) {
    pairs
        .into_iter()
        .map(|(seller, buyer)| (seller.0, buyer.0))
        .unzip()
}

fn json_of(pairs: &[Pair]) -> Json<Vec<serde_json::Value>> {
    let pair =
        |(seller, buyer): &Pair| json!({ "seller": seller.0.simple(), "buyer": buyer.0.simple() });
    Json(pairs.iter().map(pair).collect())
}
