//! The event log in GraphQL as administrators see it: how far each side has read it, events that a side cannot apply, and
//! what was decided about them.

use async_graphql::{Enum, ID, SimpleObject};
use backbone::dead_events;
use backbone::event_log::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use documents::object;
use serde::{Deserialize, Serialize};

use super::scalars::{Position, render_enums};

/// Side of the market. Each keeps tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Side {
    /// Tables that sellers and mutations read.
    Seller,
    /// Tables and feed that buyers read.
    Buyer,
}

render_enums!(Side);

/// Progress of the tables of a side.
#[derive(SimpleObject)]
pub(super) struct ProjectionState {
    /// Side that keeps the tables.
    pub(super) side: Side,
    /// Number of the last event in the tables; 0 before the first.
    pub(super) sequence: ID,
    /// Number of the newest event in the log.
    pub(super) head: ID,
    /// Number of the build of the tables, which grows with every rebuild.
    pub(super) generation: i32,
}

object!(ProjectionState as "ProjectionState", |state| {
    "side" => state.side,
    "sequence" => *state.sequence.as_str(),
    "head" => *state.head.as_str(),
    "generation" => state.generation,
});

/// Event that the tables of a side have set aside, because it cannot be applied or an earlier one of its deal or access
/// could not.
#[derive(SimpleObject)]
pub(super) struct DeadEvent {
    /// Side that set it aside.
    side: Side,
    /// Number of the event in the log.
    sequence: ID,
    /// Deal or access that the event is of, as the log names it; at most its first 500 bytes.
    subject: String,
    /// Reason why it could not be applied.
    reason: String,
    /// True once a repair or a decision has settled it.
    settled: bool,
}

object!(DeadEvent as "DeadEvent", |dead| {
    "side" => dead.side,
    "sequence" => *dead.sequence.as_str(),
    "subject" => dead.subject,
    "reason" => dead.reason,
    "settled" => dead.settled,
});

impl DeadEvent {
    pub(super) fn new(side: Side, dead: dead_events::DeadEvent) -> Self {
        Self {
            side,
            sequence: dead.sequence.into(),
            subject: dead.subject,
            reason: dead.reason,
            settled: dead.settled,
        }
    }
}

/// Event as the log stores it.
#[derive(SimpleObject)]
pub(super) struct StoredEvent {
    /// Number of the event in the log.
    sequence: ID,
    /// Subject that it is stored under, without the market.
    subject: String,
    /// Reason why it cannot be decoded; null if it can.
    problem: Option<String>,
    /// Headers of the message.
    headers: Vec<StoredEventHeader>,
    /// Body as text; null if it is not UTF-8.
    body: Option<String>,
    /// Body in Base64.
    body_base64: String,
}

object!(StoredEvent as "StoredEvent", |event| {
    "sequence" => *event.sequence.as_str(),
    "subject" => event.subject,
    "problem" => event.problem,
    "headers" => event.headers,
    "body" => event.body,
    "bodyBase64" => event.body_base64,
});

/// Header of a stored event.
#[derive(SimpleObject)]
pub(super) struct StoredEventHeader {
    /// Name, as it is stored.
    name: String,
    /// Value.
    value: String,
}

object!(StoredEventHeader as "StoredEventHeader", |header| {
    "name" => header.name,
    "value" => header.value,
});

impl From<Record> for StoredEvent {
    fn from(record: Record) -> Self {
        let headers = record.message.headers.into_iter();
        let headers = headers.map(|(name, value)| StoredEventHeader {
            name: name.into_owned(),
            value,
        });
        let body = record.message.body;

        Self {
            sequence: record.sequence.into(),
            subject: record.subject,
            problem: record.event.err().map(|why| why.to_string()),
            headers: headers.collect(),
            body: std::str::from_utf8(&body).ok().map(str::to_owned),
            body_base64: STANDARD.encode(&body),
        }
    }
}

/// Decision about an event. It is an event of the log itself.
#[derive(SimpleObject)]
pub(super) struct EventDecisionPayload {
    /// Number of the event that was decided about.
    pub(super) sequence: ID,
    /// Position of the decision in the log.
    pub(super) position: Position,
}

object!(EventDecisionPayload as "EventDecisionPayload", |decision| {
    "sequence" => *decision.sequence.as_str(),
    "position" => decision.position,
});
