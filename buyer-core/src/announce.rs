//! What gateways are told over the live bus: each committed batch, and a heartbeat.
//!
//! Messages may be lost, late or doubled: they save a gateway from reading the feed, they never replace it.

use std::time::Duration;

use backbone::live_bus::LiveBus;
use backbone::position::{Epoch, Sequence};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::BuyerSide;
use crate::feed::Change;

/// How often the tables' place is told. A gateway that hears nothing for four beats reads for itself.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
/// A message over this size carries positions only.
const MAX_MESSAGE: usize = 1 << 20;

/// A message on the live bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
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

impl Announcement {
    /// Reads a message; `None` when a newer version wrote it in a way not known here.
    pub fn decode(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }
}

/// [`Announcement`] with changes that are JSON already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    epoch: Epoch,
    generation: i32,
    prev: Sequence,
    last: Sequence,
    changes: Option<&'a [OutgoingChange<'a>]>,
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

/// Writes the message of a batch.
pub(crate) fn encode(
    epoch: Epoch,
    generation: i32,
    (prev, last): (Sequence, Sequence),
    changes: &[OutgoingChange<'_>],
) -> Bytes {
    let size: usize = changes.iter().map(|change| change.body.get().len() + 128).sum();
    let changes = (size <= MAX_MESSAGE).then_some(changes);
    let message = serde_json::to_vec(&Outgoing { epoch, generation, prev, last, changes });
    message.expect("a message has string keys and bodies that are JSON").into()
}

/// Tells the tables' place until told to stop. Standbys do it too: they read the same row.
pub async fn heartbeat(buyers: BuyerSide, bus: LiveBus, stop: CancellationToken) {
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        // While either is away there is nothing to say; their owners say so.
        let Ok(place) = buyers.place().await else { continue };
        let message = encode(place.epoch, place.generation, (place.position, place.position), &[]);
        if let Err(error) = bus.publish(message).await {
            tracing::debug!(%error, "a heartbeat was not sent");
        }
    }
}
