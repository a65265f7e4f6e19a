//! The next step after the log's answer to one attempt to append, as a pure function.

use crate::event_log::AppendAnswer;
use crate::position::{Position, Sequence};

/// Next step of the write path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The event is stored; this is its end.
    Done(Position),
    /// Another writer was faster, or an earlier attempt of ours: load the subject and decide again.
    Reload,
    /// The event may be stored at this sequence: read it.
    Verify(Sequence),
    /// The outcome is unknown: send the same event with the same expectation again.
    Repeat(String),
    /// Nothing was stored: report the log as unavailable.
    Unavailable(String),
    /// Nothing was stored by this attempt, but an earlier one may have stored the event.
    UnknownOutcome(String),
}

/// Returns the next step. `unknown` says that the outcome of this or an earlier attempt is unknown.
pub(super) fn step(answer: AppendAnswer, unknown: bool) -> Step {
    match answer {
        AppendAnswer::Stored(end) => Step::Done(end),
        // Not a failure of ours even if `unknown`: the loaded subject shows whether an attempt
        // landed.
        AppendAnswer::WrongLastSequence => Step::Reload,
        // The server compares ids over the whole stream, so the event there may not be ours.
        AppendAnswer::Duplicate(sequence) => Step::Verify(sequence),
        AppendAnswer::Unknown { why } => Step::Repeat(why),
        AppendAnswer::Refused { why } if unknown => Step::UnknownOutcome(why),
        AppendAnswer::Refused { why } => Step::Unavailable(why),
        // An earlier attempt may be stored, so "unavailable, nothing written" would be wrong.
        AppendAnswer::NotConnected { why } if unknown => Step::Repeat(why),
        AppendAnswer::NotConnected { why } => Step::Unavailable(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Epoch;

    #[test]
    fn step_follows_from_the_answer_and_from_earlier_unknown_outcomes() {
        let why = || "why".to_owned();
        let end = Position::end_of(Epoch(1), 7);
        let table = [
            (AppendAnswer::Stored(end), Step::Done(end), Step::Done(end)),
            (AppendAnswer::WrongLastSequence, Step::Reload, Step::Reload),
            (AppendAnswer::Duplicate(7), Step::Verify(7), Step::Verify(7)),
            (
                AppendAnswer::Refused { why: why() },
                Step::Unavailable(why()),
                Step::UnknownOutcome(why()),
            ),
            (
                AppendAnswer::NotConnected { why: why() },
                Step::Unavailable(why()),
                Step::Repeat(why()),
            ),
            (
                AppendAnswer::Unknown { why: why() },
                Step::Repeat(why()),
                Step::Repeat(why()),
            ),
        ];

        for (answer, known, unknown) in table {
            assert_eq!(step(answer.clone(), false), known);
            assert_eq!(step(answer, true), unknown);
        }
    }
}
