//! Rows that a recording reads and writes.

use backbone::ids::{DealId, DeliveryId, WebhookId};
use backbone::time::Timestamp;
use sqlx::FromRow;

use crate::DeliveryState;
use crate::outcome::Outcome;

/// Delivery whose lease still holds, with its endpoint, as both were before the recording.
#[derive(Clone, Debug, FromRow)]
pub(super) struct LeasedDelivery {
    pub(super) id: DeliveryId,
    pub(super) webhook_id: WebhookId,
    pub(super) deal_id: Option<DealId>,
    pub(super) replay: bool,
    pub(super) tries: i32,
    pub(super) attempts: i32,
    #[sqlx(flatten)]
    pub(super) endpoint: EndpointHealth,
}

/// Health of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(super) struct EndpointHealth {
    pub(super) failures: i32,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) held_until: Option<Timestamp>,
    /// Reason for disabling the endpoint in this recording.
    // Not read: it is a decision of this recording, and None leaves the stored reason as it is.
    #[sqlx(skip)]
    pub(super) disabled: Option<&'static str>,
}

/// New state of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DeliveryUpdate {
    pub(super) id: DeliveryId,
    pub(super) state: DeliveryState,
    pub(super) tries: i32,
    pub(super) attempts: i32,
    pub(super) due_at: Option<Timestamp>,
}

/// Row of table `webhook_attempt`.
#[derive(Debug)]
pub(super) struct AttemptRow<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) number: i32,
    pub(super) at: Timestamp,
    pub(super) outcome: &'a Outcome,
}

impl AttemptRow<'_> {
    pub(super) fn duration_ms(&self) -> i32 {
        i32::try_from(self.outcome.duration.as_millis()).unwrap_or(i32::MAX)
    }

    pub(super) fn error(&self) -> Option<&'static str> {
        self.outcome.error.map(|class| class.as_str())
    }

    /// Returns the response body, which may be empty; `None` if no response began.
    pub(super) fn response_body(&self) -> Option<&str> {
        self.outcome
            .status
            .map(|_| self.outcome.response_body.as_str())
    }
}
