//! Statements that write messages and deliveries.

use backbone::Error;
use backbone::db::Tx;
use backbone::ids::{DealId, DeliveryId, WebhookId};
use backbone::on_tx;
use backbone::position::{Epoch, Sequence};
use backbone::time::Timestamp;
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::kinds::WebhookEvent;

const MESSAGES_POSTGRES: &str = include_str!("rows/messages.postgres.sql");
const MESSAGES_SQLITE: &str = include_str!("rows/messages.sqlite.sql");
const DELIVERIES_POSTGRES: &str = include_str!("rows/deliveries.postgres.sql");
const DELIVERIES_SQLITE: &str = include_str!("rows/deliveries.sqlite.sql");

/// A row of table `webhook_message`.
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) event: WebhookEvent,
    pub(super) trace: Option<String>,
    pub(super) body: Vec<u8>,
    /// Number of the message's deliveries.
    pub(super) deliveries: i32,
}

/// A new row of table `webhook_delivery`.
pub(super) struct NewDelivery {
    pub(super) id: DeliveryId,
    pub(super) webhook: WebhookId,
    pub(super) message: Uuid,
    pub(super) deal: Option<DealId>,
    pub(super) sequence: Sequence,
    pub(super) index: u16,
    /// True when no earlier delivery of the batch is for the same endpoint and deal.
    pub(super) first: bool,
}

/// Writes messages.
pub(super) async fn write_messages(
    tx: &mut Tx,
    epoch: Epoch,
    messages: &[Message],
) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let ids: Vec<Uuid> = messages.iter().map(|row| row.id).collect();
        let events: Vec<&str> = messages.iter().map(|row| row.event.as_str()).collect();
        let traces: Vec<Option<&str>> = messages.iter().map(|row| row.trace.as_deref()).collect();
        let bodies: Vec<&[u8]> = messages.iter().map(|row| row.body.as_slice()).collect();
        let deliveries: Vec<i32> = messages.iter().map(|row| row.deliveries).collect();

        sqlx::query(MESSAGES_POSTGRES)
            .bind(ids)
            .bind(events)
            .bind(traces)
            .bind(bodies)
            .bind(deliveries)
            .bind(epoch)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<Value> = messages
            .iter()
            .map(|row| {
                // As text within the JSON array; the statement casts it back to bytes.
                let body = std::str::from_utf8(&row.body).expect("a body is JSON");
                json!([row.id.simple(), row.event.as_str(), row.trace, body, row.deliveries])
            })
            .collect();

        sqlx::query(MESSAGES_SQLITE)
            .bind(Json(rows))
            .bind(epoch)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

/// Writes deliveries, which are pending.
pub(super) async fn write_deliveries(
    tx: &mut Tx,
    now: Timestamp,
    deliveries: &[NewDelivery],
) -> Result<(), Error> {
    if deliveries.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let ids: Vec<Uuid> = deliveries.iter().map(|row| row.id.0).collect();
        let webhooks: Vec<Uuid> = deliveries.iter().map(|row| row.webhook.0).collect();
        let messages: Vec<Uuid> = deliveries.iter().map(|row| row.message).collect();
        // A test delivery has no deal, and so no order among others to keep.
        let deals: Vec<Option<Uuid>> =
            deliveries.iter().map(|row| row.deal.map(|deal| deal.0)).collect();
        let sequences: Vec<i64> = deliveries.iter().map(|row| row.sequence as i64).collect();
        let indexes: Vec<i32> = deliveries.iter().map(|row| i32::from(row.index)).collect();
        let first: Vec<bool> = deliveries.iter().map(|row| row.first).collect();

        sqlx::query(DELIVERIES_POSTGRES)
            .bind(ids)
            .bind(webhooks)
            .bind(messages)
            .bind(deals)
            .bind(sequences)
            .bind(indexes)
            .bind(first)
            .bind(now)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<Value> = deliveries.iter().map(delivery_json).collect();

        sqlx::query(DELIVERIES_SQLITE)
            .bind(Json(rows))
            .bind(now)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    })
}

fn delivery_json(row: &NewDelivery) -> Value {
    json!([
        row.id.0.simple(),
        row.webhook.0.simple(),
        row.message.simple(),
        row.deal.map(|deal| deal.0.simple()),
        row.sequence,
        row.index,
        row.first
    ])
}
