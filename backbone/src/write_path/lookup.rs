//! Reads of the log that settle what has happened to a mutation.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::memory::Last;
use super::mutation::{Mutation, WriteError, Written};
use crate::contract::wire::Undecodable;
use crate::contract::{Applied, Event, Fact, Subject};
use crate::event_log::{EventLog, Record};
use crate::position::{Position, Sequence};
use crate::{Error, random};

/// Pause before asking a log again that did not answer, with a jitter of 50 %.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Loads the subject's last event.
///
/// `unknown` says that an earlier attempt may have stored the event: the log is then asked until
/// `deadline`. Otherwise nothing has been sent yet, and a log that cannot be reached is reported at
/// once.
pub(super) async fn load_last<R>(
    log: &EventLog,
    subject: Subject,
    deadline: Instant,
    unknown: bool,
) -> Result<Option<Last>, WriteError<R>> {
    loop {
        match log.last(&subject).await {
            Ok(record) => return record.map(readable).transpose(),
            // Giving up now would leave the caller without an answer that one more read may give.
            Err(Error::Unavailable { .. }) if unknown && Instant::now() < deadline => {
                sleep(random::jitter(PAUSE, 0.5)).await;
            }
            Err(error) if unknown => return Err(unknown_outcome(error)),
            Err(error @ Error::Unavailable { .. }) => {
                return Err(WriteError::Unavailable(error.to_string()));
            }
            Err(error) => return Err(WriteError::Broken(error.to_string())),
        }
    }
}

/// Finds out whether this mutation, or a repeat of it, has been applied already.
///
/// `since` is the sequence and revision of the subject's last event before the first attempt; no
/// event of this call can be at or before it.
pub(super) async fn find_applied<R>(
    log: &EventLog,
    mutation: &Mutation,
    last: Option<&Last>,
    since: (Sequence, u64),
) -> Result<Option<Written>, WriteError<R>> {
    let Some(last) = last else { return Ok(None) };
    let Some(recent) = last.fact.recent() else {
        return Ok(None);
    };

    let (sequence, revision) = since;
    let applied = match recent.find(mutation.event_id) {
        Some(applied) => Some(applied.clone()),
        // Every event since the first attempt is still listed, and ours is not among them.
        None if recent.reaches_back_to(revision, last.fact.revision()) => None,
        // Others have pushed more events than `recent` holds: only the events themselves can say.
        None => scan_since(log, mutation, sequence, last.sequence).await?,
    };

    match applied {
        None => Ok(None),
        Some(applied) if applied.same_request(&mutation.applied(applied.version)) => {
            written(log, last.fact.clone(), last.sequence)
                .await
                .map(Some)
        }
        Some(_) => Err(WriteError::KeyReused),
    }
}

/// Scans the subject's events in `(after, upto]` for this mutation's event.
async fn scan_since<R>(
    log: &EventLog,
    mutation: &Mutation,
    mut after: Sequence,
    upto: Sequence,
) -> Result<Option<Applied>, WriteError<R>> {
    while after < upto {
        // The scan only runs when an attempt may have landed, so a failed read leaves that open.
        let next = log.next(&mutation.subject, after).await;
        let Some(record) = next.map_err(unknown_outcome)? else {
            return Ok(None);
        };

        match &record.event {
            Ok(event) if event.id == mutation.event_id => {
                return Ok(newest_applied(event).cloned());
            }
            _ => after = record.sequence,
        }
    }

    Ok(None)
}

/// Reads the event that the log reported as a duplicate of `event`, and returns it as the result.
///
/// Servers deduplicate by id over the whole stream, so the report alone proves nothing: the event
/// at `sequence` counts only if it has our id and our subject.
pub(super) async fn verify<R>(
    log: &EventLog,
    event: &Event,
    sequence: Sequence,
) -> Result<Written, WriteError<R>> {
    let record = log.get(sequence).await.map_err(unknown_outcome)?;
    let found = match record.map(|record| record.event) {
        Some(Ok(found)) if found.id == event.id && found.subject == event.subject => found,
        _ => {
            return Err(WriteError::Broken(format!(
                "the log reports event {} at sequence {sequence}, but a different event is there",
                event.id
            )));
        }
    };

    // The log deduplicates for longer than a subject's recent mutations reach back, so this may be
    // the first sight of an old key.
    match (newest_applied(&found), newest_applied(event)) {
        (Some(found), Some(requested)) if !found.same_request(requested) => {
            Err(WriteError::KeyReused)
        }
        _ => written(log, found.fact, sequence).await,
    }
}

/// Builds the result for the event at `sequence`.
pub(super) async fn written<R>(
    log: &EventLog,
    fact: Fact,
    sequence: Sequence,
) -> Result<Written, WriteError<R>> {
    // Usually no call to the server: the connection that read or wrote the event knows the epoch.
    let epoch = log.epoch().await.map_err(unknown_outcome)?;
    Ok(Written {
        fact,
        position: Position::end_of(epoch, sequence),
    })
}

/// Returns the record of the mutation that produced an event.
fn newest_applied(event: &Event) -> Option<&Applied> {
    event.fact.recent().and_then(|recent| recent.latest.last())
}

fn readable<R>(record: Record) -> Result<Last, WriteError<R>> {
    match record.event {
        Ok(event) => Ok(Last {
            sequence: record.sequence,
            fact: event.fact,
        }),
        // A newer release is being rolled out; one of its processes can take the request.
        Err(why @ Undecodable::Newer { .. }) => Err(WriteError::Unavailable(why.to_string())),
        Err(why) => Err(WriteError::Broken(format!(
            "event {} cannot be decoded: {why}",
            record.sequence
        ))),
    }
}

fn unknown_outcome<R>(error: Error) -> WriteError<R> {
    WriteError::UnknownOutcome(error.to_string())
}
