//! The SQL of recording. The counts of the endpoints concerned are locked.

use std::collections::BTreeMap;

use backbone::Error;
use backbone::db::Tx;
use backbone::ids::{DealId, WebhookId};
use backbone::on_tx;
use backbone::time::Timestamp;
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::Ended;
use super::settle::{Endpoint, Held, Made, Settlement};

pub(crate) const HELD_POSTGRES: &str = "
    SELECT d.id, d.webhook_id, d.deal_id, d.replay, d.tries, d.attempts, w.failures, w.failing_since, w.held_until
      FROM unnest($1::uuid[], $2::uuid[]) AS mine (id, lease)
      JOIN webhook_delivery d ON d.id = mine.id AND d.lease = mine.lease
      JOIN webhook w ON w.id = d.webhook_id
       FOR UPDATE OF d, w";
const HELD_SQLITE: &str = "
    SELECT d.id, d.webhook_id, d.deal_id, d.replay, d.tries, d.attempts, w.failures, w.failing_since, w.held_until
      FROM json_each($1) AS mine
      JOIN webhook_delivery d ON d.id = unhex(mine.value ->> 0) AND d.lease = unhex(mine.value ->> 1)
      JOIN webhook w ON w.id = d.webhook_id";
pub(crate) const DELIVERIES_POSTGRES: &str = "
    UPDATE webhook_delivery d
       SET state = s.state, tries = s.tries, attempts = s.attempts, due_at = s.due_at, lease = NULL,
           leased_until = NULL, finished_at = CASE WHEN s.state <> 'PENDING' THEN $6 END
      FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::timestamptz[])
           AS s (id, state, tries, attempts, due_at)
     WHERE d.id = s.id";
const DELIVERIES_SQLITE: &str = "
    UPDATE webhook_delivery AS d
       SET state = s.value ->> 1, tries = s.value ->> 2, attempts = s.value ->> 3, due_at = s.value ->> 4,
           lease = NULL, leased_until = NULL, finished_at = CASE WHEN s.value ->> 1 <> 'PENDING' THEN $2 END
      FROM json_each($1) AS s
     WHERE d.id = unhex(s.value ->> 0)";
const ATTEMPTS_POSTGRES: &str = "
    INSERT INTO webhook_attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::int[], $6::text[], $7::text[])";
const ATTEMPTS_SQLITE: &str = "
    INSERT INTO webhook_attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
      FROM json_each($1)";
const ENDPOINTS_POSTGRES: &str = "
    UPDATE webhook w
       SET failures = e.failures, failing_since = e.failing_since, held_until = e.held_until,
           state = CASE WHEN e.reason IS NULL THEN w.state ELSE 'DISABLED' END,
           disabled_reason = coalesce(e.reason, w.disabled_reason)
      FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::text[])
           AS e (id, failures, failing_since, held_until, reason)
     WHERE w.id = e.id AND w.deleted_at IS NULL";
const ENDPOINTS_SQLITE: &str = "
    UPDATE webhook AS w
       SET failures = e.value ->> 1, failing_since = e.value ->> 2, held_until = e.value ->> 3,
           state = CASE WHEN e.value ->> 4 IS NULL THEN w.state ELSE 'DISABLED' END,
           disabled_reason = coalesce(e.value ->> 4, w.disabled_reason)
      FROM json_each($1) AS e
     WHERE w.id = unhex(e.value ->> 0) AND w.deleted_at IS NULL";
pub(crate) const LANES_POSTGRES: &str = "
    UPDATE webhook_delivery SET due_at = $3
     WHERE due_at IS NULL AND id = ANY (ARRAY(
        SELECT next.id FROM unnest($1::uuid[], $2::uuid[]) AS done (webhook_id, deal_id)
         CROSS JOIN LATERAL (
            SELECT d.id FROM webhook_delivery d
             WHERE d.webhook_id = done.webhook_id AND d.deal_id = done.deal_id
               AND d.state = 'PENDING' AND NOT d.replay
             ORDER BY d.sequence, d.change_index LIMIT 1) AS next))
    RETURNING webhook_id";
const LANES_SQLITE: &str = "
    UPDATE webhook_delivery SET due_at = $2
     WHERE due_at IS NULL AND id IN (
        SELECT (SELECT d.id FROM webhook_delivery d
                 WHERE d.webhook_id = unhex(done.value ->> 0) AND d.deal_id = unhex(done.value ->> 1)
                   AND d.state = 'PENDING' AND NOT d.replay
                 ORDER BY d.sequence, d.change_index LIMIT 1)
          FROM json_each($1) AS done)
    RETURNING webhook_id";

/// Those of the deliveries whose leases hold, locked.
pub(super) async fn held(tx: &mut Tx, ended: &[Ended]) -> Result<Vec<Held>, Error> {
    on_tx!(tx, postgres(tx) => {
        sqlx::query_as(HELD_POSTGRES)
            .bind(
                ended
                    .iter()
                    .map(|ended| ended.delivery.0)
                    .collect::<Vec<_>>(),
            )
            .bind(ended.iter().map(|ended| ended.lease).collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let leases: Vec<_> = ended
            .iter()
            .map(|ended| json!([ended.delivery.0.simple(), ended.lease.simple()]))
            .collect();
        sqlx::query_as(HELD_SQLITE)
            .bind(Json(leases))
            .fetch_all(&mut *tx)
            .await
    })
}

/// Where deliveries stand now. Their leases are over.
pub(super) async fn deliveries(
    tx: &mut Tx,
    rows: &[Settlement],
    now: Timestamp,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(DELIVERIES_POSTGRES)
        .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.state.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.tries).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.attempts).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.due_at).collect::<Vec<_>>())
        .bind(now)
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let due_at = row.due_at.map(Timestamp::as_micros);
                json!([
                    row.id.0.simple(),
                    row.state.as_str(),
                    row.tries,
                    row.attempts,
                    due_at
                ])
            })
            .collect();
        sqlx::query(DELIVERIES_SQLITE)
            .bind(Json(rows))
            .bind(now)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

/// Keeps attempts.
pub(super) async fn attempts(tx: &mut Tx, rows: &[Made<'_>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(ATTEMPTS_POSTGRES)
        .bind(rows.iter().map(|row| row.delivery.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.number).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .bind(rows.iter().map(Made::duration_ms).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.outcome.status.map(i32::from))
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(Made::error).collect::<Vec<_>>())
        .bind(rows.iter().map(Made::response_body).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let (delivery, at) = (row.delivery.0.simple(), row.at.as_micros());
                let (status, body) = (row.outcome.status, row.response_body());
                json!([
                    delivery,
                    row.number,
                    at,
                    row.duration_ms(),
                    status,
                    row.error(),
                    body
                ])
            })
            .collect();
        sqlx::query(ATTEMPTS_SQLITE)
            .bind(Json(rows))
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

impl Made<'_> {
    fn duration_ms(&self) -> i32 {
        i32::try_from(self.outcome.duration.as_millis()).unwrap_or(i32::MAX)
    }

    fn error(&self) -> Option<&'static str> {
        self.outcome.error.map(|class| class.as_str())
    }

    /// Where nothing answered there is none.
    fn response_body(&self) -> Option<&str> {
        self.outcome.status.map(|_| self.outcome.answer.as_str())
    }
}

/// How endpoints do now.
pub(super) async fn endpoints(
    tx: &mut Tx,
    rows: &BTreeMap<WebhookId, Endpoint>,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(ENDPOINTS_POSTGRES)
        .bind(rows.keys().map(|webhook| webhook.0).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.failures).collect::<Vec<_>>())
        .bind(
            rows.values()
                .map(|row| row.failing_since)
                .collect::<Vec<_>>(),
        )
        .bind(rows.values().map(|row| row.held_until).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.disabled).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
        let rows: Vec<_> = rows
            .iter()
            .map(|(webhook, row)| {
                let (since, until) = (micros(row.failing_since), micros(row.held_until));
                json!([webhook.0.simple(), row.failures, since, until, row.disabled])
            })
            .collect();
        sqlx::query(ENDPOINTS_SQLITE)
            .bind(Json(rows))
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

/// Makes the next of each lane due. Returns the endpoints where there was one, each as often.
pub(super) async fn next_of_lanes(
    tx: &mut Tx,
    lanes: &[(WebhookId, DealId)],
    now: Timestamp,
) -> Result<Vec<WebhookId>, Error> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    on_tx!(tx, postgres(tx) => {
        let webhooks: Vec<Uuid> = lanes.iter().map(|(webhook, _)| webhook.0).collect();
        let deals: Vec<Uuid> = lanes.iter().map(|(_, deal)| deal.0).collect();
        sqlx::query_scalar(LANES_POSTGRES)
            .bind(webhooks)
            .bind(deals)
            .bind(now)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let lanes: Vec<_> = lanes
            .iter()
            .map(|(webhook, deal)| json!([webhook.0.simple(), deal.0.simple()]))
            .collect();
        sqlx::query_scalar(LANES_SQLITE)
            .bind(Json(lanes))
            .bind(now)
            .fetch_all(&mut *tx)
            .await
    })
}
