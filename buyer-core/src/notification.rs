//! Notifications over the live bus: one for each committed batch, and a heartbeat.
//!
//! The bus may lose, delay or repeat messages. They save a gateway from reading the feed's table,
//! and a dispatcher of webhooks from looking for due deliveries; they never replace either.

use std::time::Duration;

use backbone::db::Db;
use backbone::ids::WebhookId;
use backbone::live_bus::LiveBus;
use backbone::position::{Epoch, Sequence};
use backbone::projection::Checkpoint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::feed::{Change, EncodedChange};
use crate::store::PROJECTION;

/// Interval at which the checkpoint is published. A gateway that hears nothing for four of them
/// reads the tables.
pub const HEARTBEAT: Duration = Duration::from_millis(250);

/// Most bytes of changes in a message; a larger batch is published without them, and gateways read
/// them from the feed.
const MAX_CHANGES_BYTES: usize = 1 << 20;

/// Bytes that a change takes in a message beside its body, rounded up.
const CHANGE_OVERHEAD: usize = 128;

/// Most endpoints that a message names.
const MAX_ENDPOINTS: usize = 1_000;

/// A message on the live bus, as gateways read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Identity of the log that the message describes.
    pub epoch: Epoch,
    /// Generation of the tables.
    pub generation: i32,
    /// Sequence of the checkpoint before the batch.
    pub prev: Sequence,
    /// Sequence of the checkpoint after the batch; equal to `prev` in a heartbeat.
    pub last: Sequence,
    /// Every change after `prev` up to `last`; `None` when they are too large for a message and
    /// must be read from the feed.
    pub changes: Option<Vec<Change>>,
}

impl Notification {
    /// Decodes a message. Returns `None` for one that a newer version wrote in a form unknown here.
    pub fn decode(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }
}

/// The part of a message that dispatchers read.
#[derive(Deserialize)]
struct DueWebhooks {
    webhooks: Option<Vec<WebhookId>>,
}

/// Returns the endpoints that have due deliveries according to a message. An empty list stands for
/// more endpoints than a message names.
pub fn webhooks_of(message: &[u8]) -> Option<Vec<WebhookId>> {
    // Other fields are skipped without being built: a dispatcher needs none of the changes.
    serde_json::from_slice::<DueWebhooks>(message)
        .ok()?
        .webhooks
}

/// The part of a message that tells how far the tables are.
#[derive(Deserialize)]
struct Reached {
    last: Sequence,
}

/// Returns the sequence that the tables have reached according to a message.
pub fn reached(message: &[u8]) -> Option<Sequence> {
    let Reached { last } = serde_json::from_slice(message).ok()?;
    Some(last)
}

/// A message as it is written: [`Notification`] with changes that are JSON already, and the
/// endpoints for dispatchers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutgoingNotification<'a> {
    epoch: Epoch,
    generation: i32,
    prev: Sequence,
    last: Sequence,
    changes: Option<&'a [EncodedChange<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<&'a [WebhookId]>,
}

/// Encodes the message of a batch that moved the checkpoint from `prev` to `to`, or of deliveries
/// that are due at `webhooks`.
pub(crate) fn encode(
    prev: Sequence,
    to: Checkpoint,
    changes: &[EncodedChange<'_>],
    webhooks: &[WebhookId],
) -> Bytes {
    // The limits keep one large batch from filling the buffers of every subscriber of the bus.
    let size: usize = changes
        .iter()
        .map(|change| change.body.get().len() + CHANGE_OVERHEAD)
        .sum();
    let changes = (size <= MAX_CHANGES_BYTES).then_some(changes);

    // An empty list is not the same as none: it tells dispatchers to look for due deliveries of any
    // endpoint.
    let webhooks = match webhooks.len() {
        0 => None,
        1..=MAX_ENDPOINTS => Some(webhooks),
        _ => Some(&[][..]),
    };

    let message = serde_json::to_vec(&OutgoingNotification {
        epoch: to.epoch,
        generation: to.generation,
        prev,
        last: to.position,
        changes,
        webhooks,
    });

    message
        .expect("a message has string keys and bodies that are JSON")
        .into()
}

/// Encodes a message without a batch, which announces the checkpoint and endpoints with due
/// deliveries.
pub fn wake(checkpoint: Checkpoint, webhooks: &[WebhookId]) -> Bytes {
    encode(checkpoint.position, checkpoint, &[], webhooks)
}

/// Publishes the checkpoint every [`HEARTBEAT`] until it is stopped. Standbys do so too: they read
/// the same row.
pub(crate) async fn heartbeat(db: &Db, bus: &LiveBus, stop: CancellationToken) {
    let mut beat = interval(HEARTBEAT);

    // After a stall, beats that were missed would all carry the same checkpoint.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);

    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }

        // An outage of the database or of the bus is reported by the health of those that own them,
        // not at every beat.
        let Ok(checkpoint) = Checkpoint::read(db, PROJECTION).await else {
            continue;
        };
        if let Err(error) = bus.publish(wake(checkpoint, &[])).await {
            tracing::debug!(%error, "the heartbeat could not be published");
        }
    }
}
