//! What ends deliveries: those of a deleted endpoint are discarded, and whatever has been finished for long is dropped
//! with its attempts, and its message when nobody else needs that.

use std::time::Duration;

use backbone::db::{Db, Tx};
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, SqliteConnection};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{DeliveryState, Webhooks};
use buyer_core::outbox::counts::{self, CountDeltas};

/// How long what is finished is kept.
pub const KEEP: Duration = Duration::from_hours(30 * 24);
/// How often it is looked whether something is too old.
const LOOK: Duration = Duration::from_secs(60);
/// How many end in one transaction: who sends waits for it.
const CHUNK: i64 = 2_000;

const DISCARD: &str = "
    UPDATE webhook_delivery
       SET state = 'DISCARDED', due_at = NULL, lease = NULL, leased_until = NULL, finished_at = $2
     WHERE id IN (
        SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = $1 AND d.state = 'PENDING' ORDER BY d.id LIMIT $3)";
/// Endpoints whose deletion was cut off.
const HALF_DELETED: &str = "
    SELECT w.id FROM webhook w JOIN webhook_count c ON c.webhook_id = w.id
     WHERE w.deleted_at IS NOT NULL AND c.pending > 0";
const TOO_OLD: &str = "
    SELECT id, webhook_id FROM webhook_delivery WHERE finished_at < $1 ORDER BY finished_at LIMIT $2";
const DROP_POSTGRES: &str = "
    DELETE FROM webhook_delivery WHERE id = ANY ($1) AND finished_at < $2
    RETURNING id, webhook_id, message_id, state";
const DROP_SQLITE: &str = "
    DELETE FROM webhook_delivery WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND finished_at < $2
    RETURNING id, webhook_id, message_id, state";
const DROP_ATTEMPTS_POSTGRES: &str = "DELETE FROM webhook_attempt WHERE delivery_id = ANY ($1)";
const DROP_ATTEMPTS_SQLITE: &str = "
    DELETE FROM webhook_attempt WHERE delivery_id IN (SELECT unhex(value) FROM json_each($1))";
const LOCK_MESSAGES: &str =
    "SELECT id FROM webhook_message WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
const LESS_NEEDED_POSTGRES: &str = "
    UPDATE webhook_message m SET deliveries = m.deliveries - gone.count
      FROM (SELECT id, count(*)::int AS count FROM unnest($1::uuid[]) AS dropped (id) GROUP BY id) AS gone
     WHERE m.id = gone.id";
const LESS_NEEDED_SQLITE: &str = "
    UPDATE webhook_message AS m SET deliveries = m.deliveries - gone.count
      FROM (SELECT unhex(value) AS id, count(*) AS count FROM json_each($1) GROUP BY 1) AS gone
     WHERE m.id = gone.id";
const DROP_MESSAGES_POSTGRES: &str =
    "DELETE FROM webhook_message WHERE id = ANY ($1) AND deliveries = 0";
const DROP_MESSAGES_SQLITE: &str = "
    DELETE FROM webhook_message WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND deliveries = 0";
/// Deleted endpoints that nothing is kept of any more: first their counts, which refer to them.
const DROP_COUNTS: &str = "
    DELETE FROM webhook_count
     WHERE owed = 0 AND webhook_id IN (SELECT id FROM webhook WHERE deleted_at IS NOT NULL)";
const DROP_WEBHOOKS: &str = "
    DELETE FROM webhook
     WHERE deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook_count c WHERE c.webhook_id = webhook.id)";

/// Looks again and again until told to stop. Any number of processes may.
pub async fn run(webhooks: Webhooks, stop: CancellationToken) {
    loop {
        // Nothing is lost by waiting, and another process may have been at it.
        if let Err(error) = webhooks.forget_old().await {
            tracing::debug!(%error, "old deliveries are still there");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}

/// Discards whatever of an endpoint is pending. The endpoint is marked as deleted, so nothing is added.
pub(super) async fn discard(db: &Db, webhook: WebhookId, now: Timestamp) -> Result<(), Error> {
    loop {
        let mut tx = db.begin_by_index().await?;
        counts::lock(&mut tx, &[webhook]).await?;
        let discarded = on_tx!(&mut tx, connection => sqlx::query(DISCARD)
            .bind(webhook)
            .bind(now)
            .bind(CHUNK)
            .execute(connection)
            .await
            .map(|done| done.rows_affected() as i64));
        let discarded = discarded?;
        let mut deltas = CountDeltas::default();
        deltas.transfer(
            webhook,
            DeliveryState::Pending,
            DeliveryState::Discarded,
            discarded,
        );
        deltas.write(&mut tx).await?;
        tx.commit().await?;
        if discarded < CHUNK {
            return Ok(());
        }
    }
}

/// Drops what was finished before a time, and ends what deletions left over. Returns how many deliveries were dropped.
pub(super) async fn forget(db: &Db, older_than: Timestamp, now: Timestamp) -> Result<u64, Error> {
    let half_deleted: Result<Vec<WebhookId>, _> =
        on_db!(db.read(), pool => sqlx::query_scalar(HALF_DELETED).fetch_all(pool).await);
    for webhook in half_deleted? {
        discard(db, webhook, now).await?;
    }
    let mut dropped = 0;
    loop {
        let too_old = drop_some(db, older_than).await?;
        dropped += too_old as u64;
        if (too_old as i64) < CHUNK {
            break;
        }
    }
    let mut tx = db.begin().await?;
    for gone in [DROP_COUNTS, DROP_WEBHOOKS] {
        on_tx!(&mut tx, connection => sqlx::query(gone).execute(connection).await.map(|_| ()))?;
    }
    tx.commit().await?;
    Ok(dropped)
}

#[derive(FromRow)]
struct Dropped {
    id: DeliveryId,
    webhook_id: WebhookId,
    message_id: Uuid,
    #[sqlx(try_from = "String")]
    state: DeliveryState,
}

/// Drops some of what was finished before a time. Returns how many were found.
async fn drop_some(db: &Db, older_than: Timestamp) -> Result<usize, Error> {
    let mut tx = db.begin_by_index().await?;
    let found: Result<Vec<(DeliveryId, WebhookId)>, _> = on_tx!(&mut tx, connection =>
        sqlx::query_as(TOO_OLD).bind(older_than).bind(CHUNK).fetch_all(connection).await);
    let found = found?;
    let mut webhooks: Vec<WebhookId> = found.iter().map(|(_, webhook)| *webhook).collect();
    webhooks.sort_unstable();
    webhooks.dedup();
    counts::lock(&mut tx, &webhooks).await?;
    let ids: Vec<Uuid> = found.iter().map(|(id, _)| id.0).collect();
    let dropped = drop_deliveries(&mut tx, &ids, older_than).await?;
    let mut deltas = CountDeltas::default();
    for row in &dropped {
        deltas.add(row.webhook_id, row.state, -1);
    }
    deltas.write(&mut tx).await?;
    tx.commit().await?;
    Ok(found.len())
}

/// Deletes the rows themselves. A delivery that was re-opened meanwhile stays.
async fn drop_deliveries(
    tx: &mut Tx,
    ids: &[Uuid],
    older_than: Timestamp,
) -> Result<Vec<Dropped>, Error> {
    on_tx!(
        tx,
        postgres(connection) => drop_on_postgres(connection, ids, older_than).await,
        sqlite(connection) => drop_on_sqlite(connection, ids, older_than).await,
    )
}

async fn drop_on_postgres(
    connection: &mut PgConnection,
    ids: &[Uuid],
    older_than: Timestamp,
) -> Result<Vec<Dropped>, sqlx::Error> {
    let rows: Vec<Dropped> = sqlx::query_as(DROP_POSTGRES)
        .bind(ids)
        .bind(older_than)
        .fetch_all(&mut *connection)
        .await?;

    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.0).collect();
    sqlx::query(DROP_ATTEMPTS_POSTGRES)
        .bind(ids)
        .execute(&mut *connection)
        .await?;

    let messages: Vec<Uuid> = rows.iter().map(|row| row.message_id).collect();
    for statement in [LOCK_MESSAGES, LESS_NEEDED_POSTGRES, DROP_MESSAGES_POSTGRES] {
        sqlx::query(statement)
            .bind(&messages)
            .execute(&mut *connection)
            .await?;
    }

    Ok(rows)
}

async fn drop_on_sqlite(
    connection: &mut SqliteConnection,
    ids: &[Uuid],
    older_than: Timestamp,
) -> Result<Vec<Dropped>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple()).collect();
    let rows: Vec<Dropped> = sqlx::query_as(DROP_SQLITE)
        .bind(Json(ids))
        .bind(older_than)
        .fetch_all(&mut *connection)
        .await?;

    let ids: Vec<_> = rows.iter().map(|row| row.id.0.simple()).collect();
    sqlx::query(DROP_ATTEMPTS_SQLITE)
        .bind(Json(ids))
        .execute(&mut *connection)
        .await?;

    let messages: Vec<_> = rows.iter().map(|row| row.message_id.simple()).collect();
    let messages = Json(json!(messages));
    for statement in [LESS_NEEDED_SQLITE, DROP_MESSAGES_SQLITE] {
        sqlx::query(statement)
            .bind(&messages)
            .execute(&mut *connection)
            .await?;
    }

    Ok(rows)
}
