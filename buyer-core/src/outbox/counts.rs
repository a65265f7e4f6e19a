//! How many of an endpoint's deliveries stand where: the rows that are also the locks of those deliveries.

use std::collections::BTreeMap;

use backbone::Error;
use backbone::db::Tx;
use backbone::ids::WebhookId;
use backbone::on_tx;
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::DeliveryState;

const LOCK: &str = "
    SELECT webhook_id FROM webhook_count WHERE webhook_id = ANY($1) ORDER BY webhook_id FOR UPDATE";
/// The rows are locked in their order, which an update alone does not promise.
const WRITE_POSTGRES: &str = "
    WITH locked AS (
        SELECT webhook_id FROM webhook_count WHERE webhook_id = ANY($1) ORDER BY webhook_id FOR UPDATE
    )
    UPDATE webhook_count c
       SET owed = c.owed + d.pending + d.delivered + d.dead + d.discarded, pending = c.pending + d.pending,
           delivered = c.delivered + d.delivered, dead = c.dead + d.dead, discarded = c.discarded + d.discarded
      FROM locked
      JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
           AS d (webhook_id, pending, delivered, dead, discarded) ON d.webhook_id = locked.webhook_id
     WHERE c.webhook_id = locked.webhook_id";
const WRITE_SQLITE: &str = "
    UPDATE webhook_count AS c
       SET owed = c.owed + (d.value ->> 1) + (d.value ->> 2) + (d.value ->> 3) + (d.value ->> 4),
           pending = c.pending + (d.value ->> 1), delivered = c.delivered + (d.value ->> 2),
           dead = c.dead + (d.value ->> 3), discarded = c.discarded + (d.value ->> 4)
      FROM json_each($1) AS d
     WHERE c.webhook_id = unhex(d.value ->> 0)";

/// What a transaction does to the counts: for each endpoint, by how much each state's count changes.
#[derive(Debug, Default)]
pub struct CountDeltas(BTreeMap<WebhookId, [i64; DeliveryState::ALL.len()]>);

impl CountDeltas {
    /// One more delivery in a state.
    pub fn add(&mut self, webhook: WebhookId, state: DeliveryState, count: i64) {
        self.0.entry(webhook).or_default()[state as usize] += count;
    }

    /// Deliveries go from one state to another.
    pub fn transfer(
        &mut self,
        webhook: WebhookId,
        from: DeliveryState,
        to: DeliveryState,
        count: i64,
    ) {
        self.add(webhook, from, -count);
        self.add(webhook, to, count);
    }

    /// The endpoints concerned, in order.
    pub fn webhooks(&self) -> Vec<WebhookId> {
        self.0.keys().copied().collect()
    }

    /// Writes them. Locks what is not locked yet, in order.
    pub async fn write(&self, tx: &mut Tx) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        on_tx!(tx, postgres(tx) => {
            let column = |state: DeliveryState| -> Vec<i64> {
                self.0
                    .values()
                    .map(|counts| counts[state as usize])
                    .collect()
            };
            sqlx::query(WRITE_POSTGRES)
                .bind(self.0.keys().map(|webhook| webhook.0).collect::<Vec<_>>())
                .bind(column(DeliveryState::Pending))
                .bind(column(DeliveryState::Delivered))
                .bind(column(DeliveryState::Dead))
                .bind(column(DeliveryState::Discarded))
                .execute(&mut *tx)
                .await
                .map(|_| ())
        }, sqlite(tx) => {
            let rows: Vec<_> = self
                .0
                .iter()
                .map(|(webhook, [pending, delivered, dead, discarded])| {
                    json!([webhook.0.simple(), pending, delivered, dead, discarded])
                })
                .collect();
            sqlx::query(WRITE_SQLITE)
                .bind(Json(rows))
                .execute(&mut *tx)
                .await
                .map(|_| ())
        })
    }
}

/// Locks the counts of these endpoints, in the order of their ids, and with them their deliveries. In SQLite a
/// transaction that writes is alone anyway.
pub async fn lock(tx: &mut Tx, webhooks: &[WebhookId]) -> Result<(), Error> {
    let ids: Vec<Uuid> = webhooks.iter().map(|webhook| webhook.0).collect();
    on_tx!(
        tx,
        postgres(connection) => sqlx::query(LOCK).bind(ids).execute(connection).await.map(|_| ()),
        sqlite(_connection) => Ok(()),
    )
}
