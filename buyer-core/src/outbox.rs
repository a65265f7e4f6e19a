//! What is owed: in the projection's transaction, a delivery for every change and endpoint that belong together.
//!
//! Which do is decided here, from rows read after the projection's fence. One body is stored a change.

pub mod body;
pub mod counts;

mod kinds;

pub use kinds::{DeliveryState, WebhookEvent};

use std::collections::{HashMap, HashSet};

use backbone::contract::Deal;
use backbone::db::Tx;
use backbone::ids::{DealId, DeliveryId, SellerId, WebhookId};
use backbone::on_tx;
use backbone::position::{Epoch, Position, Sequence};
use backbone::projection::Checkpoint;
use backbone::telemetry::TraceContext;
use backbone::time::Timestamp;
use backbone::{Error, random};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use counts::CountDeltas;

/// Every endpoint with access to one of these sellers somewhere in a range of the log, once for each interval.
const DUTIES_POSTGRES: &str = include_str!("outbox/duties.postgres.sql");
const DUTIES_SQLITE: &str = "
    SELECT w.id, w.events, w.seller_ids, w.from_position, a.seller_id, a.granted_at, a.revoked_at
      FROM webhook w JOIN access a ON a.buyer_id = w.buyer_id
     WHERE w.deleted_at IS NULL AND a.seller_id IN (SELECT unhex(value) FROM json_each($1))
       AND a.granted_at <= $3 AND (a.revoked_at IS NULL OR a.revoked_at > $2)";
const MESSAGES_POSTGRES: &str = "
    INSERT INTO webhook_message (id, event, epoch, trace, body, deliveries)
    SELECT id, event, $6, trace, body, deliveries
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::int[])
           AS made (id, event, trace, body, deliveries)";
const MESSAGES_SQLITE: &str = "
    INSERT INTO webhook_message (id, event, epoch, trace, body, deliveries)
    SELECT unhex(value ->> 0), value ->> 1, $2, value ->> 2, CAST(value ->> 3 AS BLOB), value ->> 4
      FROM json_each($1)";
/// What comes first of its deal here is due, unless an earlier batch left something of that deal to be sent.
const DELIVERIES_POSTGRES: &str = include_str!("outbox/deliveries.postgres.sql");
const DELIVERIES_SQLITE: &str = "
    INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, sequence, change_index, due_at, created_at)
    SELECT o.id, o.webhook_id, o.message_id, o.deal_id, o.sequence, o.change_index,
           CASE WHEN o.first AND (
               SELECT 1 FROM webhook_delivery ahead
                WHERE ahead.webhook_id = o.webhook_id AND ahead.deal_id = o.deal_id
                  AND ahead.state = 'PENDING' AND NOT ahead.replay
                LIMIT 1) IS NULL THEN $2 END,
           $2
      FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS webhook_id, unhex(value ->> 2) AS message_id,
                   unhex(value ->> 3) AS deal_id, value ->> 4 AS sequence, value ->> 5 AS change_index,
                   value ->> 6 AS first
              FROM json_each($1)) AS o";

/// A change of a deal, as endpoints are told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DealChange<'a> {
    /// The event's place.
    pub(crate) sequence: Sequence,
    /// Which of the event's changes.
    pub(crate) index: u16,
    /// By its creation.
    pub(crate) created: bool,
    /// When.
    pub(crate) at: Timestamp,
    /// The trace that led to it.
    pub(crate) trace: Option<TraceContext>,
    /// The deal after it.
    pub(crate) deal: &'a Deal,
}

impl DealChange<'_> {
    fn event(&self) -> WebhookEvent {
        if self.created {
            WebhookEvent::DealCreated
        } else {
            WebhookEvent::DealUpdated
        }
    }
}

/// That an endpoint is owed changes of a seller, from one place in the log to another.
#[derive(FromRow)]
struct Duty {
    id: WebhookId,
    events: Json<Vec<WebhookEvent>>,
    seller_ids: Option<Json<Vec<SellerId>>>,
    from_position: i64,
    seller_id: SellerId,
    granted_at: i64,
    revoked_at: Option<i64>,
}

impl Duty {
    fn covers(&self, change: &DealChange<'_>) -> bool {
        let at = change.sequence as i64;
        at > self.from_position
            && at >= self.granted_at
            && self.revoked_at.is_none_or(|end| at < end)
            && self.events.0.contains(&change.event())
            && self
                .seller_ids
                .as_ref()
                .is_none_or(|wanted| wanted.0.contains(&self.seller_id))
    }
}

/// A row of table `webhook_message`.
struct Message {
    id: Uuid,
    event: WebhookEvent,
    trace: Option<String>,
    body: Vec<u8>,
    deliveries: i32,
}

/// A row of table `webhook_delivery`, as it is made.
struct Owed {
    id: DeliveryId,
    webhook: WebhookId,
    message: Uuid,
    deal: Option<DealId>,
    sequence: Sequence,
    index: u16,
    /// Nothing of this deal goes before it to this endpoint in this batch.
    first: bool,
}

/// Writes what a batch owes. Access is written already. Returns the endpoints that are owed something.
pub(crate) async fn write(
    tx: &mut Tx,
    epoch: Epoch,
    now: Timestamp,
    changes: &[DealChange<'_>],
) -> Result<Vec<WebhookId>, Error> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let duties = duties(tx, changes).await?;
    let owed = owed(changes, &duties);
    let mut deltas = CountDeltas::default();
    for (_, webhook) in &owed {
        deltas.add(*webhook, DeliveryState::Pending, 1);
    }
    let (messages, deliveries) = rows(epoch, now, changes, &owed);
    write_messages(tx, epoch, &messages).await?;
    // From here on no outcome of these endpoints is recorded: as late as can be.
    deltas.write(tx).await?;
    write_deliveries(tx, now, &deliveries).await?;
    Ok(deltas.webhooks())
}

/// Adds a test delivery for an endpoint, at a checkpoint that the caller has locked. Returns its id.
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
    let delivery = Owed {
        id,
        webhook,
        message: message.id,
        deal: None,
        sequence: position.sequence,
        index: position.index,
        first: true,
    };

    let mut deltas = CountDeltas::default();
    deltas.add(webhook, DeliveryState::Pending, 1);
    deltas.write(tx).await?;
    write_messages(tx, checkpoint.epoch, &[message]).await?;
    write_deliveries(tx, now, &[delivery]).await?;

    Ok(id)
}

async fn duties(tx: &mut Tx, changes: &[DealChange<'_>]) -> Result<Vec<Duty>, Error> {
    let sellers: HashSet<SellerId> = changes.iter().map(|change| change.deal.seller_id).collect();
    let first = changes.first().map_or(0, |change| change.sequence as i64);
    let last = changes.last().map_or(0, |change| change.sequence as i64);
    on_tx!(tx, postgres(tx) => {
        let sellers: Vec<Uuid> = sellers.iter().map(|seller| seller.0).collect();
        let duties = sqlx::query_as(DUTIES_POSTGRES)
            .bind(sellers)
            .bind(first)
            .bind(last);
        duties.fetch_all(&mut *tx).await
    }, sqlite(tx) => {
        let sellers: Vec<_> = sellers.iter().map(|seller| seller.0.simple()).collect();
        let duties = sqlx::query_as(DUTIES_SQLITE)
            .bind(Json(sellers))
            .bind(first)
            .bind(last);
        duties.fetch_all(&mut *tx).await
    })
}

/// Which change, by its index, is owed to whom: in the order of the log.
fn owed(changes: &[DealChange<'_>], duties: &[Duty]) -> Vec<(usize, WebhookId)> {
    let mut of_sellers: HashMap<SellerId, Vec<usize>> = HashMap::new();
    for (index, change) in changes.iter().enumerate() {
        of_sellers
            .entry(change.deal.seller_id)
            .or_default()
            .push(index);
    }
    let mut owed = Vec::new();
    for duty in duties {
        let of_seller = of_sellers
            .get(&duty.seller_id)
            .map_or(&[][..], Vec::as_slice);
        let covered = of_seller
            .iter()
            .filter(|index| duty.covers(&changes[**index]));
        owed.extend(covered.map(|index| (*index, duty.id)));
    }
    owed.sort_unstable();
    owed
}

/// The rows of what is owed. Ids follow the order of the log, so that an endpoint's deliveries list in it.
fn rows(
    epoch: Epoch,
    now: Timestamp,
    changes: &[DealChange<'_>],
    owed: &[(usize, WebhookId)],
) -> (Vec<Message>, Vec<Owed>) {
    let (mut messages, mut deliveries) = (Vec::new(), Vec::with_capacity(owed.len()));
    let mut seen = HashSet::with_capacity(owed.len());
    for of_change in owed.chunk_by(|one, other| one.0 == other.0) {
        let (index, change) = (of_change[0].0, &changes[of_change[0].0]);
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
        deliveries.extend(of_change.iter().map(|(_, webhook)| Owed {
            id: DeliveryId(row_id()),
            webhook: *webhook,
            message: message.id,
            deal: Some(change.deal.id),
            sequence: change.sequence,
            index: change.index,
            first: seen.insert((*webhook, change.deal.id)),
        }));
        messages.push(message);
    }
    (messages, deliveries)
}

async fn write_messages(tx: &mut Tx, epoch: Epoch, messages: &[Message]) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(MESSAGES_POSTGRES)
        .bind(
            messages
                .iter()
                .map(|message| message.id)
                .collect::<Vec<_>>(),
        )
        .bind(
            messages
                .iter()
                .map(|message| message.event.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            messages
                .iter()
                .map(|message| message.trace.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            messages
                .iter()
                .map(|message| message.body.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            messages
                .iter()
                .map(|message| message.deliveries)
                .collect::<Vec<_>>(),
        )
        .bind(epoch)
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = messages
            .iter()
            .map(|message| {
                let body = std::str::from_utf8(&message.body).expect("a body is JSON");
                let (id, event) = (message.id.simple(), message.event.as_str());
                json!([id, event, message.trace, body, message.deliveries])
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

async fn write_deliveries(tx: &mut Tx, now: Timestamp, owed: &[Owed]) -> Result<(), Error> {
    if owed.is_empty() {
        return Ok(());
    }
    on_tx!(tx, postgres(tx) => sqlx::query(DELIVERIES_POSTGRES)
        .bind(owed.iter().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(owed.iter().map(|row| row.webhook.0).collect::<Vec<_>>())
        .bind(owed.iter().map(|row| row.message).collect::<Vec<_>>())
        .bind(
            owed.iter()
                .map(|row| row.deal.map(|deal| deal.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            owed.iter()
                .map(|row| row.sequence as i64)
                .collect::<Vec<_>>(),
        )
        .bind(
            owed.iter()
                .map(|row| i32::from(row.index))
                .collect::<Vec<_>>(),
        )
        .bind(owed.iter().map(|row| row.first).collect::<Vec<_>>())
        .bind(now)
        .execute(&mut *tx)
        .await
        .map(|_| ()), sqlite(tx) => {
        let rows: Vec<_> = owed
            .iter()
            .map(|row| {
                let (id, webhook) = (row.id.0.simple(), row.webhook.0.simple());
                let (message, deal) =
                    (row.message.simple(), row.deal.map(|deal| deal.0.simple()));
                json!([
                    id,
                    webhook,
                    message,
                    deal,
                    row.sequence,
                    row.index,
                    row.first
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
