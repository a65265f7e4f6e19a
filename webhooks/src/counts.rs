//! Counts of an endpoint's deliveries by state. Their row is also the lock of those deliveries:
//! whoever adds one or changes its state locks the row first.

use std::collections::BTreeMap;

use backbone::Error;
use backbone::db::Tx;
use backbone::ids::WebhookId;
use backbone::on_tx;
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::kinds::DeliveryState;

const LOCK: &str = include_str!("counts/lock.postgres.sql");
const WRITE_POSTGRES: &str = include_str!("counts/write.postgres.sql");
const WRITE_SQLITE: &str = include_str!("counts/write.sqlite.sql");

/// Changes that a transaction makes to the counts, by endpoint and state.
#[derive(Debug, Default)]
pub(crate) struct CountDeltas(BTreeMap<WebhookId, [i64; DeliveryState::ALL.len()]>);

impl CountDeltas {
    /// Adds `count` deliveries in a state; a negative number removes them.
    pub(crate) fn add(&mut self, webhook: WebhookId, state: DeliveryState, count: i64) {
        self.0.entry(webhook).or_default()[state as usize] += count;
    }

    /// Moves `count` deliveries from one state to another.
    pub(crate) fn transfer(
        &mut self,
        webhook: WebhookId,
        from: DeliveryState,
        to: DeliveryState,
        count: i64,
    ) {
        self.add(webhook, from, -count);
        self.add(webhook, to, count);
    }

    /// Writes the changes. Counts that the transaction has not locked yet are locked, in the order
    /// of their ids.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<(), Error> {
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
            // The map is ordered, so keys and columns come in one order, that of the ids.
            let webhooks: Vec<Uuid> = self.0.keys().map(|webhook| webhook.0).collect();

            sqlx::query(WRITE_POSTGRES)
                .bind(webhooks)
                .bind(column(DeliveryState::Pending))
                .bind(column(DeliveryState::Delivered))
                .bind(column(DeliveryState::Dead))
                .bind(column(DeliveryState::Discarded))
                .execute(&mut *tx)
                .await
                .map(|_| ())
        }, sqlite(tx) => {
            let rows: Vec<Value> = self
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

/// Locks the counts of endpoints, and with them their deliveries, until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, webhooks: &[WebhookId]) -> Result<(), Error> {
    let ids: Vec<Uuid> = webhooks.iter().map(|webhook| webhook.0).collect();

    // In the order of their ids, which all transactions follow, so that no two wait for each other.
    // SQLite needs no lock: its one writer is alone.
    on_tx!(
        tx,
        postgres(connection) => sqlx::query(LOCK).bind(ids).execute(connection).await.map(|_| ()),
        sqlite(_connection) => Ok(()),
    )
}
