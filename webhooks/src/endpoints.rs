//! Statements on endpoints: registering, changing, deleting, rotating secrets, listing.
//!
//! Settings that decide which deliveries an endpoint is owed hold after a place in the log, behind
//! everything that the fan-out may have decided about already. Those before them are kept as long as
//! the fan-out may need them.

use std::time::Duration;

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use backbone::position::{Position, Sequence};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx, random};
use sqlx::FromRow;
use sqlx::types::Json;

use crate::body;
use crate::checkpoint::{self, Tables};
use crate::input::{Changes, Registration};
use crate::insert::{self, NewDelivery, NewMessage};
use crate::kinds::WebhookEvent;
use crate::model::{DeliveryCounts, MAX_WEBHOOKS, Webhook, WebhookState};
use crate::refusal::Refusal;
use crate::time::after;

/// Time after a rotation for which calls are signed with the previous secret as well.
const PREVIOUS_SECRET: Duration = Duration::from_hours(24);
/// Reason that a deleted endpoint shows for being disabled.
const DELETED: &str = "deleted";

const LIST: &str = include_str!("endpoints/list.sql");
const FIND: &str = include_str!("endpoints/find.sql");
const COUNT: &str = include_str!("endpoints/count.sql");
const EXISTS: &str = include_str!("endpoints/exists.sql");
const REGISTER: &str = include_str!("endpoints/register.sql");
const REGISTER_COUNT: &str = include_str!("endpoints/register_count.sql");
const KEEP_SETTINGS: &str = include_str!("endpoints/keep_settings.sql");
const MAKE_DUE: &str = include_str!("endpoints/make_due.sql");
const UPDATE: &str = include_str!("endpoints/update.sql");
const PAUSE: &str = include_str!("endpoints/pause.sql");
const RESUME: &str = include_str!("endpoints/resume.sql");
const ROTATE_SECRET: &str = include_str!("endpoints/rotate_secret.sql");
const DELETE: &str = include_str!("endpoints/delete.sql");

/// Adds an endpoint that is owed every change after the projection's checkpoint.
pub(crate) async fn register(
    tables: Tables<'_>,
    buyer: BuyerId,
    id: WebhookId,
    registration: &Registration,
    sealed_secret: &[u8],
    now: Timestamp,
) -> Result<Webhook, Refusal> {
    let (mut tx, boundary, _) = checkpoint::begin_settings(tables).await?;

    // The boundary is exact: changes up to it are not delivered, and the fan-out has not decided
    // about any later one.
    //
    // The lock on the fan-out's place also makes this count safe: two registrations take turns.
    let count: Result<i64, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_scalar(COUNT).bind(buyer).fetch_one(connection).await
    );
    if count? >= MAX_WEBHOOKS as i64 {
        return Err(Refusal::LimitExceeded);
    }

    on_tx!(
        &mut tx,
        connection => sqlx::query(REGISTER)
            .bind(id)
            .bind(buyer)
            .bind(&registration.url)
            .bind(Json(&registration.events))
            .bind(registration.seller_ids.as_ref().map(Json))
            .bind(registration.only_when_changed.as_ref().map(Json))
            .bind(&registration.description)
            .bind(boundary as i64)
            .bind(sealed_secret)
            .bind(now)
            .execute(connection)
            .await
            .map(|_| ())
    )?;
    on_tx!(
        &mut tx,
        connection => sqlx::query(REGISTER_COUNT).bind(id).execute(connection).await.map(|_| ())
    )?;

    read_and_commit(tx, buyer, id).await
}

/// Changes the given fields of an endpoint. Another URL is called at once: failures, holds and waits
/// for retries were those of the old one. Returns the endpoint and the projection's checkpoint.
pub(crate) async fn update(
    tables: Tables<'_>,
    buyer: BuyerId,
    id: WebhookId,
    changes: &Changes,
    now: Timestamp,
) -> Result<(Webhook, Checkpoint), Refusal> {
    let (mut tx, boundary, checkpoint) = checkpoint::begin_settings(tables).await?;

    // A pause does not count: what a paused endpoint is owed collects.
    let changes_owed = changes.events.is_some()
        || changes.seller_ids.is_some()
        || changes.only_when_changed.is_some();
    if changes_owed {
        keep_settings(&mut tx, buyer, id, boundary).await?;
    }

    // What failed at the old URL need not wait for its next try at a corrected one.
    if let Some(url) = &changes.url {
        make_due(&mut tx, buyer, id, url, now).await?;
    }

    let updated = on_tx!(
        &mut tx,
        connection => sqlx::query(UPDATE)
            .bind(buyer)
            .bind(id)
            .bind(&changes.url)
            .bind(changes.events.as_ref().map(Json))
            .bind(changes.seller_ids.is_some())
            .bind(changes.seller_ids.as_ref().and_then(Option::as_ref).map(Json))
            .bind(changes_owed.then_some(boundary as i64))
            .bind(changes.description.is_some())
            .bind(changes.description.as_ref().and_then(Option::as_ref))
            .bind(changes.only_when_changed.is_some())
            .bind(changes.only_when_changed.as_ref().and_then(Option::as_ref).map(Json))
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    );
    if updated? == 0 {
        return Err(Refusal::NotFound);
    }

    // Resuming forgets the failures: an endpoint that its owner says is repaired starts afresh,
    // with a closed breaker.
    if let Some(paused) = changes.paused {
        let statement = if paused { PAUSE } else { RESUME };
        on_tx!(
            &mut tx,
            connection => sqlx::query(statement).bind(id).execute(connection).await.map(|_| ())
        )?;
    }

    let webhook = read_and_commit(tx, buyer, id).await?;
    Ok((webhook, checkpoint))
}

/// Keeps the settings that held up to `boundary`, unless they would have held for no change at all.
async fn keep_settings(
    tx: &mut Tx,
    buyer: BuyerId,
    id: WebhookId,
    boundary: Sequence,
) -> Result<(), Error> {
    on_tx!(
        tx,
        connection => sqlx::query(KEEP_SETTINGS)
            .bind(buyer)
            .bind(id)
            .bind(boundary as i64)
            .execute(connection)
            .await
            .map(|_| ())
    )
}

/// Makes what waits for a retry due, if `url` is another URL than the endpoint has.
async fn make_due(
    tx: &mut Tx,
    buyer: BuyerId,
    id: WebhookId,
    url: &str,
    now: Timestamp,
) -> Result<(), Error> {
    on_tx!(
        tx,
        connection => sqlx::query(MAKE_DUE)
            .bind(buyer)
            .bind(id)
            .bind(url)
            .bind(now)
            .execute(connection)
            .await
            .map(|_| ())
    )
}

/// Makes a secret the one that calls are signed with. The previous one keeps signing for 24 hours,
/// so that the receiver can switch without losing a call.
pub(crate) async fn rotate_secret(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    sealed_secret: &[u8],
    now: Timestamp,
) -> Result<Webhook, Refusal> {
    // No lock on the fan-out's place: a rotation does not change which deliveries are owed.
    let mut tx = db.begin().await?;

    let rotated = on_tx!(
        &mut tx,
        connection => sqlx::query(ROTATE_SECRET)
            .bind(buyer)
            .bind(id)
            .bind(sealed_secret)
            .bind(after(now, PREVIOUS_SECRET))
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    );

    match rotated? {
        0 => Err(Refusal::NotFound),
        _ => read_and_commit(tx, buyer, id).await,
    }
}

/// Marks an endpoint as deleted. From then on no delivery is added to it and none is claimed.
pub(crate) async fn delete(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    now: Timestamp,
) -> Result<(), Refusal> {
    // The fan-out may be inserting deliveries under the lock of the endpoint's counts. The caller
    // discards what is pending under that same lock, and later insertions see the deletion.
    let mut tx = db.begin().await?;

    let deleted = on_tx!(
        &mut tx,
        connection => sqlx::query(DELETE)
            .bind(buyer)
            .bind(id)
            .bind(now)
            .bind(DELETED)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
    );

    match deleted? {
        0 => Err(Refusal::NotFound),
        _ => Ok(tx.commit_with_outcome().await?),
    }
}

/// Adds a test delivery for an endpoint at the projection's checkpoint.
pub(crate) async fn add_test_delivery(
    db: &Db,
    checkpoint: Checkpoint,
    buyer: BuyerId,
    id: WebhookId,
    now: Timestamp,
) -> Result<DeliveryId, Refusal> {
    let position = Position::end_of(checkpoint.epoch, checkpoint.position);
    let message = NewMessage {
        id: random::row_id(now.as_micros()),
        event: WebhookEvent::Test,
        body: body::test(now, position, id.0),
    };
    let delivery = NewDelivery {
        id: DeliveryId(message.id),
        webhook: id,
        message: message.id,
        deal: None,
        sequence: position.sequence,
        index: position.index,
    };
    let delivery_id = delivery.id;

    let mut tx = db.begin_by_index().await?;
    if !exists(&mut tx, buyer, id).await? {
        return Err(Refusal::NotFound);
    }

    let inserted = insert::insert(&mut tx, checkpoint.epoch, now, &[message], &[delivery]).await?;
    // The endpoint was deleted in between.
    if inserted.is_empty() {
        return Err(Refusal::NotFound);
    }
    tx.commit_with_outcome().await?;

    Ok(delivery_id)
}

/// Returns a buyer's endpoints, oldest first.
pub(crate) async fn list(db: &Db, buyer: BuyerId) -> Result<Vec<Webhook>, Error> {
    let rows: Result<Vec<WebhookRow>, Error> =
        on_db!(db.read(), pool => sqlx::query_as(LIST).bind(buyer).fetch_all(pool).await);
    Ok(rows?.into_iter().map(Webhook::from).collect())
}

/// Returns an endpoint of this buyer, deleted or not.
pub(crate) async fn find(db: &Db, buyer: BuyerId, id: WebhookId) -> Result<Option<Webhook>, Error> {
    let row: Result<Option<WebhookRow>, Error> = on_db!(
        db.read(),
        pool => sqlx::query_as(FIND).bind(buyer).bind(id).fetch_optional(pool).await
    );
    Ok(row?.map(Webhook::from))
}

/// Returns whether this buyer has such an endpoint and has not deleted it.
pub(crate) async fn exists(tx: &mut Tx, buyer: BuyerId, id: WebhookId) -> Result<bool, Error> {
    on_tx!(
        tx,
        connection => sqlx::query_scalar(EXISTS).bind(buyer).bind(id).fetch_one(connection).await
    )
}

/// Reads the endpoint as the transaction leaves it, and commits.
async fn read_and_commit(mut tx: Tx, buyer: BuyerId, id: WebhookId) -> Result<Webhook, Refusal> {
    let row: Result<WebhookRow, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_as(FIND).bind(buyer).bind(id).fetch_one(connection).await
    );
    // Read before the commit, so that the caller gets what this change made, not what a later one
    // did.
    let webhook = row?.into();

    tx.commit_with_outcome().await?;
    Ok(webhook)
}

#[derive(FromRow)]
struct WebhookRow {
    id: WebhookId,
    url: String,
    events: Json<Vec<WebhookEvent>>,
    seller_ids: Option<Json<Vec<SellerId>>>,
    description: Option<String>,
    #[sqlx(try_from = "String")]
    state: WebhookState,
    disabled_reason: Option<String>,
    created_at: Timestamp,
    #[sqlx(flatten)]
    counts: DeliveryCounts,
}

impl From<WebhookRow> for Webhook {
    fn from(row: WebhookRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            events: row.events.0,
            seller_ids: row.seller_ids.map(|sellers| sellers.0),
            description: row.description,
            state: row.state,
            disabled_reason: row.disabled_reason,
            counts: row.counts,
            created_at: row.created_at,
        }
    }
}
