//! Cleanup: discards the pending deliveries of deleted endpoints, and drops what has been finished
//! for long, with its attempts and with messages that no other delivery needs.

use std::collections::BTreeSet;
use std::time::Duration;

use backbone::db::{Db, Tx};
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::counts::{self, CountDeltas};
use crate::kinds::DeliveryState;

/// Time for which finished deliveries are kept.
pub const KEEP: Duration = Duration::from_hours(30 * 24);
/// Largest number of deliveries that one transaction discards or drops.
// The transaction holds the lock on the endpoints' counts, and the dispatcher waits for it.
const CHUNK: i64 = 2_000;

const DISCARD: &str = include_str!("cleanup/discard.sql");
const HALF_DELETED: &str = include_str!("cleanup/half_deleted.sql");
const EXPIRED: &str = include_str!("cleanup/expired.sql");
const DROP_DELIVERIES_POSTGRES: &str = include_str!("cleanup/drop_deliveries.postgres.sql");
const DROP_DELIVERIES_SQLITE: &str = include_str!("cleanup/drop_deliveries.sqlite.sql");
const DROP_ATTEMPTS_POSTGRES: &str = include_str!("cleanup/drop_attempts.postgres.sql");
const DROP_ATTEMPTS_SQLITE: &str = include_str!("cleanup/drop_attempts.sqlite.sql");
const LOCK_MESSAGES_POSTGRES: &str = include_str!("cleanup/lock_messages.postgres.sql");
const RELEASE_MESSAGES_POSTGRES: &str = include_str!("cleanup/release_messages.postgres.sql");
const RELEASE_MESSAGES_SQLITE: &str = include_str!("cleanup/release_messages.sqlite.sql");
const DROP_MESSAGES_POSTGRES: &str = include_str!("cleanup/drop_messages.postgres.sql");
const DROP_MESSAGES_SQLITE: &str = include_str!("cleanup/drop_messages.sqlite.sql");
const DROP_SETTINGS: &str = include_str!("cleanup/drop_settings.sql");
const DROP_COUNTS: &str = include_str!("cleanup/drop_counts.sql");
const DROP_REPLAYS: &str = include_str!("cleanup/drop_replays.sql");
const DROP_REPLAY_DELIVERIES: &str = include_str!("cleanup/drop_replay_deliveries.sql");
const DROP_WEBHOOKS: &str = include_str!("cleanup/drop_webhooks.sql");

/// Discards all pending deliveries of an endpoint. The endpoint must be marked as deleted already,
/// so that no delivery is added behind the loop.
pub(crate) async fn discard(db: &Db, webhook: WebhookId, now: Timestamp) -> Result<(), Error> {
    loop {
        let mut tx = db.begin_by_index().await?;
        // The counts are the lock of their endpoint's deliveries: a recording that runs at the same
        // time either comes first or finds its leases gone.
        counts::lock(&mut tx, &[webhook]).await?;

        let discarded = on_tx!(
            &mut tx,
            connection => sqlx::query(DISCARD)
                .bind(webhook)
                .bind(now)
                .bind(CHUNK)
                .execute(connection)
                .await
                .map(|done| done.rows_affected() as i64)
        );
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

/// Drops deliveries that finished before `older_than`, and completes deletions that were cut short.
/// Returns the number of deliveries dropped.
pub(crate) async fn forget(db: &Db, older_than: Timestamp, now: Timestamp) -> Result<u64, Error> {
    let half_deleted: Result<Vec<WebhookId>, Error> =
        on_db!(db.read(), pool => sqlx::query_scalar(HALF_DELETED).fetch_all(pool).await);
    for webhook in half_deleted? {
        discard(db, webhook, now).await?;
    }

    // In chunks, each in a transaction of its own: what was dropped stays dropped if a later one
    // fails.
    let mut dropped = 0;
    loop {
        let found = drop_chunk(db, older_than).await?;
        dropped += found as u64;
        if (found as i64) < CHUNK {
            break;
        }
    }

    // An endpoint goes when its last delivery has gone: until then its owner can look the
    // deliveries up.
    let mut tx = db.begin().await?;
    for statement in [DROP_SETTINGS, DROP_COUNTS, DROP_WEBHOOKS] {
        on_tx!(&mut tx, connection => sqlx::query(statement).execute(connection).await.map(|_| ()))?;
    }
    on_tx!(
        &mut tx,
        connection => sqlx::query(DROP_REPLAYS).bind(older_than).execute(connection).await.map(|_| ())
    )?;
    on_tx!(
        &mut tx,
        connection => sqlx::query(DROP_REPLAY_DELIVERIES).execute(connection).await.map(|_| ())
    )?;
    tx.commit().await?;

    Ok(dropped)
}

/// Drops up to [`CHUNK`] deliveries that finished before a time. Returns how many were found.
async fn drop_chunk(db: &Db, older_than: Timestamp) -> Result<usize, Error> {
    let mut tx = db.begin_by_index().await?;

    // Found without a lock, so that the locks below can be taken in the order of the endpoints'
    // ids.
    let found: Result<Vec<(DeliveryId, WebhookId)>, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_as(EXPIRED)
            .bind(older_than)
            .bind(CHUNK)
            .fetch_all(connection)
            .await
    );
    let found = found?;

    let webhooks: BTreeSet<WebhookId> = found.iter().map(|(_, webhook)| *webhook).collect();
    let webhooks: Vec<WebhookId> = webhooks.into_iter().collect();
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

#[derive(FromRow)]
struct DroppedDelivery {
    id: DeliveryId,
    webhook_id: WebhookId,
    message_id: Uuid,
    #[sqlx(try_from = "String")]
    state: DeliveryState,
}

/// Deletes deliveries with their attempts and with messages that nothing else needs. A delivery
/// that was reopened since it was found stays.
async fn drop_deliveries(
    tx: &mut Tx,
    ids: &[Uuid],
    older_than: Timestamp,
) -> Result<Vec<DroppedDelivery>, Error> {
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
) -> Result<Vec<DroppedDelivery>, sqlx::Error> {
    let dropped: Vec<DroppedDelivery> = sqlx::query_as(DROP_DELIVERIES_POSTGRES)
        .bind(ids)
        .bind(older_than)
        .fetch_all(&mut *connection)
        .await?;

    let deliveries: Vec<Uuid> = dropped.iter().map(|row| row.id.0).collect();
    sqlx::query(DROP_ATTEMPTS_POSTGRES)
        .bind(deliveries)
        .execute(&mut *connection)
        .await?;

    // Deliveries of other endpoints share these messages, and the counts locked above do not cover
    // them: the messages need a lock of their own, in an order of their own.
    let messages: Vec<Uuid> = dropped.iter().map(|row| row.message_id).collect();
    for statement in [
        LOCK_MESSAGES_POSTGRES,
        RELEASE_MESSAGES_POSTGRES,
        DROP_MESSAGES_POSTGRES,
    ] {
        sqlx::query(statement)
            .bind(&messages)
            .execute(&mut *connection)
            .await?;
    }

    Ok(dropped)
}

async fn drop_on_sqlite(
    connection: &mut SqliteConnection,
    ids: &[Uuid],
    older_than: Timestamp,
) -> Result<Vec<DroppedDelivery>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple()).collect();
    let dropped: Vec<DroppedDelivery> = sqlx::query_as(DROP_DELIVERIES_SQLITE)
        .bind(Json(ids))
        .bind(older_than)
        .fetch_all(&mut *connection)
        .await?;

    let deliveries: Vec<_> = dropped.iter().map(|row| row.id.0.simple()).collect();
    sqlx::query(DROP_ATTEMPTS_SQLITE)
        .bind(Json(deliveries))
        .execute(&mut *connection)
        .await?;

    let messages: Vec<_> = dropped.iter().map(|row| row.message_id.simple()).collect();
    let messages = Json(json!(messages));
    for statement in [RELEASE_MESSAGES_SQLITE, DROP_MESSAGES_SQLITE] {
        sqlx::query(statement)
            .bind(&messages)
            .execute(&mut *connection)
            .await?;
    }

    Ok(dropped)
}
