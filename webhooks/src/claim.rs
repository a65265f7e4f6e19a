//! The SQL of claiming: what is due, for whom there is room, and for how long it is ours.
//!
//! A claim is a lease. Its row stays where it was, so a holder that dies leaves nothing to be put back. What a lease
//! is worth at the end is [`super::record`]'s. So nothing here need survive a crash of the database: a lease that is
//! forgotten is one that has run out.

use std::collections::HashMap;
use std::time::Duration;

use backbone::db::Db;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_tx, random};
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::retry_policy::{BREAKER, BREAKER_HOLD};

/// How long a claim keeps others away, unless it is renewed.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// What may be sent now: `d` is a delivery, `$1` the time. One that an index gives in order, so that one row is enough.
macro_rules! due {
    () => {
        "d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1) ORDER BY d.due_at LIMIT "
    };
}
/// Which endpoints may be called now: `w` is an endpoint, `$1` the time.
macro_rules! callable {
    () => {
        "w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $1)"
    };
}

pub(super) const LOOK_POSTGRES: &str = concat!(
    "
    SELECT w.id FROM webhook w
     CROSS JOIN LATERAL (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id AND ",
    due!(),
    "1) AS due
     WHERE ",
    callable!()
);
const LOOK_SQLITE: &str = concat!(
    "
    SELECT w.id FROM webhook w
     WHERE ",
    callable!(),
    " AND EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id AND ",
    due!(),
    "1)"
);
/// Of an endpoint whose breaker is half open only the oldest goes, and only one dispatcher gets it: the lock lets no
/// second one wait, and whoever comes later sees it held.
pub(super) const CLAIM_POSTGRES: &str = concat!(
    "
    WITH wanted AS (
        SELECT * FROM unnest($2::uuid[], $3::int[], $4::int[]) AS wanted (id, busy, room)
    ), probing AS (
        SELECT w.id FROM webhook w JOIN wanted ON wanted.id = w.id
         WHERE w.failures >= $5 AND wanted.busy = 0 AND ",
    callable!(),
    " AND (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id AND ",
    due!(),
    "1) IS NOT NULL
           FOR UPDATE OF w SKIP LOCKED
    ), held AS (
        UPDATE webhook w SET held_until = $6 FROM probing WHERE w.id = probing.id
    ), open AS (
        SELECT w.id, least(wanted.room, greatest($7 >> w.failures, 1) - wanted.busy) AS room
          FROM webhook w JOIN wanted ON wanted.id = w.id
         WHERE w.failures < $5 AND ",
    callable!(),
    "
         UNION ALL
        SELECT id, 1 FROM probing
    ), due AS (
        SELECT d.id FROM open CROSS JOIN LATERAL (
            SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = open.id AND ",
    due!(),
    "greatest(open.room, 0) FOR UPDATE SKIP LOCKED) AS d
    ), claimed AS (
        UPDATE webhook_delivery SET lease = $8, leased_until = $9 WHERE id = ANY (ARRAY(SELECT id FROM due))
        RETURNING id, webhook_id, message_id, replay, attempts, created_at
    )
    SELECT c.id, c.webhook_id, c.replay, c.attempts, c.created_at, open.room, m.trace, m.body, w.url, w.secret,
           CASE WHEN w.previous_secret_until > $1 THEN w.previous_secret END AS previous_secret
      FROM claimed c
      JOIN open ON open.id = c.webhook_id
      JOIN webhook_message m ON m.id = c.message_id
      JOIN webhook w ON w.id = c.webhook_id
     ORDER BY c.id"
);
const OPEN_SQLITE: &str = concat!(
    "
    SELECT w.id, w.failures >= $3 AS probing,
           min(wanted.value ->> 2, CASE WHEN w.failures >= $3 THEN 1 ELSE max($4 >> w.failures, 1) END
                                   - (wanted.value ->> 1)) AS room
      FROM json_each($2) AS wanted JOIN webhook w ON w.id = unhex(wanted.value ->> 0)
     WHERE ",
    callable!()
);
const CLAIM_SQLITE: &str = concat!(
    "
    UPDATE webhook_delivery SET lease = $3, leased_until = $4
     WHERE id IN (SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = $2 AND ",
    due!(),
    "$5)
    RETURNING id"
);
const HOLD_SQLITE: &str = "UPDATE webhook SET held_until = $2 WHERE id = $1";
const CLAIMED_SQLITE: &str = "
    SELECT d.id, d.webhook_id, d.replay, d.attempts, d.created_at, mine.value ->> 1 AS room, m.trace, m.body, w.url,
           w.secret, CASE WHEN w.previous_secret_until > $1 THEN w.previous_secret END AS previous_secret
      FROM json_each($2) AS mine
      JOIN webhook_delivery d ON d.id = unhex(mine.value ->> 0)
      JOIN webhook_message m ON m.id = d.message_id
      JOIN webhook w ON w.id = d.webhook_id
     ORDER BY d.id";
/// Rows that somebody else has locked are being recorded or taken over: nobody waits for those.
pub(super) const RENEW_POSTGRES: &str = "
    UPDATE webhook_delivery SET leased_until = $3
     WHERE id = ANY (ARRAY(
        SELECT d.id FROM unnest($1::uuid[], $2::uuid[]) AS mine (id, lease)
          JOIN webhook_delivery d ON d.id = mine.id AND d.lease = mine.lease
           FOR UPDATE OF d SKIP LOCKED))";
const RENEW_SQLITE: &str = "
    UPDATE webhook_delivery AS d SET leased_until = $2
      FROM json_each($1) AS mine
     WHERE d.id = unhex(mine.value ->> 0) AND d.lease = unhex(mine.value ->> 1)";
const RELEASE_POSTGRES: &str = "
    UPDATE webhook_delivery SET lease = NULL, leased_until = NULL WHERE id = ANY ($1) AND lease = $2";
const RELEASE_SQLITE: &str = "
    UPDATE webhook_delivery SET lease = NULL, leased_until = NULL
     WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND lease = $2";

/// For how many deliveries of an endpoint there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) webhook: WebhookId,
    /// Calls of it that are under way here.
    pub(super) busy: u32,
    /// The most to be claimed; not 0.
    pub(super) room: u32,
}

/// A delivery that is ours to send while its lease holds.
#[derive(Debug, FromRow)]
pub(super) struct Claimed {
    pub(super) id: DeliveryId,
    pub(super) webhook_id: WebhookId,
    pub(super) replay: bool,
    /// Made before this one.
    pub(super) attempts: i32,
    pub(super) created_at: Timestamp,
    /// As many could have been claimed of its endpoint.
    pub(super) room: i32,
    pub(super) trace: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) url: String,
    pub(super) secret: Vec<u8>,
    /// Which signs too.
    pub(super) previous_secret: Option<Vec<u8>>,
}

/// What one statement claimed, under one lease.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) lease: Uuid,
    pub(super) deliveries: Vec<Claimed>,
}

/// Every endpoint that may be called and has something due that nobody has claimed.
pub(super) async fn look(db: &Db, now: Timestamp) -> Result<Vec<WebhookId>, Error> {
    let mut tx = db.begin_asynchronous_commit().await?;
    let look = if tx.is_postgres() {
        LOOK_POSTGRES
    } else {
        LOOK_SQLITE
    };
    let ids = on_tx!(&mut tx, connection => sqlx::query_scalar(look).bind(now).fetch_all(connection).await);
    let ids = ids?;
    tx.commit().await?;
    Ok(ids)
}

/// Claims what is due of these endpoints, the oldest first, as far as there is room: fewer at a time the more calls
/// of an endpoint have failed in a row, of the `concurrency` that a healthy one gets.
pub(super) async fn claim(
    db: &Db,
    wishes: &[Wish],
    concurrency: u32,
    now: Timestamp,
) -> Result<Claim, Error> {
    let lease = Lease {
        id: random::random_id(),
        now,
        concurrency: concurrency as i32,
    };
    let mut tx = db.begin_asynchronous_commit().await?;
    let deliveries = on_tx!(&mut tx, postgres(tx) => {
            sqlx::query_as(CLAIM_POSTGRES)
                .bind(now)
                .bind(wishes.iter().map(|wish| wish.webhook.0).collect::<Vec<_>>())
                .bind(
                    wishes
                        .iter()
                        .map(|wish| wish.busy as i32)
                        .collect::<Vec<_>>(),
                )
                .bind(
                    wishes
                        .iter()
                        .map(|wish| wish.room as i32)
                        .collect::<Vec<_>>(),
                )
                .bind(BREAKER as i32)
                .bind(later(now, BREAKER_HOLD))
                .bind(lease.concurrency)
                .bind(lease.id)
                .bind(later(now, LEASE))
                .fetch_all(&mut *tx)
                .await
        }, sqlite(tx) => lease.claim_each(tx, wishes).await);
    let deliveries = deliveries?;
    tx.commit().await?;
    Ok(Claim {
        lease: lease.id,
        deliveries,
    })
}

struct Lease {
    id: Uuid,
    now: Timestamp,
    concurrency: i32,
}

#[derive(FromRow)]
struct Open {
    id: WebhookId,
    probing: bool,
    room: i32,
}

impl Lease {
    /// One endpoint after the other: nobody else writes meanwhile.
    async fn claim_each(
        &self,
        connection: &mut SqliteConnection,
        wishes: &[Wish],
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let wanted: Vec<_> = wishes
            .iter()
            .map(|wish| json!([wish.webhook.0.simple(), wish.busy, wish.room]))
            .collect();
        let open: Vec<Open> = sqlx::query_as(OPEN_SQLITE)
            .bind(self.now)
            .bind(Json(wanted))
            .bind(BREAKER as i32)
            .bind(self.concurrency)
            .fetch_all(&mut *connection)
            .await?;
        let mut mine = Vec::new();
        for Open { id, probing, room } in open.into_iter().filter(|open| open.room > 0) {
            let claimed: Vec<DeliveryId> = sqlx::query_scalar(CLAIM_SQLITE)
                .bind(self.now)
                .bind(id)
                .bind(self.id)
                .bind(later(self.now, LEASE))
                .bind(room)
                .fetch_all(&mut *connection)
                .await?;
            if probing && !claimed.is_empty() {
                let until = later(self.now, BREAKER_HOLD);
                sqlx::query(HOLD_SQLITE)
                    .bind(id)
                    .bind(until)
                    .execute(&mut *connection)
                    .await?;
            }
            mine.extend(claimed.iter().map(|id| json!([id.0.simple(), room])));
        }
        sqlx::query_as(CLAIMED_SQLITE)
            .bind(self.now)
            .bind(Json(mine))
            .fetch_all(&mut *connection)
            .await
    }
}

/// Keeps others away from what is being sent, for another lease's time.
pub(super) async fn renew(
    db: &Db,
    held: &HashMap<DeliveryId, Uuid>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut tx = db.begin_asynchronous_commit().await?;
    on_tx!(&mut tx, postgres(tx) => sqlx::query(RENEW_POSTGRES)
        .bind(held.keys().map(|id| id.0).collect::<Vec<_>>())
        .bind(held.values().copied().collect::<Vec<_>>())
        .bind(later(now, LEASE))
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let held: Vec<_> = held
            .iter()
            .map(|(id, lease)| json!([id.0.simple(), lease.simple()]))
            .collect();
        let renewed = sqlx::query(RENEW_SQLITE)
            .bind(Json(held))
            .bind(later(now, LEASE));
        renewed.execute(&mut *tx).await.map(|_| ())
    })?;
    tx.commit().await
}

/// Gives back what was not sent: it is due at once.
pub(super) async fn release(db: &Db, lease: Uuid, ids: &[DeliveryId]) -> Result<(), Error> {
    let mut tx = db.begin_asynchronous_commit().await?;
    on_tx!(&mut tx, postgres(tx) => {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        sqlx::query(RELEASE_POSTGRES)
            .bind(ids)
            .bind(lease)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let ids: Vec<_> = ids.iter().map(|id| id.0.simple()).collect();
        sqlx::query(RELEASE_SQLITE)
            .bind(Json(ids))
            .bind(lease)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })?;
    tx.commit().await
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(
        now.as_micros()
            .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
    )
}
