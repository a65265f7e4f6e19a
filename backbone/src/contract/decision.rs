//! Decisions of operators about events that readers cannot apply. They are facts of the log, so that
//! every reader, a rebuild and a verification agree on them.

use serde::{Deserialize, Serialize};

use super::Recent;
use crate::FieldError;
use crate::position::Sequence;

/// Most characters of an operator's name.
const MAX_NAME: usize = 200;
/// Most characters of a reason.
const MAX_REASON: usize = 1_000;

/// Body of every decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDecision {
    /// Kind of the decision. It is part of the event's type, not of its body.
    #[serde(skip, default = "skip")]
    pub kind: DecisionKind,
    /// Number of the decision about the same event, from 1.
    pub revision: u64,
    /// Sequence of the event that was decided about.
    pub sequence: Sequence,
    /// Subject that event is stored under, without the market.
    pub subject: String,
    /// Operator who decided, and the reason.
    pub operator: OperatorNote,
    /// Recent decisions about the same event.
    pub recent: Recent,
}

fn skip() -> DecisionKind {
    DecisionKind::Skip
}

/// Kind of a decision about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// Readers that wait for a newer version at the event go on without it: it is dead.
    Skip,
    /// The dead events of the subject up to the decision are given up: its next event is applied,
    /// whatever revision it has.
    Discard,
}

/// Operator who did something to the log by hand, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorNote {
    /// Name of the operator, as they gave it.
    pub by: String,
    /// Reason, as they gave it.
    pub why: String,
}

impl OperatorNote {
    /// Builds a note of a name of 1 to 200 characters and a reason of 1 to 1,000, without the space
    /// around them.
    ///
    /// # Errors
    /// The paths `by` and `why`, each with the rule that it breaks.
    pub fn new(by: &str, why: &str) -> Result<Self, Vec<FieldError>> {
        let note = Self {
            by: by.trim().to_owned(),
            why: why.trim().to_owned(),
        };

        let fields = [("by", &note.by, MAX_NAME), ("why", &note.why, MAX_REASON)];
        let faults: Vec<FieldError> = fields
            .into_iter()
            .filter(|(_, text, most)| !(1..=*most).contains(&text.chars().count()))
            .map(|(path, _, most)| FieldError::new(path, format!("must be 1 to {most} characters")))
            .collect();

        if faults.is_empty() {
            Ok(note)
        } else {
            Err(faults)
        }
    }
}
