//! The SQL of deliveries as buyers see them: pages with all attempts, and re-opening what is finished.

use std::time::Duration;

use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId, WebhookId};
use backbone::position::{Epoch, Position, Sequence};
use backbone::time::Timestamp;
use backbone::{Error, FieldError, on_db, on_tx};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::{Builder, Uuid};

use super::{
    Attempt, Delivery, DeliveryPage, DeliveryState, Refusal, WebhookEvent, WebhookState, endpoints,
};
use buyer_core::outbox::counts::{self, CountDeltas};

/// How many are re-opened in one transaction: who sends waits for it.
const CHUNK: i64 = 2_000;

/// Deliveries with their attempts, in one statement, so from one snapshot.
macro_rules! with_attempts {
    ($deliveries:expr) => {
        concat!(
            "
    SELECT d.id, d.webhook_id, d.state, d.sequence, d.change_index, d.due_at, d.created_at, m.event, m.epoch,
           w.state AS webhook_state, w.held_until, a.number, a.started_at, a.duration_ms, a.status_code, a.error,
           a.response_body
      FROM (",
            $deliveries,
            ") AS d
      JOIN webhook_message m ON m.id = d.message_id
      JOIN webhook w ON w.id = d.webhook_id
      LEFT JOIN webhook_attempt a ON a.delivery_id = d.id
     ORDER BY d.id DESC, a.number"
        )
    };
}
/// Whose deliveries: `w` is an endpoint, `$1` the buyer, `$2` an endpoint or null.
macro_rules! of_buyer {
    () => {
        "w.buyer_id = $1 AND (w.id = $2 OR ($2 IS NULL AND w.deleted_at IS NULL))"
    };
}

/// For each endpoint and state the newest, by the index: however few there are in one state.
const PAGE_POSTGRES: &str = with_attempts!(concat!(
    "SELECT newest.* FROM webhook w
      CROSS JOIN unnest($4::text[]) AS wanted (state)
      CROSS JOIN LATERAL (
          SELECT d.id, d.webhook_id, d.message_id, d.state, d.sequence, d.change_index, d.due_at, d.created_at
            FROM webhook_delivery d
           WHERE d.webhook_id = w.id AND d.state = wanted.state AND d.id < $3
           ORDER BY d.id DESC LIMIT $5) AS newest
     WHERE ",
    of_buyer!(),
    " ORDER BY newest.id DESC LIMIT $5"
));
const PAGE_SQLITE: &str = with_attempts!(concat!(
    "SELECT newest.id, newest.webhook_id, newest.message_id, newest.state, newest.sequence, newest.change_index,
            newest.due_at, newest.created_at
       FROM webhook w
      CROSS JOIN json_each($4) AS wanted
       JOIN webhook_delivery newest ON newest.id IN (
          SELECT d.id FROM webhook_delivery d
           WHERE d.webhook_id = w.id AND d.state = wanted.value AND d.id < $3
           ORDER BY d.id DESC LIMIT $5)
     WHERE ",
    of_buyer!(),
    " ORDER BY newest.id DESC LIMIT $5"
));
const FIND: &str = with_attempts!(
    "SELECT d.* FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id WHERE d.id = $2 AND w.buyer_id = $1"
);
const WHOSE: &str = "
    SELECT d.webhook_id FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id
     WHERE d.id = $2 AND w.buyer_id = $1 AND w.deleted_at IS NULL";
const STATE: &str = "SELECT state FROM webhook_delivery WHERE id = $1";
const REOPEN: &str = "
    UPDATE webhook_delivery SET state = 'PENDING', tries = 0, replay = TRUE, due_at = $2, finished_at = NULL
     WHERE id = $1";
const REOPEN_MANY: &str = "
    UPDATE webhook_delivery SET state = 'PENDING', tries = 0, replay = TRUE, due_at = $5, finished_at = NULL
     WHERE id IN (
        SELECT d.id FROM webhook_delivery d
         WHERE d.webhook_id = $1 AND d.state = $2 AND d.id > $3 AND d.created_at >= $4 ORDER BY d.id LIMIT $6)
    RETURNING id";

/// Which deliveries a page shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) webhook: Option<WebhookId>,
    pub(super) state: Option<DeliveryState>,
    pub(super) limit: u32,
    /// Older than this one.
    pub(super) after: Option<DeliveryId>,
}

/// A delivery with one of its attempts, if it has any.
#[derive(FromRow)]
struct Row {
    id: DeliveryId,
    webhook_id: WebhookId,
    #[sqlx(try_from = "String")]
    state: DeliveryState,
    sequence: i64,
    change_index: i32,
    due_at: Option<Timestamp>,
    created_at: Timestamp,
    #[sqlx(try_from = "String")]
    event: WebhookEvent,
    epoch: Epoch,
    #[sqlx(try_from = "String")]
    webhook_state: WebhookState,
    held_until: Option<Timestamp>,
    number: Option<i32>,
    started_at: Option<Timestamp>,
    duration_ms: Option<i32>,
    status_code: Option<i32>,
    error: Option<String>,
    response_body: Option<String>,
}

impl Row {
    fn delivery(&self) -> Delivery {
        let called =
            self.state == DeliveryState::Pending && self.webhook_state == WebhookState::Active;
        Delivery {
            id: self.id,
            webhook_id: self.webhook_id,
            event: self.event,
            state: self.state,
            position: Position {
                epoch: self.epoch,
                sequence: self.sequence as Sequence,
                index: self.change_index as u16,
            },
            attempts: Vec::new(),
            next_attempt_at: self
                .due_at
                .filter(|_| called)
                .map(|due| self.held_until.map_or(due, |held| due.max(held))),
            created_at: self.created_at,
        }
    }

    fn attempt(self) -> Option<Attempt> {
        Some(Attempt {
            number: self.number?.unsigned_abs(),
            at: self.started_at?,
            status_code: self.status_code.and_then(|code| u16::try_from(code).ok()),
            error: self.error,
            duration: Duration::from_millis(self.duration_ms?.unsigned_abs().into()),
            response_body: self.response_body,
        })
    }
}

/// Folds rows into deliveries, in their order.
fn fold(rows: Vec<Row>) -> Vec<Delivery> {
    let mut deliveries: Vec<Delivery> = Vec::new();
    for row in rows {
        if deliveries.last().is_none_or(|last| last.id != row.id) {
            deliveries.push(row.delivery());
        }
        let delivery = deliveries.last_mut().expect("one was just pushed");
        delivery.attempts.extend(row.attempt());
    }
    deliveries
}

/// Some of a buyer's deliveries, newest first.
pub(super) async fn page(db: &Db, buyer: BuyerId, wanted: Wanted) -> Result<DeliveryPage, Error> {
    let Wanted {
        webhook,
        state,
        limit,
        after,
    } = wanted;
    let after = after.unwrap_or(DeliveryId(Uuid::max()));
    let states: Vec<&str> = match state {
        Some(state) => vec![state.as_str()],
        None => DeliveryState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect(),
    };
    let rows = on_db!(db.read(), postgres(pool) => {
        let query = sqlx::query_as(PAGE_POSTGRES)
            .bind(buyer)
            .bind(webhook)
            .bind(after)
            .bind(states);
        query.bind(i64::from(limit) + 1).fetch_all(pool).await
    }, sqlite(pool) => {
        let query = sqlx::query_as(PAGE_SQLITE)
            .bind(buyer)
            .bind(webhook)
            .bind(after)
            .bind(Json(states));
        query.bind(i64::from(limit) + 1).fetch_all(pool).await
    });
    let mut deliveries = fold(rows?);
    let has_next = deliveries.len() > limit as usize;
    deliveries.truncate(limit as usize);
    Ok(DeliveryPage {
        deliveries,
        has_next,
    })
}

/// A delivery to this buyer.
pub(super) async fn find(
    db: &Db,
    buyer: BuyerId,
    id: DeliveryId,
) -> Result<Option<Delivery>, Error> {
    let rows: Result<Vec<Row>, _> =
        on_db!(db.read(), pool => sqlx::query_as(FIND).bind(buyer).bind(id).fetch_all(pool).await);
    Ok(fold(rows?).pop())
}

/// Re-opens a delivery that is finished, and returns whose it is.
pub(super) async fn replay(
    db: &Db,
    buyer: BuyerId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<WebhookId, Refusal> {
    let mut tx = db.begin_by_index().await?;
    let webhook: Result<Option<WebhookId>, _> = on_tx!(&mut tx, connection =>
        sqlx::query_scalar(WHOSE).bind(buyer).bind(id).fetch_optional(connection).await);
    let webhook = webhook?.ok_or(Refusal::NotFound)?;
    counts::lock(&mut tx, &[webhook]).await?;
    let state: Result<Option<String>, _> = on_tx!(&mut tx, connection =>
        sqlx::query_scalar(STATE).bind(id).fetch_optional(connection).await);
    let state = state?.ok_or(Refusal::NotFound)?;
    let state =
        DeliveryState::try_from(state).map_err(|why| Error::broken("webhook_delivery", why))?;
    match state {
        DeliveryState::Delivered | DeliveryState::Dead => {}
        DeliveryState::Pending => return Err(Refusal::Conflict("the delivery is pending already")),
        DeliveryState::Discarded => return Err(Refusal::NotFound),
    }
    on_tx!(&mut tx, connection => sqlx::query(REOPEN).bind(id).bind(now).execute(connection).await.map(|_| ()))?;
    let mut deltas = CountDeltas::default();
    deltas.transfer(webhook, state, DeliveryState::Pending, 1);
    deltas.write(&mut tx).await?;
    tx.commit().await?;
    Ok(webhook)
}

/// Re-opens whatever of an endpoint is in a state and came to be owed at `since` or later. Returns how many.
pub(super) async fn replay_many(
    db: &Db,
    buyer: BuyerId,
    webhook: WebhookId,
    state: DeliveryState,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64, Refusal> {
    if !matches!(state, DeliveryState::Delivered | DeliveryState::Dead) {
        let message = "must be DEAD or DELIVERED".to_owned();
        return Err(Refusal::Invalid(vec![FieldError {
            path: "state".to_owned(),
            message,
        }]));
    }
    let since = since.unwrap_or(Timestamp::from_micros(0));
    let (mut after, mut count) = (oldest_of(since), 0);
    loop {
        let mut tx = db.begin_by_index().await?;
        if !endpoints::is_there(&mut tx, buyer, webhook).await? {
            return Err(Refusal::NotFound);
        }
        counts::lock(&mut tx, &[webhook]).await?;
        let reopened: Result<Vec<DeliveryId>, _> = on_tx!(&mut tx, connection => sqlx::query_scalar(REOPEN_MANY)
            .bind(webhook)
            .bind(state.as_str())
            .bind(after)
            .bind(since)
            .bind(now)
            .bind(CHUNK)
            .fetch_all(connection)
            .await);
        let reopened = reopened?;
        let Some(last) = reopened.iter().max() else {
            return Ok(count);
        };
        after = *last;
        let mut deltas = CountDeltas::default();
        deltas.transfer(
            webhook,
            state,
            DeliveryState::Pending,
            reopened.len() as i64,
        );
        deltas.write(&mut tx).await?;
        tx.commit().await?;
        count += reopened.len() as u64;
        if (reopened.len() as i64) < CHUNK {
            return Ok(count);
        }
    }
}

/// An id before those of all deliveries that were made from a time on.
fn oldest_of(at: Timestamp) -> DeliveryId {
    let millis = at.as_micros().max(0).unsigned_abs() / 1_000;
    DeliveryId(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}
