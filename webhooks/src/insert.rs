//! Insertion of messages and deliveries, with the counts of what was really inserted.

use std::collections::{BTreeSet, HashMap};

use backbone::db::Tx;
use backbone::ids::{DealId, DeliveryId, WebhookId};
use backbone::position::{Epoch, Sequence};
use backbone::time::Timestamp;
use backbone::{Error, on_tx};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::counts::{self, CountDeltas};
use crate::kinds::{DeliveryState, WebhookEvent};

const MESSAGES_POSTGRES: &str = include_str!("insert/messages.postgres.sql");
const MESSAGES_SQLITE: &str = include_str!("insert/messages.sqlite.sql");
const DELIVERIES_POSTGRES: &str = include_str!("insert/deliveries.postgres.sql");
const DELIVERIES_SQLITE: &str = include_str!("insert/deliveries.sqlite.sql");

/// A new row of table `webhook_message`.
pub(crate) struct NewMessage {
    pub(crate) id: Uuid,
    pub(crate) event: WebhookEvent,
    pub(crate) body: Vec<u8>,
}

/// A new row of table `webhook_delivery`, which is pending.
pub(crate) struct NewDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) webhook: WebhookId,
    pub(crate) message: Uuid,
    /// `None` for a test delivery, which has no order among others to keep.
    pub(crate) deal: Option<DealId>,
    pub(crate) sequence: Sequence,
    pub(crate) index: u16,
}

/// Inserts the deliveries that are not there yet and whose endpoints are not deleted, and the
/// messages that they use. Returns the endpoint of each that was inserted.
pub(crate) async fn insert(
    tx: &mut Tx,
    epoch: Epoch,
    now: Timestamp,
    messages: &[NewMessage],
    deliveries: &[NewDelivery],
) -> Result<Vec<WebhookId>, Error> {
    if deliveries.is_empty() {
        return Ok(Vec::new());
    }

    // The counts are the locks of their endpoints' deliveries. Under them nobody can finish what a
    // delivery would wait behind, nor discard the rest of an endpoint that is found undeleted here.
    let webhooks: BTreeSet<WebhookId> = deliveries.iter().map(|row| row.webhook).collect();
    let webhooks: Vec<WebhookId> = webhooks.into_iter().collect();
    counts::lock(tx, &webhooks).await?;

    let inserted = insert_deliveries(tx, epoch, now, deliveries).await?;

    // Counted by what was inserted: rows that an older projection wrote are there already.
    let mut deltas = CountDeltas::default();
    let mut uses: HashMap<Uuid, i32> = HashMap::new();
    for (webhook, message) in &inserted {
        deltas.add(*webhook, DeliveryState::Pending, 1);
        *uses.entry(*message).or_default() += 1;
    }

    insert_messages(tx, epoch, messages, &uses).await?;
    deltas.write(tx).await?;

    Ok(inserted.into_iter().map(|(webhook, _)| webhook).collect())
}

async fn insert_deliveries(
    tx: &mut Tx,
    epoch: Epoch,
    now: Timestamp,
    deliveries: &[NewDelivery],
) -> Result<Vec<(WebhookId, Uuid)>, Error> {
    on_tx!(tx, postgres(tx) => {
        let ids: Vec<Uuid> = deliveries.iter().map(|row| row.id.0).collect();
        let webhooks: Vec<Uuid> = deliveries.iter().map(|row| row.webhook.0).collect();
        let messages: Vec<Uuid> = deliveries.iter().map(|row| row.message).collect();
        let deals: Vec<Option<Uuid>> =
            deliveries.iter().map(|row| row.deal.map(|deal| deal.0)).collect();
        let sequences: Vec<i64> = deliveries.iter().map(|row| row.sequence as i64).collect();
        let indexes: Vec<i32> = deliveries.iter().map(|row| i32::from(row.index)).collect();

        sqlx::query_as(DELIVERIES_POSTGRES)
            .bind(ids)
            .bind(webhooks)
            .bind(messages)
            .bind(deals)
            .bind(sequences)
            .bind(indexes)
            .bind(epoch)
            .bind(now)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let rows: Vec<Value> = deliveries.iter().map(delivery_json).collect();

        sqlx::query_as(DELIVERIES_SQLITE)
            .bind(Json(rows))
            .bind(epoch)
            .bind(now)
            .fetch_all(&mut *tx)
            .await
    })
}

fn delivery_json(row: &NewDelivery) -> Value {
    json!([
        row.id.0.simple(),
        row.webhook.0.simple(),
        row.message.simple(),
        row.deal.map(|deal| deal.0.simple()),
        row.sequence,
        row.index
    ])
}

/// Inserts the messages that are used, each with its number of uses.
async fn insert_messages(
    tx: &mut Tx,
    epoch: Epoch,
    messages: &[NewMessage],
    uses: &HashMap<Uuid, i32>,
) -> Result<(), Error> {
    let used: Vec<(&NewMessage, i32)> = messages
        .iter()
        .filter_map(|row| Some((row, *uses.get(&row.id)?)))
        .collect();
    if used.is_empty() {
        return Ok(());
    }

    on_tx!(tx, postgres(tx) => {
        let ids: Vec<Uuid> = used.iter().map(|(row, _)| row.id).collect();
        let events: Vec<&str> = used.iter().map(|(row, _)| row.event.as_str()).collect();
        let bodies: Vec<&[u8]> = used.iter().map(|(row, _)| row.body.as_slice()).collect();
        let deliveries: Vec<i32> = used.iter().map(|(_, uses)| *uses).collect();

        sqlx::query(MESSAGES_POSTGRES)
            .bind(ids)
            .bind(events)
            .bind(bodies)
            .bind(deliveries)
            .bind(epoch)
            .execute(&mut *tx)
            .await
            .map(|_| ())
    }, sqlite(tx) => {
        let rows: Vec<Value> = used
            .iter()
            .map(|(row, uses)| {
                // As text within the JSON array; the statement casts it back to bytes.
                let body = std::str::from_utf8(&row.body).expect("a renderer returns UTF-8");
                json!([row.id.simple(), row.event.as_str(), body, uses])
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
