//! Start of a replay: its rules, the number of deliveries it selects, and its row.

use backbone::db::{Db, Tx};
use backbone::ids::BuyerId;
use backbone::time::Timestamp;
use backbone::{Error, FieldError, on_tx, random};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::job::{self, Replay, ReplayRequest, ReplayState};
use crate::endpoints;
use crate::kinds::DeliveryState;
use crate::refusal::Refusal;

/// Deliveries a second, unless the request says otherwise.
const RATE: i32 = 10;
/// Largest number of deliveries a second.
const MAX_RATE: i32 = 100;
/// Refusal of a second replay of an endpoint.
const RUNNING: &str =
    "Another replay of this webhook is running: cancel it, or wait until it is done";

const INSERT: &str = include_str!("insert.sql");
const COUNT_POSTGRES: &str = include_str!("count.postgres.sql");
const COUNT_SQLITE: &str = include_str!("count.sqlite.sql");

/// Starts a replay, or counts what it would send. A repetition with the same idempotency key returns
/// the first one.
pub(crate) async fn start(
    db: &Db,
    buyer: BuyerId,
    request: &ReplayRequest,
    key: Option<&str>,
    now: Timestamp,
) -> Result<Replay, Refusal> {
    let violations = violations(request);
    if !violations.is_empty() {
        return Err(Refusal::Invalid(violations));
    }

    let mut tx = db.begin_by_index().await?;
    if let Some(first) = repeated(&mut tx, buyer, request, key).await? {
        return Ok(first);
    }
    if !endpoints::exists(&mut tx, buyer, request.webhook).await? {
        return Err(Refusal::NotFound);
    }

    let replay = Replay {
        id: random::row_id(now.as_micros()),
        webhook_id: request.webhook,
        state: ReplayState::DryRun,
        matched: count(&mut tx, request, now).await?.unsigned_abs(),
        sent: 0,
        created_at: now,
    };
    // Nothing was written, so the transaction is dropped without a commit.
    if request.dry_run {
        return Ok(replay);
    }

    // A conflict is another running replay of the endpoint, or the same request a moment earlier.
    if !insert(&mut tx, buyer, request, key, &replay).await? {
        let first = repeated(&mut tx, buyer, request, key).await?;
        return first.ok_or(Refusal::Conflict(RUNNING));
    }
    tx.commit_with_outcome().await?;

    Ok(Replay {
        state: ReplayState::Running,
        ..replay
    })
}

/// Returns every rule that a request breaks.
fn violations(request: &ReplayRequest) -> Vec<FieldError> {
    let mut violations = Vec::new();

    if !matches!(
        request.state,
        DeliveryState::Delivered | DeliveryState::Dead
    ) {
        violations.push(FieldError::new("state", "must be DEAD or DELIVERED"));
    }
    if request
        .since
        .is_some_and(|since| request.until.is_some_and(|until| until < since))
    {
        violations.push(FieldError::new("until", "must not be before since"));
    }
    if request.events.as_ref().is_some_and(Vec::is_empty) {
        violations.push(FieldError::new("events", "must not be empty"));
    }
    if request
        .rate_per_second
        .is_some_and(|rate| !(1..=MAX_RATE).contains(&rate))
    {
        violations.push(FieldError::new(
            "ratePerSecond",
            format!("must be 1 to {MAX_RATE}"),
        ));
    }

    violations
}

/// Returns the replay that was started with this idempotency key, if it was the same request.
async fn repeated(
    tx: &mut Tx,
    buyer: BuyerId,
    request: &ReplayRequest,
    key: Option<&str>,
) -> Result<Option<Replay>, Refusal> {
    let Some(key) = key else { return Ok(None) };

    match job::by_key(tx, buyer, key).await? {
        Some(first) if first.request != text(request) => Err(Refusal::KeyReused),
        first => Ok(first.map(|first| first.shown())),
    }
}

/// Returns a request as the text that is kept, by which a repetition is recognised.
fn text(request: &ReplayRequest) -> String {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);

    json!([
        request.webhook.0,
        request.state.as_str(),
        micros(request.since),
        micros(request.until),
        request.events,
        request.deal.map(|deal| deal.0),
        request.dry_run,
        request.rate_per_second
    ])
    .to_string()
}

async fn count(tx: &mut Tx, request: &ReplayRequest, now: Timestamp) -> Result<i64, Error> {
    let statement = if tx.is_postgres() {
        COUNT_POSTGRES
    } else {
        COUNT_SQLITE
    };

    on_tx!(
        tx,
        connection => sqlx::query_scalar(statement)
            .bind(request.webhook)
            .bind(request.state.as_str())
            .bind(request.since.unwrap_or(Timestamp::from_micros(0)))
            .bind(request.until.unwrap_or(now))
            .bind(now)
            .bind(request.deal)
            .bind(request.events.as_ref().map(Json))
            .fetch_one(connection)
            .await
    )
}

/// Adds the row of a replay. Returns whether it was added.
async fn insert(
    tx: &mut Tx,
    buyer: BuyerId,
    request: &ReplayRequest,
    key: Option<&str>,
    replay: &Replay,
) -> Result<bool, Error> {
    let id: Uuid = replay.id;
    let matched = replay.matched as i64;

    on_tx!(
        tx,
        connection => sqlx::query(INSERT)
            .bind(id)
            .bind(buyer)
            .bind(request.webhook)
            .bind(request.state.as_str())
            .bind(request.since.unwrap_or(Timestamp::from_micros(0)))
            .bind(request.until.unwrap_or(replay.created_at))
            .bind(request.events.as_ref().map(Json))
            .bind(request.deal)
            .bind(request.rate_per_second.unwrap_or(RATE))
            .bind(matched)
            .bind(key)
            .bind(text(request))
            .bind(replay.created_at)
            .execute(connection)
            .await
            .map(|done| done.rows_affected() == 1)
    )
}
