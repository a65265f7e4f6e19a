//! Values that the log and its backends exchange.

use std::time::Duration;

use crate::contract::Event;
use crate::contract::wire::{self, Message, Undecodable};
use crate::ids::EventId;
use crate::position::{Epoch, Position, Sequence};

/// Time limit of one attempt to append, and of one read.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// One sequence of the log with its event.
#[derive(Clone, Debug)]
pub struct Record {
    /// Sequence of the event, from 1.
    pub sequence: Sequence,
    /// Subject without the market, as stored: known even when the event cannot be decoded.
    pub subject: String,
    /// The event, or the reason why this binary cannot decode it.
    pub event: Result<Event, Undecodable>,
    /// The stored message, which the record of a dead event keeps.
    pub message: Message,
}

impl Record {
    /// Returns the size of the stored body in bytes.
    pub fn size(&self) -> usize {
        self.message.body.len()
    }
}

/// Answer of the log to one attempt to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendAnswer {
    /// The event is stored; this is its end.
    Stored(Position),
    /// The subject's last event is not the expected one. This attempt stored nothing.
    WrongLastSequence,
    /// The log reports an event with this id at this sequence. Servers deduplicate over the whole
    /// stream, so it may be on a different subject: read it before relying on it.
    Duplicate(Sequence),
    /// The log refused the event. This attempt stored nothing.
    Refused {
        /// The log's reason.
        why: String,
    },
    /// The event may be stored or not.
    Unknown {
        /// Event that took the place of an answer, such as a timeout.
        why: String,
    },
    /// The event was not sent.
    NotConnected {
        /// Reason why it was not sent.
        why: String,
    },
}

impl AppendAnswer {
    /// Returns what this answer means if it may have come on a connection that has not been
    /// checked: an event may be stored on another server than the market's.
    pub(super) fn on_unchecked_connection(self) -> Self {
        match self {
            Self::Stored(_) | Self::Duplicate(_) => Self::Unknown {
                why: "the connection was replaced while the event was sent".to_owned(),
            },
            other => other,
        }
    }
}

/// A record as a backend stores it, not yet decoded.
pub(super) struct Stored {
    pub(super) sequence: Sequence,
    pub(super) subject: String,
    pub(super) message: Message,
}

impl Stored {
    /// Decodes the event in a log with these epochs.
    pub(super) fn decode(self, epochs: &[Epoch]) -> Record {
        // An event that cannot be decoded is no failed read: what follows from it is the reader's
        // decision.
        let event = wire::decode(&self.subject, &self.message, epochs);
        Record {
            sequence: self.sequence,
            subject: self.subject,
            event,
            message: self.message,
        }
    }
}

/// Returns the id that a message claims, whether its event can be decoded or not.
pub(super) fn id_of(message: &Message) -> Option<EventId> {
    let id = message.headers.get(wire::ID)?;
    id.parse().ok().map(EventId)
}
