//! The end of a log that has lost events which tables were built from: a new epoch.
//!
//! Events that follow take the sequences of those that were lost. The new epoch tells the positions
//! of the two apart, so that no reader goes on from a position of what is gone.

use super::EventLog;
use super::opening::reopening;
use super::record::AppendAnswer;
use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::contract::Subject;
use crate::position::Sequence;

/// Relation of a log to tables that were built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The tables were built from what the log holds, or are new.
    Fits,
    /// The log no longer holds the last event that the tables were built from.
    Lost,
    /// The tables are of an epoch before the log was reopened.
    Reopened,
    /// The tables were built from another log.
    Other,
}

impl EventLog {
    /// Finds out how the log and the tables of the projection `name`, which are at `checkpoint`,
    /// relate.
    ///
    /// # Errors
    /// Those of [`EventLog::epoch`].
    pub async fn fit(&self, name: &str, checkpoint: Checkpoint) -> Result<Fit, Error> {
        let epochs = self.epochs().await?;
        if checkpoint.is_new() {
            return Ok(Fit::Fits);
        }
        if !epochs.contains(&checkpoint.epoch) {
            return Ok(Fit::Other);
        }
        if epochs.last() != Some(&checkpoint.epoch) {
            return Ok(Fit::Reopened);
        }

        match self.check_tables(name, checkpoint).await {
            Ok(()) => Ok(Fit::Fits),
            Err(Error::Blocked { .. }) => Ok(Fit::Lost),
            Err(error) => Err(error),
        }
    }

    /// Gives the log a new epoch, from its next event on. Open the log anew afterwards: this handle
    /// stays one of the epoch before. Returns the sequence of the event.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the log was not reopened, or if that is unknown: the epochs tell.
    pub async fn reopen(&self, clock: &Clock) -> Result<Sequence, Error> {
        let last = self.last(&Subject::Opened).await?;
        let expected = last.map_or(0, |record| record.sequence);

        match self.append(&reopening(clock), expected).await {
            AppendAnswer::Stored(position) => Ok(position.sequence),
            answer => Err(Error::unavailable(
                "event log",
                format!("it could not be reopened: {answer:?}"),
            )),
        }
    }
}
