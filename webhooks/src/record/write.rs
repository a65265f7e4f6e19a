//! Statements of a recording. They all run in one transaction that has locked the counts of the
//! endpoints concerned.

use std::collections::BTreeMap;

use backbone::db::Tx;
use backbone::ids::{DealId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_tx};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{AttemptRow, DeliveryUpdate, EndpointHealth, LeasedDelivery};
use crate::outcome::CompletedCall;

// One statement for all rows: PostgreSQL takes an array for each column and SQLite one JSON array,
// so a recording of a thousand calls costs as many round trips as one of a single call.
const LEASED_POSTGRES: &str = include_str!("leased.postgres.sql");
const LEASED_SQLITE: &str = include_str!("leased.sqlite.sql");
const DELIVERIES_POSTGRES: &str = include_str!("deliveries.postgres.sql");
const DELIVERIES_SQLITE: &str = include_str!("deliveries.sqlite.sql");
const ATTEMPTS_POSTGRES: &str = include_str!("attempts.postgres.sql");
const ATTEMPTS_SQLITE: &str = include_str!("attempts.sqlite.sql");
const ENDPOINTS_POSTGRES: &str = include_str!("endpoints.postgres.sql");
const ENDPOINTS_SQLITE: &str = include_str!("endpoints.sqlite.sql");
const ADVANCE_LANES_POSTGRES: &str = include_str!("advance_lanes.postgres.sql");
const ADVANCE_LANES_SQLITE: &str = include_str!("advance_lanes.sqlite.sql");

/// Reads and locks the deliveries of the calls whose leases still hold.
pub(super) async fn leased(
    tx: &mut Tx,
    calls: &[CompletedCall],
) -> Result<Vec<LeasedDelivery>, Error> {
    // The endpoints are locked as well: their failure counts are read here and written back below,
    // and a claim may put a hold on an endpoint meanwhile.
    on_tx!(
        tx,
        postgres(connection) => {
            let deliveries: Vec<Uuid> = calls.iter().map(|call| call.delivery.0).collect();
            let leases: Vec<Uuid> = calls.iter().map(|call| call.lease).collect();

            let query = sqlx::query_as(LEASED_POSTGRES).bind(deliveries).bind(leases);
            query.fetch_all(connection).await
        },
        sqlite(connection) => {
            let leases: Vec<_> = calls
                .iter()
                .map(|call| json!([call.delivery.0.simple(), call.lease.simple()]))
                .collect();

            sqlx::query_as(LEASED_SQLITE).bind(Json(leases)).fetch_all(connection).await
        },
    )
}

/// Writes the new state of deliveries and ends their leases.
pub(super) async fn deliveries(
    tx: &mut Tx,
    updates: &[DeliveryUpdate],
    now: Timestamp,
) -> Result<(), Error> {
    if updates.is_empty() {
        return Ok(());
    }

    // The leases end in the same statement: a retry that is due may be claimed as soon as this
    // commits.
    on_tx!(
        tx,
        postgres(connection) => {
            let ids: Vec<Uuid> = updates.iter().map(|update| update.id.0).collect();
            let states: Vec<&str> = updates.iter().map(|update| update.state.as_str()).collect();
            let tries: Vec<i32> = updates.iter().map(|update| update.tries).collect();
            let attempts: Vec<i32> = updates.iter().map(|update| update.attempts).collect();
            let due_at: Vec<Option<Timestamp>> =
                updates.iter().map(|update| update.due_at).collect();

            let query = sqlx::query(DELIVERIES_POSTGRES).bind(ids).bind(states).bind(tries);
            let query = query.bind(attempts).bind(due_at).bind(now);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let rows: Vec<_> = updates
                .iter()
                .map(|update| {
                    let id = update.id.0.simple();
                    let due_at = update.due_at.map(Timestamp::as_micros);
                    json!([id, update.state.as_str(), update.tries, update.attempts, due_at])
                })
                .collect();

            let query = sqlx::query(DELIVERIES_SQLITE).bind(Json(rows)).bind(now);
            query.execute(connection).await.map(|_| ())
        },
    )
}

/// Stores attempts.
pub(super) async fn attempts(tx: &mut Tx, rows: &[AttemptRow<'_>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }

    on_tx!(
        tx,
        postgres(connection) => {
            let deliveries: Vec<Uuid> = rows.iter().map(|row| row.delivery.0).collect();
            let numbers: Vec<i32> = rows.iter().map(|row| row.number).collect();
            let starts: Vec<Timestamp> = rows.iter().map(|row| row.at).collect();
            let durations: Vec<i32> = rows.iter().map(AttemptRow::duration_ms).collect();
            let statuses: Vec<Option<i32>> =
                rows.iter().map(|row| row.outcome.status.map(i32::from)).collect();
            let errors: Vec<Option<&str>> = rows.iter().map(AttemptRow::error).collect();
            let bodies: Vec<Option<&str>> = rows.iter().map(AttemptRow::response_body).collect();

            let query = sqlx::query(ATTEMPTS_POSTGRES).bind(deliveries).bind(numbers).bind(starts);
            let query = query.bind(durations).bind(statuses).bind(errors).bind(bodies);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    json!([
                        row.delivery.0.simple(),
                        row.number,
                        row.at.as_micros(),
                        row.duration_ms(),
                        row.outcome.status,
                        row.error(),
                        row.response_body()
                    ])
                })
                .collect();

            let query = sqlx::query(ATTEMPTS_SQLITE).bind(Json(rows));
            query.execute(connection).await.map(|_| ())
        },
    )
}

/// Writes the health of endpoints.
pub(super) async fn endpoints(
    tx: &mut Tx,
    endpoints: &BTreeMap<WebhookId, EndpointHealth>,
) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Ok(());
    }

    // An endpoint that was deleted during its calls keeps the state that the deletion gave it.
    on_tx!(
        tx,
        postgres(connection) => {
            let ids: Vec<Uuid> = endpoints.keys().map(|webhook| webhook.0).collect();
            let failures: Vec<i32> = endpoints.values().map(|health| health.failures).collect();
            let failing_since: Vec<Option<Timestamp>> =
                endpoints.values().map(|health| health.failing_since).collect();
            let held_until: Vec<Option<Timestamp>> =
                endpoints.values().map(|health| health.held_until).collect();
            let reasons: Vec<Option<&str>> =
                endpoints.values().map(|health| health.disabled).collect();

            let query = sqlx::query(ENDPOINTS_POSTGRES).bind(ids).bind(failures);
            let query = query.bind(failing_since).bind(held_until).bind(reasons);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let rows: Vec<_> = endpoints
                .iter()
                .map(|(webhook, health)| {
                    let failing_since = health.failing_since.map(Timestamp::as_micros);
                    let held_until = health.held_until.map(Timestamp::as_micros);
                    json!([
                        webhook.0.simple(),
                        health.failures,
                        failing_since,
                        held_until,
                        health.disabled
                    ])
                })
                .collect();

            let query = sqlx::query(ENDPOINTS_SQLITE).bind(Json(rows));
            query.execute(connection).await.map(|_| ())
        },
    )
}

/// Makes the next delivery of each lane due. Returns the endpoint of each lane that had one, so an
/// endpoint may appear several times.
pub(super) async fn advance_lanes(
    tx: &mut Tx,
    lanes: &[(WebhookId, DealId)],
    now: Timestamp,
) -> Result<Vec<WebhookId>, Error> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }

    // Only the head of a lane is ever due, which is what keeps the changes of a deal in their
    // order.
    on_tx!(
        tx,
        postgres(connection) => {
            let webhooks: Vec<Uuid> = lanes.iter().map(|(webhook, _)| webhook.0).collect();
            let deals: Vec<Uuid> = lanes.iter().map(|(_, deal)| deal.0).collect();

            let query = sqlx::query_scalar(ADVANCE_LANES_POSTGRES).bind(webhooks).bind(deals);
            query.bind(now).fetch_all(connection).await
        },
        sqlite(connection) => {
            let lanes: Vec<_> = lanes
                .iter()
                .map(|(webhook, deal)| json!([webhook.0.simple(), deal.0.simple()]))
                .collect();

            let query = sqlx::query_scalar(ADVANCE_LANES_SQLITE).bind(Json(lanes)).bind(now);
            query.fetch_all(connection).await
        },
    )
}
