//! What gateways and dispatchers of webhooks are told over the live bus: each committed batch, and a heartbeat.
//!
//! Messages may be lost, late or doubled: they save a gateway from reading the feed, and a dispatcher from looking for
//! what is due, they never replace either.

use std::time::Duration;

use backbone::db::Db;
use backbone::ids::WebhookId;
use backbone::live_bus::LiveBus;
use backbone::position::{Epoch, Sequence};
use backbone::projection::Checkpoint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::feed::Change;
use crate::store::PROJECTION;

/// How often the tables' place is told. A gateway that hears nothing for four beats reads for itself.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
/// A message over this size carries positions only.
const MAX_MESSAGE: usize = 1 << 20;
/// More endpoints than these are not named.
const MAX_NAMED: usize = 1_000;

/// A message on the live bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Of which log.
    pub epoch: Epoch,
    /// Of which build of the tables.
    pub generation: i32,
    /// Where the tables stood before.
    pub prev: Sequence,
    /// Where they stand now; equal to `prev` in a heartbeat.
    pub last: Sequence,
    /// Every change after `prev` up to `last`; none when they would be too large, then they are read.
    pub changes: Option<Vec<Change>>,
}

impl Notification {
    /// Reads a message; `None` when a newer version wrote it in a way not known here.
    pub fn decode(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }
}

/// What a dispatcher reads of a message; gateways skip it.
#[derive(Deserialize)]
struct Named {
    webhooks: Option<Vec<WebhookId>>,
}

/// The endpoints that a message says have something due. Empty: more of them than it could name, so look.
pub fn webhooks_of(message: &[u8]) -> Option<Vec<WebhookId>> {
    serde_json::from_slice::<Named>(message).ok()?.webhooks
}

/// [`Notification`] with changes that are JSON already, and the endpoints that have something due.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    epoch: Epoch,
    generation: i32,
    prev: Sequence,
    last: Sequence,
    changes: Option<&'a [OutgoingChange<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<&'a [WebhookId]>,
}

/// A change whose body is JSON already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutgoingChange<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) index: u16,
    pub(crate) seller_id: backbone::ids::SellerId,
    pub(crate) body: &'a RawValue,
}

/// Writes the message of a batch, after which these endpoints have something due.
pub(crate) fn encode(
    prev: Sequence,
    to: Checkpoint,
    changes: &[OutgoingChange<'_>],
    webhooks: &[WebhookId],
) -> Bytes {
    let size: usize = changes
        .iter()
        .map(|change| change.body.get().len() + 128)
        .sum();
    let changes = (size <= MAX_MESSAGE).then_some(changes);
    let webhooks = match webhooks.len() {
        0 => None,
        1..=MAX_NAMED => Some(webhooks),
        _ => Some(&[][..]),
    };
    let Checkpoint {
        epoch,
        generation,
        position: last,
        ..
    } = to;
    let message = serde_json::to_vec(&Outgoing {
        epoch,
        generation,
        prev,
        last,
        changes,
        webhooks,
    });
    message
        .expect("a message has string keys and bodies that are JSON")
        .into()
}

/// Writes a message of no batch: where the tables stand, and which endpoints have something due.
pub fn wake(checkpoint: Checkpoint, webhooks: &[WebhookId]) -> Bytes {
    encode(checkpoint.position, checkpoint, &[], webhooks)
}

/// Tells the tables' place until told to stop. Standbys do it too: they read the same row.
pub(crate) async fn heartbeat(db: &Db, bus: &LiveBus, stop: CancellationToken) {
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        // While either is away there is nothing to say; their owners say so.
        let Ok(checkpoint) = Checkpoint::read(db, PROJECTION).await else {
            continue;
        };
        if let Err(error) = bus.publish(wake(checkpoint, &[])).await {
            tracing::debug!(%error, "a heartbeat was not sent");
        }
    }
}
