//! Sorting of a batch into events that can be applied and dead ones.
//!
//! An event that cannot be decoded, or does not follow its subject's last event, is dead. Later
//! events of its subject are dead too, until a repair. Events of other subjects are not affected.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;

use crate::contract::wire::Headers;
use crate::contract::{DecisionKind, Event, Fact, Subject};
use crate::db::Tx;
use crate::event_log::Record;
use crate::position::Sequence;
use crate::{Error, on_tx};

const DEAD_SUBJECTS: &str = include_str!("sort/dead_subjects.sql");
const INSERT_DEAD: &str = include_str!("sort/insert_dead.sql");
const REPAIR: &str = include_str!("sort/repair.sql");
const DISCARD: &str = include_str!("sort/discard.sql");

/// Length in bytes up to which subjects are stored. Those of this project have at most 80; a longer
/// one than about 2,700 would not fit the index of PostgreSQL.
const MAX_SUBJECT: usize = 500;

/// One event of a batch, as a projection applies it.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// An event that can be applied.
    Event {
        /// Sequence of the event.
        sequence: Sequence,
        /// The event.
        event: &'a Event,
    },
    /// A dead event. Its subject stays at its last good state.
    Dead {
        /// Sequence of the event.
        sequence: Sequence,
        /// Subject of the event; `None` if that cannot be parsed either.
        subject: Option<Subject>,
    },
}

impl Entry<'_> {
    /// Returns the sequence of the event.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Event { sequence, .. } | Self::Dead { sequence, .. } => *sequence,
        }
    }
}

/// A sorted batch.
pub(super) struct Sorted<'a> {
    /// Every event of the batch, in order.
    pub(super) entries: Vec<Entry<'a>>,
    /// The dead events, each with its reason.
    pub(super) dead: Vec<(&'a Record, String)>,
    /// The repairs that settle dead events of their subject before them.
    pub(super) repairs: Vec<&'a Record>,
    /// The decisions that give up the dead events of a subject before them: sequence and subject.
    pub(super) discards: Vec<(Sequence, &'a str)>,
}

/// Returns the subjects of a batch, each once.
pub(super) fn subjects(records: &[Record]) -> Vec<Subject> {
    // Those that cannot be parsed are left out: no row has them, and their events are dead.
    let named: HashSet<Subject> = records
        .iter()
        .filter_map(|record| Subject::parse(&record.subject))
        .collect();

    named.into_iter().collect()
}

/// Subjects with dead events, as they are stored.
#[derive(Debug, Default)]
pub(super) struct DeadSubjects {
    /// Subjects that wait for a repair.
    waiting: HashSet<String>,
    /// Subjects some events of which were given up, so that their revisions have gaps.
    with_gaps: HashSet<String>,
}

/// Sorts a batch. `revisions` are those of the tables before the batch.
pub(super) fn sort(
    records: &[Record],
    mut revisions: HashMap<Subject, u64>,
    mut dead: DeadSubjects,
) -> Sorted<'_> {
    let mut sorted = Sorted {
        entries: Vec::with_capacity(records.len()),
        dead: Vec::new(),
        repairs: Vec::new(),
        discards: Vec::new(),
    };

    for record in records {
        match judge(record, &revisions, &dead) {
            Ok(event) => {
                // A repair of a healthy subject is applied like any event, and settles nothing.
                if event.fact.is_repair() && dead.waiting.remove(stored(&record.subject)) {
                    sorted.repairs.push(record);
                }
                if let Fact::Decision(decision) = &event.fact
                    && decision.kind == DecisionKind::Discard
                {
                    let subject = stored(&decision.subject);
                    dead.waiting.remove(subject);
                    dead.with_gaps.insert(subject.to_owned());
                    sorted.discards.push((record.sequence, subject));
                }

                // The tables do not have this event yet, and the next one of its subject in the
                // batch follows it.
                revisions.insert(event.subject, event.fact.revision());
                sorted.entries.push(Entry::Event {
                    sequence: record.sequence,
                    event,
                });
            }
            Err(reason) => {
                dead.waiting.insert(stored(&record.subject).to_owned());
                let subject = Subject::parse(&record.subject);
                sorted.entries.push(Entry::Dead {
                    sequence: record.sequence,
                    subject,
                });

                sorted.dead.push((record, reason));
            }
        }
    }

    sorted
}

fn judge<'a>(
    record: &'a Record,
    revisions: &HashMap<Subject, u64>,
    dead: &DeadSubjects,
) -> Result<&'a Event, String> {
    let event = record.event.as_ref().map_err(ToString::to_string)?;
    // A repair carries the whole state, so it may follow anything. The market's own events and
    // decisions carry no state that tables keep.
    let is_free = matches!(event.subject, Subject::Opened | Subject::Decision { .. });
    if event.fact.is_repair() || is_free {
        return Ok(event);
    }

    if dead.waiting.contains(stored(&record.subject)) {
        return Err("an earlier event of its subject is dead".to_owned());
    }

    let last = revisions.get(&event.subject).copied().unwrap_or(0);
    let revision = event.fact.revision();
    let may_leave_out = dead.with_gaps.contains(stored(&record.subject));
    if revision != last + 1 && !(may_leave_out && revision > last) {
        return Err(format!(
            "its revision is {revision}, but the subject's last revision is {last}"
        ));
    }

    Ok(event)
}

/// Returns the part of a subject that is stored and compared: all of any subject of ours, and of a
/// foreign one as much as an index takes.
fn stored(subject: &str) -> &str {
    &subject[..subject.floor_char_boundary(MAX_SUBJECT)]
}

/// Reads the subjects with dead events: few, and usually none.
pub(super) async fn dead_subjects(tx: &mut Tx) -> Result<DeadSubjects, Error> {
    let rows: Vec<(String, bool)> =
        on_tx!(tx, connection => sqlx::query_as(DEAD_SUBJECTS).fetch_all(connection).await)?;

    let mut dead = DeadSubjects::default();
    for (subject, discarded) in rows {
        let subjects = if discarded {
            &mut dead.with_gaps
        } else {
            &mut dead.waiting
        };
        subjects.insert(subject);
    }

    Ok(dead)
}

/// Stores the dead events of a batch, and marks those that a repair settles: the ones before the
/// repair, not those after it.
pub(super) async fn store_dead(tx: &mut Tx, sorted: &Sorted<'_>) -> Result<(), Error> {
    for (record, reason) in &sorted.dead {
        let message = &record.message;
        let headers: Headers = message
            .headers
            .iter()
            .map(|(name, value)| (without_nul(name).into(), without_nul(value)))
            .collect();

        on_tx!(tx, connection => sqlx::query(INSERT_DEAD)
            .bind(record.sequence as i64)
            .bind(without_nul(stored(&record.subject)))
            .bind(without_nul(reason))
            .bind(Json(&headers))
            .bind(message.body.as_ref())
            .execute(connection)
            .await
            .map(|_| ()))?;
    }

    // After the inserts, so that a repair also settles what died before it in this batch.
    for repair in &sorted.repairs {
        on_tx!(tx, connection => sqlx::query(REPAIR)
            .bind(stored(&repair.subject))
            .bind(repair.sequence as i64)
            .execute(connection)
            .await
            .map(|_| ()))?;
    }
    for (sequence, subject) in &sorted.discards {
        on_tx!(tx, connection => sqlx::query(DISCARD)
            .bind(*subject)
            .bind(*sequence as i64)
            .execute(connection)
            .await
            .map(|_| ()))?;
    }

    Ok(())
}

/// Replaces NUL characters, which PostgreSQL's text and JSON cannot hold. A dead event is the one
/// that may contain them.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
