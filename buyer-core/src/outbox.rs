//! The outbox of webhooks: in the projection's transaction, a delivery for every change and every
//! endpoint that must be called for it.
//!
//! Which endpoints those are is decided from rows that are read after the transaction has moved the
//! checkpoint, so no endpoint that is registered meanwhile is missed or served twice. The body of a
//! change is stored once for all its deliveries.

pub mod body;
pub mod counts;

mod kinds;
mod matching;
mod rows;

pub use kinds::{DeliveryState, WebhookEvent};
pub(crate) use matching::DealChange;

use std::collections::HashSet;

use backbone::db::Tx;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::position::{Epoch, Position};
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, random};

use counts::CountDeltas;
use matching::Match;
use rows::{Message, NewDelivery};

/// Writes the messages and deliveries of a batch, whose changes of access are written already.
/// Returns the endpoints that have a delivery.
pub(crate) async fn write(
    tx: &mut Tx,
    epoch: Epoch,
    now: Timestamp,
    changes: &[DealChange<'_>],
) -> Result<Vec<WebhookId>, Error> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }

    let endpoints = matching::endpoint_access(tx, changes).await?;
    let matches = matching::matches(changes, &endpoints);

    let mut deltas = CountDeltas::default();
    for matched in &matches {
        deltas.add(matched.webhook, DeliveryState::Pending, 1);
    }
    let (messages, deliveries) = build_rows(epoch, now, changes, &matches);

    rows::write_messages(tx, epoch, &messages).await?;

    // The counts are the locks of their endpoints' deliveries: from here to the commit dispatchers
    // can record no outcome for them, so all that needs no lock comes before.
    deltas.write(tx).await?;
    rows::write_deliveries(tx, now, &deliveries).await?;

    Ok(deltas.webhooks())
}

/// Writes a test delivery for an endpoint, at a checkpoint that the caller has locked. Returns the
/// delivery's id.
pub async fn write_test(
    tx: &mut Tx,
    checkpoint: Checkpoint,
    webhook: WebhookId,
    now: Timestamp,
) -> Result<DeliveryId, Error> {
    let position = Position::end_of(checkpoint.epoch, checkpoint.position);
    let id = DeliveryId(random::row_id(now.as_micros()));

    let message = Message {
        id: id.0,
        event: WebhookEvent::Test,
        trace: None,
        body: body::test(now, position, webhook.0),
        deliveries: 1,
    };
    let delivery = NewDelivery {
        id,
        webhook,
        message: message.id,
        deal: None,
        sequence: position.sequence,
        index: position.index,
        first: true,
    };

    // The count is locked first, and the checkpoint was before it: the order in which the
    // projection takes them.
    let mut deltas = CountDeltas::default();
    deltas.add(webhook, DeliveryState::Pending, 1);
    deltas.write(tx).await?;
    rows::write_messages(tx, checkpoint.epoch, &[message]).await?;
    rows::write_deliveries(tx, now, &[delivery]).await?;

    Ok(id)
}

/// Returns a message for each change that has a match, and a delivery for each match.
fn build_rows(
    epoch: Epoch,
    now: Timestamp,
    changes: &[DealChange<'_>],
    matches: &[Match],
) -> (Vec<Message>, Vec<NewDelivery>) {
    let mut messages = Vec::new();
    let mut deliveries = Vec::with_capacity(matches.len());
    let mut seen = HashSet::with_capacity(matches.len());

    for of_change in matches.chunk_by(|one, other| one.change == other.change) {
        let index = of_change[0].change;
        let change = &changes[index];

        // One microsecond a change makes ids follow the order of the log, in which an endpoint's
        // deliveries are listed.
        let row_id = || random::row_id(now.as_micros().saturating_add(index as i64));
        let position = Position {
            epoch,
            sequence: change.sequence,
            index: change.index,
        };

        let message = Message {
            id: row_id(),
            event: change.event(),
            trace: change.trace.map(|trace| trace.to_string()),
            body: body::deal(change.event().kind(), change.at, position, change.deal),
            deliveries: of_change.len() as i32,
        };
        deliveries.extend(of_change.iter().map(|matched| NewDelivery {
            id: DeliveryId(row_id()),
            webhook: matched.webhook,
            message: message.id,
            deal: Some(change.deal.id),
            sequence: change.sequence,
            index: change.index,
            first: seen.insert((matched.webhook, change.deal.id)),
        }));
        messages.push(message);
    }

    (messages, deliveries)
}
