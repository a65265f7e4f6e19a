//! What follows from the log's answer to one attempt: the answer table, as a pure function.

use crate::event_log::AppendAnswer;
use crate::position::Sequence;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is in the log, here.
    Done(Sequence),
    /// Somebody else was faster, or an earlier attempt of ours: load the subject and look.
    Reload,
    /// Perhaps it is in the log, there: read it.
    Verify(Sequence),
    /// Nobody knows: send the same again.
    Repeat(String),
    /// It is not in the log.
    Unavailable(String),
    /// This attempt stored nothing, an earlier one may have.
    UnknownOutcome(String),
}

/// `unknown`: the outcome of this attempt or an earlier one is not known.
pub(super) fn step(answer: AppendAnswer, unknown: bool) -> Step {
    match answer {
        AppendAnswer::Stored(sequence) => Step::Done(sequence),
        AppendAnswer::WrongLastSequence => Step::Reload,
        AppendAnswer::Duplicate(sequence) => Step::Verify(sequence),
        AppendAnswer::Unknown { why } => Step::Repeat(why),
        AppendAnswer::Refused { why } if unknown => Step::UnknownOutcome(why),
        AppendAnswer::Refused { why } => Step::Unavailable(why),
        AppendAnswer::NotConnected { why } if unknown => Step::Repeat(why),
        AppendAnswer::NotConnected { why } => Step::Unavailable(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_step() {
        let why = || "why".to_owned();
        let table = [
            (AppendAnswer::Stored(7), Step::Done(7), Step::Done(7)),
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
