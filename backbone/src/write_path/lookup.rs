//! Reads of the log that settle what has happened to a mutation. All of them end by its deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Place;
use super::memory::Last;
use super::mutation::{Mutation, WriteError, Written};
use crate::contract::{Applied, Event, Fact};
use crate::event_log::{EventLog, Record};
use crate::position::{Position, Sequence};
use crate::{Error, random};

/// Pause before asking a log again that did not answer, with a jitter of 50 %.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Reads on behalf of one mutation.
pub(super) struct Lookup<'a> {
    pub(super) log: &'a EventLog,
    pub(super) mutation: &'a Mutation,
    pub(super) deadline: Instant,
}

impl Lookup<'_> {
    /// Loads the subject's last event.
    ///
    /// `unknown` says that an earlier attempt may have stored the event: the log is then asked until
    /// the deadline. Otherwise nothing has been sent yet, and a log that cannot be reached is
    /// reported at once.
    pub(super) async fn last<R>(&self, unknown: bool) -> Result<Option<Last>, WriteError<R>> {
        loop {
            let read = async {
                // The log of another market would only say that the subject is empty.
                self.log.prepare().await?;
                self.log.last(&self.mutation.subject).await
            };

            match self.by_deadline(read).await {
                Ok(record) => return record.map(readable).transpose(),
                // Giving up now would leave the caller without an answer that one more read may
                // give.
                Err(Error::Unavailable { .. }) if unknown && Instant::now() < self.deadline => {
                    sleep(random::jitter(PAUSE, 0.5)).await;
                }
                Err(error) if unknown => return Err(unknown_outcome(error)),
                Err(error) => return Err(unavailable(error)),
            }
        }
    }

    /// Finds out whether this mutation, or a repeat of it, has been applied already.
    ///
    /// `unknown` is the place behind which an attempt of this call may be stored.
    pub(super) async fn find_applied<R>(
        &self,
        last: Option<&Last>,
        unknown: Option<Place>,
    ) -> Result<Option<Written>, WriteError<R>> {
        let Some(last) = last else { return Ok(None) };
        let Some(recent) = last.fact.recent() else {
            return Ok(None);
        };

        let applied = match (recent.find(self.mutation.event_id), unknown) {
            (Some(applied), _) => Some(applied.clone()),
            // Without an attempt of unknown outcome, there is nothing of this call to be found.
            (None, None) => None,
            // Every event since the attempt is still listed, and ours is not among them.
            (None, Some(expected))
                if recent.reaches_back_to(expected.revision, last.fact.revision()) =>
            {
                None
            }
            // Others have pushed more events than `recent` holds: only the events themselves can
            // say.
            (None, Some(expected)) => self.scan(expected.sequence, last.sequence).await?,
        };

        match applied {
            None => Ok(None),
            Some(applied) if applied.same_request(&self.mutation.applied(applied.version)) => self
                .written(last.fact.clone(), last.sequence)
                .await
                .map(Some),
            Some(_) => Err(WriteError::KeyReused),
        }
    }

    /// Scans the subject's events in `(after, upto]` for this mutation's event.
    async fn scan<R>(
        &self,
        mut after: Sequence,
        upto: Sequence,
    ) -> Result<Option<Applied>, WriteError<R>> {
        while after < upto {
            let next = self.log.next(&self.mutation.subject, after);
            // The scan only runs when an attempt may have landed, so a failed read leaves that open.
            let next = self.by_deadline(next).await.map_err(unknown_outcome)?;
            let Some(record) = next else {
                return Ok(None);
            };

            match &record.event {
                Ok(event) if event.id == self.mutation.event_id => {
                    return Ok(event.fact.mutation().cloned());
                }
                _ => after = record.sequence,
            }
        }

        Ok(None)
    }

    /// Reads the event that the log reported as a duplicate of `event`, and returns it as the
    /// result.
    ///
    /// Servers deduplicate by id over the whole stream, so the report alone proves nothing: the
    /// event at `sequence` counts only if it has our id and our subject.
    pub(super) async fn verify<R>(
        &self,
        event: &Event,
        sequence: Sequence,
    ) -> Result<Written, WriteError<R>> {
        let record = self.by_deadline(self.log.get(sequence)).await;
        let record = record.map_err(unknown_outcome)?;
        let found = match record.map(|record| record.event) {
            Some(Ok(found)) if found.id == event.id && found.subject == event.subject => found,
            _ => {
                return Err(WriteError::Broken(format!(
                    "the log reports event {} at sequence {sequence}, but a different event is \
                     there",
                    event.id
                )));
            }
        };

        // The log deduplicates for longer than a subject's recent mutations reach back, so this may
        // be the first sight of an old key.
        match (found.fact.mutation(), event.fact.mutation()) {
            (Some(found), Some(requested)) if !found.same_request(requested) => {
                Err(WriteError::KeyReused)
            }
            _ => self.written(found.fact, sequence).await,
        }
    }

    /// Returns the subject's present state as the result.
    pub(super) async fn unchanged<R>(&self, last: Option<Last>) -> Result<Written, WriteError<R>> {
        let Some(last) = last else {
            return Err(WriteError::Broken(
                "a mutation of an empty subject was decided to change nothing".to_owned(),
            ));
        };

        self.written(last.fact, last.sequence).await
    }

    /// Builds the result for the event that was read at `sequence`.
    async fn written<R>(&self, fact: Fact, sequence: Sequence) -> Result<Written, WriteError<R>> {
        // No call to the server, unless the connection was replaced since the event was read.
        let epoch = self.by_deadline(self.log.epoch()).await;
        Ok(Written {
            fact,
            position: Position::end_of(epoch.map_err(unknown_outcome)?, sequence),
        })
    }

    async fn by_deadline<T>(
        &self,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout_at(self.deadline, read)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("event log", "no answer in time")))
    }
}

fn readable<R>(record: Record) -> Result<Last, WriteError<R>> {
    match record.event {
        Ok(event) => Ok(Last {
            sequence: record.sequence,
            time: event.time,
            fact: event.fact,
        }),
        // A newer release is being rolled out, whose processes can take the request; or the event is
        // dead, and an operator has to repair the subject.
        Err(why) => Err(WriteError::Unavailable(format!(
            "the subject's last event, {}, cannot be decoded: {why}",
            record.sequence
        ))),
    }
}

fn unavailable<R>(error: Error) -> WriteError<R> {
    match error {
        Error::Unavailable { .. } | Error::Blocked { .. } => {
            WriteError::Unavailable(error.to_string())
        }
        Error::Conflict { .. } | Error::Broken { .. } => WriteError::Broken(error.to_string()),
    }
}

fn unknown_outcome<R>(error: Error) -> WriteError<R> {
    WriteError::UnknownOutcome(error.to_string())
}
