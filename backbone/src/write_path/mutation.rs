//! Input and results of the write path.

use crate::contract::{Applied, Event, Fact, Fingerprint, Subject};
use crate::ids::EventId;
use crate::position::Position;
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// A requested change of one subject, with what identifies a repeat of it.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Subject whose last event the change follows.
    pub subject: Subject,
    /// Id of the event to append: the same in every attempt, and in a repeat with the same
    /// idempotency key.
    pub event_id: EventId,
    /// Fingerprint of the caller's idempotency key, if one was given.
    pub key: Option<Fingerprint>,
    /// Fingerprint of the request, which tells a repeat from a different request with the same key.
    pub request: Fingerprint,
    /// Trace context of the request, stored with the event.
    pub trace: Option<TraceContext>,
    /// Set for a creation: the subject is expected to have no events yet.
    pub begins: bool,
}

impl Mutation {
    /// Builds the mutation's event.
    pub(super) fn event(&self, time: Timestamp, fact: Fact) -> Event {
        Event {
            id: self.event_id,
            subject: self.subject,
            time,
            trace: self.trace,
            fact,
        }
    }

    /// Returns the record of this mutation that its event carries.
    pub fn applied(&self, version: u32) -> Applied {
        Applied {
            event: self.event_id,
            key: self.key.clone(),
            request: self.request.clone(),
            version,
        }
    }
}

/// Result of the business rules.
#[expect(
    clippy::large_enum_variant,
    reason = "only one exists at a time, and boxing would burden every rule"
)]
pub enum Decision {
    /// Appends this fact to the subject.
    Append(Fact),
    /// Appends nothing, because the subject already has the requested state.
    Unchanged,
}

/// A mutation that is in the log, or that changed nothing.
#[derive(Clone, Debug)]
pub struct Written {
    /// State of the subject after the mutation.
    pub fact: Fact,
    /// End of the event that produced this state.
    pub position: Position,
}

/// Reason why a mutation is not known to be in the log.
#[derive(Debug)]
pub enum WriteError<R> {
    /// The business rules reject the mutation.
    Rejected(R),
    /// The idempotency key was used before with a different request.
    KeyReused,
    /// Other writers changed the subject throughout the time budget. Nothing was written; the
    /// caller may retry.
    Contended,
    /// The subject's lane is full. Nothing was written; the caller may retry later.
    LaneFull,
    /// The log cannot be reached or refuses the event. Nothing was written; the caller may retry
    /// later.
    Unavailable(String),
    /// The log did not say whether the event was stored. Repeating the mutation with the same key
    /// finds out.
    UnknownOutcome(String),
    /// The log holds something that violates its contract.
    Broken(String),
}
