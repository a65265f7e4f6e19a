//! Rows of deliveries joined with their attempts, and how they become deliveries.

use std::time::Duration;

use crate::kinds::{DeliveryState, WebhookEvent};
use backbone::ids::{DeliveryId, WebhookId};
use backbone::position::{Epoch, Position, Sequence};
use backbone::time::Timestamp;
use sqlx::FromRow;

use crate::model::{Attempt, Delivery, WebhookState};

/// Delivery with one of its attempts, if it has any.
#[derive(FromRow)]
pub(super) struct DeliveryRow {
    id: DeliveryId,
    webhook_id: WebhookId,
    #[sqlx(try_from = "String")]
    state: DeliveryState,
    sequence: i64,
    change_index: i32,
    due_at: Option<Timestamp>,
    created_at: Timestamp,
    #[sqlx(try_from = "String")]
    event: WebhookEvent,
    epoch: Epoch,
    #[sqlx(try_from = "String")]
    webhook_state: WebhookState,
    held_until: Option<Timestamp>,
    number: Option<i32>,
    started_at: Option<Timestamp>,
    duration_ms: Option<i32>,
    status_code: Option<i32>,
    error: Option<String>,
    response_body: Option<String>,
    /// Body of the delivery, on its first row only.
    body: Option<Vec<u8>>,
}

/// Folds rows into deliveries, in the order of the rows. Rows of one delivery are adjacent.
pub(super) fn fold(rows: Vec<DeliveryRow>) -> Vec<Delivery> {
    let mut deliveries: Vec<Delivery> = Vec::new();

    for row in rows {
        if deliveries.last().is_none_or(|last| last.id != row.id) {
            deliveries.push(row.delivery());
        }
        let delivery = deliveries
            .last_mut()
            .expect("the delivery of this row was pushed above or by the row before");
        delivery.attempts.extend(row.attempt());
    }

    deliveries
}

impl DeliveryRow {
    fn delivery(&self) -> Delivery {
        Delivery {
            id: self.id,
            webhook_id: self.webhook_id,
            event: self.event,
            state: self.state,
            position: Position {
                epoch: self.epoch,
                sequence: self.sequence as Sequence,
                index: self.change_index as u16,
            },
            attempts: Vec::new(),
            next_attempt_at: self.next_attempt_at(),
            created_at: self.created_at,
            body: self
                .body
                .as_deref()
                .map(|body| String::from_utf8_lossy(body).into_owned()),
        }
    }

    fn next_attempt_at(&self) -> Option<Timestamp> {
        // A paused or disabled endpoint has no next attempt, although its deliveries keep their due
        // times: when it is resumed, they are due at once.
        let is_pending = self.state == DeliveryState::Pending;
        let is_called = self.webhook_state == WebhookState::Active;
        if !(is_pending && is_called) {
            return None;
        }

        // A held endpoint is not called before the end of the hold, whatever is due.
        let due = self.due_at?;
        Some(
            self.held_until
                .map_or(due, |held_until| due.max(held_until)),
        )
    }

    // The columns of the attempt are null together, for a delivery without attempts.
    fn attempt(self) -> Option<Attempt> {
        Some(Attempt {
            number: self.number?.unsigned_abs(),
            at: self.started_at?,
            status_code: self.status_code.and_then(|code| u16::try_from(code).ok()),
            error: self.error,
            duration: Duration::from_millis(self.duration_ms?.unsigned_abs().into()),
            response_body: self.response_body,
        })
    }
}
