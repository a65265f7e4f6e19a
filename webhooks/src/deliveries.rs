//! Statements on deliveries as buyers see them: pages with all attempts, and replays of one.

mod rows;

use std::time::Duration;

use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_db, on_tx};
use sqlx::types::Json;
use uuid::{Builder, Uuid};

use crate::counts::{self, CountDeltas};
use crate::kinds::DeliveryState;
use crate::model::{Delivery, DeliveryFilter, DeliveryPage};
use crate::refusal::Refusal;
use crate::time::after;
use rows::{DeliveryRow, fold};

const PAGE_POSTGRES: &str = include_str!("deliveries/page.postgres.sql");
const PAGE_SQLITE: &str = include_str!("deliveries/page.sqlite.sql");
const FIND: &str = include_str!("deliveries/find.sql");
const ENDPOINT: &str = include_str!("deliveries/endpoint.sql");
const STATE: &str = include_str!("deliveries/state.sql");
const REOPEN: &str = include_str!("deliveries/reopen.sql");

/// Last time of creation of a page without one: the end of the year 9999.
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// Request for a page of deliveries.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) filter: DeliveryFilter,
    pub(crate) limit: u32,
    /// Delivery before the page: the page holds older ones only.
    pub(crate) after: Option<DeliveryId>,
}

impl PageRequest {
    /// Returns the names of the states to read.
    fn states(&self) -> Vec<&'static str> {
        // The last call of a delivery that is delivered has succeeded, and there are many of them.
        let may_have_failed =
            |state: &&DeliveryState| !(self.filter.failed && **state == DeliveryState::Delivered);
        let wanted = |state: &&DeliveryState| self.filter.state.is_none_or(|only| only == **state);

        let states = DeliveryState::ALL
            .iter()
            .filter(wanted)
            .filter(may_have_failed);
        states.map(|state| state.as_str()).collect()
    }

    /// Returns the ids between which the deliveries of the page are, neither included.
    // The index that serves a page is in the order of the ids, so the times bound it, too.
    fn ids(&self) -> (DeliveryId, DeliveryId) {
        let oldest = self.filter.since.map_or(DeliveryId(Uuid::nil()), id_before);
        let next_milli = |at| id_before(after(at, Duration::from_millis(1)));
        let newest = self
            .filter
            .until
            .map_or(DeliveryId(Uuid::max()), next_milli);

        // The greatest id there is stands before the first page.
        let before = self.after.unwrap_or(DeliveryId(Uuid::max()));
        (oldest, before.min(newest))
    }
}

/// Returns a page of a buyer's deliveries, newest first.
pub(crate) async fn page(
    db: &Db,
    buyer: BuyerId,
    request: &PageRequest,
) -> Result<DeliveryPage, Error> {
    let filter = &request.filter;
    let limit = request.limit;
    let (oldest, before) = request.ids();
    let states = request.states();
    let events: Option<Vec<&str>> = filter
        .events
        .as_ref()
        .map(|events| events.iter().map(|event| event.as_str()).collect());
    let since = filter.since.unwrap_or(Timestamp::from_micros(0));
    let until = filter.until.unwrap_or(LATEST);
    // One row more than requested tells whether another page follows.
    let rows_wanted = i64::from(limit) + 1;

    let rows: Result<Vec<DeliveryRow>, Error> = on_db!(
        db.read(),
        postgres(pool) => {
            let query = sqlx::query_as(PAGE_POSTGRES).bind(buyer).bind(filter.webhook).bind(before);
            let query = query.bind(states).bind(rows_wanted).bind(oldest).bind(since).bind(until);
            query.bind(filter.deal).bind(events).bind(filter.failed).fetch_all(pool).await
        },
        sqlite(pool) => {
            let query = sqlx::query_as(PAGE_SQLITE).bind(buyer).bind(filter.webhook).bind(before);
            let query = query.bind(Json(states)).bind(rows_wanted).bind(oldest).bind(since);
            let query = query.bind(until).bind(filter.deal).bind(events.map(Json));
            query.bind(filter.failed).fetch_all(pool).await
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

/// Returns an id smaller than those of all deliveries created at `at` or later.
fn id_before(at: Timestamp) -> DeliveryId {
    // Delivery ids are UUIDs of version 7: they begin with the time of creation in milliseconds.
    let millis = at.as_micros().max(0).unsigned_abs() / 1_000;
    DeliveryId(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}
