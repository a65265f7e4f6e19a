//! The SQL of endpoints: registering, changing, deleting, rotating, listing.
//!
//! Whatever bears on what an endpoint is owed begins by locking the projection's row, so that it stands wholly before
//! or wholly after a batch.

use backbone::db::{Db, Tx};
use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use buyer_core::outbox;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{
    Changes, DeliveryCounts, MAX_WEBHOOKS, Refusal, Registration, Webhook, WebhookEvent,
    WebhookState,
};

/// How long calls are signed with the secret before as well, in microseconds.
const BOTH_SECRETS: i64 = 24 * 60 * 60 * 1_000_000;
/// Why a deleted endpoint is not called.
const DELETED: &str = "deleted";

const LOCK_CHECKPOINT_POSTGRES: &str =
    "SELECT epoch, position, event_id, generation FROM projection WHERE name = 'buyer' FOR UPDATE";
/// A transaction that writes is alone in SQLite.
const LOCK_CHECKPOINT_SQLITE: &str =
    "SELECT epoch, position, event_id, generation FROM projection WHERE name = 'buyer'";

macro_rules! webhooks {
    ($which:literal) => {
        concat!(
            "
    SELECT w.id, w.url, w.events, w.seller_ids, w.description, w.state, w.disabled_reason, w.created_at,
           c.owed, c.delivered, c.pending, c.dead, c.discarded
      FROM webhook w JOIN webhook_count c ON c.webhook_id = w.id
     WHERE w.buyer_id = $1 AND ",
            $which
        )
    };
}

const LIST: &str = webhooks!("w.deleted_at IS NULL ORDER BY w.created_at, w.id");
const FIND: &str = webhooks!("w.id = $2");
const HELD: &str = "SELECT count(*) FROM webhook WHERE buyer_id = $1 AND deleted_at IS NULL";
const IS_THERE: &str = "
    SELECT EXISTS (SELECT 1 FROM webhook WHERE buyer_id = $1 AND id = $2 AND deleted_at IS NULL)";
const REGISTER: &str = "
    INSERT INTO webhook (id, buyer_id, url, events, seller_ids, description, state, from_position, secret, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, 'ACTIVE', $7, $8, $9)";
const COUNT: &str = "INSERT INTO webhook_count (webhook_id) VALUES ($1)";
/// What is null stays; a list and a note may become null, so each has a flag.
const UPDATE: &str = "
    UPDATE webhook
       SET url = coalesce($3, url), events = coalesce($4, events),
           seller_ids = CASE WHEN $5 THEN $6 ELSE seller_ids END,
           description = CASE WHEN $7 THEN $8 ELSE description END
     WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL";
const PAUSE: &str = "UPDATE webhook SET state = 'PAUSED', disabled_reason = NULL WHERE id = $1";
const RESUME: &str = "
    UPDATE webhook
       SET state = 'ACTIVE', disabled_reason = NULL, failures = 0, failing_since = NULL, held_until = NULL
     WHERE id = $1";
const ROTATE: &str = "
    UPDATE webhook SET previous_secret = secret, previous_secret_until = $4, secret = $3
     WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL";
const DELETE: &str = "
    UPDATE webhook SET deleted_at = $3, state = 'DISABLED', disabled_reason = $4
     WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL";

#[derive(FromRow)]
struct Row {
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

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
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

/// Begins a change that no batch of the projection is half before and half after, with the tables' place.
pub(super) async fn lock_checkpoint(db: &Db) -> Result<(Tx, Checkpoint), Error> {
    let mut tx = db.begin().await?;
    let hold = if tx.is_postgres() {
        LOCK_CHECKPOINT_POSTGRES
    } else {
        LOCK_CHECKPOINT_SQLITE
    };
    let checkpoint: Result<Checkpoint, _> =
        on_tx!(&mut tx, connection => sqlx::query_as(hold).fetch_one(connection).await);
    let checkpoint = checkpoint?;
    Ok((tx, checkpoint))
}

/// Adds an endpoint that is owed what comes after the tables' place.
pub(super) async fn register(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    asked: &Registration,
    sealed: &[u8],
    now: Timestamp,
) -> Result<Webhook, Refusal> {
    let (mut tx, checkpoint) = lock_checkpoint(db).await?;
    let held: Result<i64, _> = on_tx!(&mut tx, connection => sqlx::query_scalar(HELD).bind(buyer).fetch_one(connection).await);
    if held? >= MAX_WEBHOOKS as i64 {
        return Err(Refusal::LimitExceeded);
    }
    on_tx!(&mut tx, connection => sqlx::query(REGISTER)
        .bind(id)
        .bind(buyer)
        .bind(&asked.url)
        .bind(Json(&asked.events))
        .bind(asked.seller_ids.as_ref().map(Json))
        .bind(&asked.description)
        .bind(checkpoint.position as i64)
        .bind(sealed)
        .bind(now)
        .execute(connection)
        .await
        .map(|_| ()))?;
    on_tx!(&mut tx, connection => sqlx::query(COUNT).bind(id).execute(connection).await.map(|_| ()))?;
    end(tx, buyer, id).await
}

/// Changes what is given, and returns the tables' place with it.
pub(super) async fn update(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    asked: &Changes,
) -> Result<(Webhook, Checkpoint), Refusal> {
    let (mut tx, checkpoint) = lock_checkpoint(db).await?;
    let changed = on_tx!(&mut tx, connection => sqlx::query(UPDATE)
        .bind(buyer)
        .bind(id)
        .bind(&asked.url)
        .bind(asked.events.as_ref().map(Json))
        .bind(asked.seller_ids.is_some())
        .bind(asked.seller_ids.as_ref().and_then(Option::as_ref).map(Json))
        .bind(asked.description.is_some())
        .bind(asked.description.as_ref().and_then(Option::as_ref))
        .execute(connection)
        .await
        .map(|done| done.rows_affected()));
    if changed? == 0 {
        return Err(Refusal::NotFound);
    }
    if let Some(paused) = asked.paused {
        let turn = if paused { PAUSE } else { RESUME };
        on_tx!(&mut tx, connection => sqlx::query(turn).bind(id).execute(connection).await.map(|_| ()))?;
    }
    Ok((end(tx, buyer, id).await?, checkpoint))
}

/// Makes a secret the one that calls are signed with; for a day the one before signs too.
pub(super) async fn rotate(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<Webhook, Refusal> {
    let mut tx = db.begin().await?;
    let rotated = on_tx!(&mut tx, connection => sqlx::query(ROTATE)
        .bind(buyer)
        .bind(id)
        .bind(sealed)
        .bind(Timestamp::from_micros(now.as_micros().saturating_add(BOTH_SECRETS)))
        .execute(connection)
        .await
        .map(|done| done.rows_affected()));
    match rotated? {
        0 => Err(Refusal::NotFound),
        _ => end(tx, buyer, id).await,
    }
}

/// Marks an endpoint as deleted: from here on nothing is owed to it and nothing of it claimed.
pub(super) async fn delete(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (mut tx, _) = lock_checkpoint(db).await?;
    let deleted = on_tx!(&mut tx, connection => sqlx::query(DELETE)
        .bind(buyer)
        .bind(id)
        .bind(now)
        .bind(DELETED)
        .execute(connection)
        .await
        .map(|done| done.rows_affected()));
    match deleted? {
        0 => Err(Refusal::NotFound),
        _ => Ok(tx.commit().await?),
    }
}

/// Whether this buyer has such an endpoint, not deleted.
pub(super) async fn is_there(tx: &mut Tx, buyer: BuyerId, id: WebhookId) -> Result<bool, Error> {
    on_tx!(tx, connection =>
        sqlx::query_scalar(IS_THERE).bind(buyer).bind(id).fetch_one(connection).await)
}

/// A buyer's endpoints.
pub(super) async fn list(db: &Db, buyer: BuyerId) -> Result<Vec<Webhook>, Error> {
    let rows: Result<Vec<Row>, _> =
        on_db!(db.read(), pool => sqlx::query_as(LIST).bind(buyer).fetch_all(pool).await);
    Ok(rows?.into_iter().map(Webhook::from).collect())
}

/// An endpoint of this buyer, deleted or not.
pub(super) async fn find(db: &Db, buyer: BuyerId, id: WebhookId) -> Result<Option<Webhook>, Error> {
    let row: Result<Option<Row>, _> = on_db!(db.read(), pool => sqlx::query_as(FIND).bind(buyer).bind(id).fetch_optional(pool).await);
    Ok(row?.map(Webhook::from))
}

/// Adds a test delivery for an endpoint at the tables' checkpoint.
pub(super) async fn owe_test(
    db: &Db,
    buyer: BuyerId,
    id: WebhookId,
    now: Timestamp,
) -> Result<(DeliveryId, Checkpoint), Refusal> {
    let (mut tx, checkpoint) = lock_checkpoint(db).await?;
    if !is_there(&mut tx, buyer, id).await? {
        return Err(Refusal::NotFound);
    }

    let delivery = outbox::write_test(&mut tx, checkpoint, id, now).await?;
    tx.commit().await?;

    Ok((delivery, checkpoint))
}

/// Commits, with the endpoint as it is then.
async fn end(mut tx: Tx, buyer: BuyerId, id: WebhookId) -> Result<Webhook, Refusal> {
    let row: Result<Row, _> = on_tx!(&mut tx, connection =>
        sqlx::query_as(FIND).bind(buyer).bind(id).fetch_one(connection).await);
    let webhook = row?.into();
    tx.commit().await?;
    Ok(webhook)
}
