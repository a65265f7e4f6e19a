//! Statements on deliveries as buyers see them: pages with all attempts, and replays.

mod rows;

use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, FieldError, on_db, on_tx};
use sqlx::types::Json;
use uuid::{Builder, Uuid};

use crate::counts::{self, CountDeltas};
use crate::endpoints;
use crate::kinds::DeliveryState;
use crate::model::{Delivery, DeliveryPage};
use crate::refusal::Refusal;
use rows::{DeliveryRow, fold};

/// Largest number of deliveries that one transaction reopens.
// The transaction holds the lock on the endpoint's counts, and the dispatcher waits for it.
const CHUNK: i64 = 2_000;

const PAGE_POSTGRES: &str = include_str!("deliveries/page.postgres.sql");
const PAGE_SQLITE: &str = include_str!("deliveries/page.sqlite.sql");
const FIND: &str = include_str!("deliveries/find.sql");
const ENDPOINT: &str = include_str!("deliveries/endpoint.sql");
const STATE: &str = include_str!("deliveries/state.sql");
const REOPEN: &str = include_str!("deliveries/reopen.sql");
const REOPEN_MANY: &str = include_str!("deliveries/reopen_many.sql");

/// Request for a page of deliveries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRequest {
    pub(crate) webhook: Option<WebhookId>,
    pub(crate) state: Option<DeliveryState>,
    pub(crate) limit: u32,
    /// Delivery before the page: the page holds older ones only.
    pub(crate) after: Option<DeliveryId>,
}

/// Returns a page of a buyer's deliveries, newest first.
pub(crate) async fn page(
    db: &Db,
    buyer: BuyerId,
    request: PageRequest,
) -> Result<DeliveryPage, Error> {
    let PageRequest {
        webhook,
        state,
        limit,
        after,
    } = request;
    // The greatest id there is stands before the first page.
    let after = after.unwrap_or(DeliveryId(Uuid::max()));
    let states: Vec<&str> = match state {
        Some(state) => vec![state.as_str()],
        None => DeliveryState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect(),
    };
    // One row more than requested tells whether another page follows.
    let rows_wanted = i64::from(limit) + 1;

    let rows: Result<Vec<DeliveryRow>, Error> = on_db!(
        db.read(),
        postgres(pool) => {
            let query = sqlx::query_as(PAGE_POSTGRES).bind(buyer).bind(webhook).bind(after);
            query.bind(states).bind(rows_wanted).fetch_all(pool).await
        },
        sqlite(pool) => {
            let query = sqlx::query_as(PAGE_SQLITE).bind(buyer).bind(webhook).bind(after);
            query.bind(Json(states)).bind(rows_wanted).fetch_all(pool).await
        },
    );

    let mut deliveries = fold(rows?);
    let has_next = deliveries.len() > limit as usize;
    deliveries.truncate(limit as usize);

    Ok(DeliveryPage {
        deliveries,
        has_next,
    })
}

/// Returns a delivery to this buyer.
pub(crate) async fn find(
    db: &Db,
    buyer: BuyerId,
    id: DeliveryId,
) -> Result<Option<Delivery>, Error> {
    let rows: Result<Vec<DeliveryRow>, Error> = on_db!(
        db.read(),
        pool => sqlx::query_as(FIND).bind(buyer).bind(id).fetch_all(pool).await
    );
    Ok(fold(rows?).pop())
}

/// Reopens a finished delivery and returns its endpoint.
pub(crate) async fn replay(
    db: &Db,
    buyer: BuyerId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<WebhookId, Refusal> {
    // The endpoint is needed before its counts can be locked. A delivery never changes its
    // endpoint, so it may be read without the lock.
    let mut tx = db.begin_by_index().await?;

    let webhook: Result<Option<WebhookId>, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_scalar(ENDPOINT)
            .bind(buyer)
            .bind(id)
            .fetch_optional(connection)
            .await
    );
    let webhook = webhook?.ok_or(Refusal::NotFound)?;

    // The counts lock the endpoint's deliveries. The state is read after that, so that it cannot
    // change between the check and the update.
    counts::lock(&mut tx, &[webhook]).await?;
    let state: Result<Option<String>, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_scalar(STATE).bind(id).fetch_optional(connection).await
    );
    let state = state?.ok_or(Refusal::NotFound)?;
    let state =
        DeliveryState::try_from(state).map_err(|why| Error::broken("webhook_delivery", why))?;

    match state {
        DeliveryState::Delivered | DeliveryState::Dead => {}
        DeliveryState::Pending => {
            return Err(Refusal::Conflict(
                "The delivery is still pending: only a delivered or dead one can be replayed",
            ));
        }
        // Only the deletion of its endpoint discards a delivery, and that came in between.
        DeliveryState::Discarded => return Err(Refusal::NotFound),
    }

    on_tx!(
        &mut tx,
        connection => sqlx::query(REOPEN).bind(id).bind(now).execute(connection).await.map(|_| ())
    )?;
    let mut deltas = CountDeltas::default();
    deltas.transfer(webhook, state, DeliveryState::Pending, 1);
    deltas.write(&mut tx).await?;

    tx.commit_with_outcome().await?;
    Ok(webhook)
}

/// Reopens every delivery of an endpoint that is in `state` and was created at `since` or later.
/// Returns how many were reopened.
pub(crate) async fn replay_many(
    db: &Db,
    buyer: BuyerId,
    webhook: WebhookId,
    state: DeliveryState,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64, Refusal> {
    if !matches!(state, DeliveryState::Delivered | DeliveryState::Dead) {
        let violation = FieldError::new("state", "must be DEAD or DELIVERED");
        return Err(Refusal::Invalid(vec![violation]));
    }

    let replay = BulkReplay {
        buyer,
        webhook,
        state,
        since: since.unwrap_or(Timestamp::from_micros(0)),
        now,
    };
    let mut after = id_before(replay.since);
    let mut count = 0;

    loop {
        let reopened = replay.reopen_chunk(db, after).await;
        let reopened = reopened.map_err(|refusal| match refusal {
            // Earlier chunks are committed, so the replay as a whole is neither done nor undone.
            Refusal::Store(error) if count > 0 => Refusal::Store(error.after_write()),
            other => other,
        })?;
        count += reopened.len() as u64;

        match reopened.iter().max() {
            // Ids grow, so the next chunk continues behind the greatest one. Without that, a
            // delivery that failed again meanwhile would be reopened a second time, and so on for
            // ever.
            Some(last) if reopened.len() as i64 == CHUNK => after = *last,
            _ => return Ok(count),
        }
    }
}

/// Replay of many deliveries of one endpoint.
struct BulkReplay {
    buyer: BuyerId,
    webhook: WebhookId,
    state: DeliveryState,
    since: Timestamp,
    now: Timestamp,
}

impl BulkReplay {
    /// Reopens up to [`CHUNK`] deliveries whose ids are greater than `after`, in one transaction.
    async fn reopen_chunk(&self, db: &Db, after: DeliveryId) -> Result<Vec<DeliveryId>, Refusal> {
        let mut tx = db.begin_by_index().await?;
        // Checked again in every chunk: the endpoint may have been deleted since the last one.
        if !endpoints::exists(&mut tx, self.buyer, self.webhook).await? {
            return Err(Refusal::NotFound);
        }

        // Locked before the rows are chosen: a recording must not change their states in between.
        counts::lock(&mut tx, &[self.webhook]).await?;

        let reopened: Result<Vec<DeliveryId>, Error> = on_tx!(
            &mut tx,
            connection => sqlx::query_scalar(REOPEN_MANY)
                .bind(self.webhook)
                .bind(self.state.as_str())
                .bind(after)
                .bind(self.since)
                .bind(self.now)
                .bind(CHUNK)
                .fetch_all(connection)
                .await
        );
        let reopened = reopened?;

        // Nothing was written, so the transaction is dropped without a commit.
        if reopened.is_empty() {
            return Ok(reopened);
        }

        let mut deltas = CountDeltas::default();
        let count = reopened.len() as i64;
        deltas.transfer(self.webhook, self.state, DeliveryState::Pending, count);
        deltas.write(&mut tx).await?;
        tx.commit_with_outcome().await?;

        Ok(reopened)
    }
}

/// Returns an id smaller than those of all deliveries created at `at` or later.
fn id_before(at: Timestamp) -> DeliveryId {
    // Delivery ids are UUIDs of version 7: they begin with the time of creation in milliseconds.
    let millis = at.as_micros().max(0).unsigned_abs() / 1_000;
    DeliveryId(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}
