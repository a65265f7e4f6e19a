//! Which events of a batch can be applied: an event that cannot be read, or does not follow its subject's last one,
//! is dead; later events of its subject join it in order until a repair. The rest goes on.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;

use crate::contract::wire::Headers;
use crate::contract::{Event, Subject};
use crate::db::Tx;
use crate::event_log::Record;
use crate::position::Sequence;
use crate::{Error, on_tx};

const DEAD_SUBJECTS: &str = "SELECT DISTINCT subject FROM dead_event WHERE NOT repaired";
const KEEP: &str = "
    INSERT INTO dead_event (sequence, subject, reason, headers, body, repaired)
    VALUES ($1, $2, $3, $4, $5, FALSE)";
const REPAIR: &str = "UPDATE dead_event SET repaired = TRUE WHERE subject = $1 AND sequence < $2";

/// One event of a batch, as the slice applies it.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// It can be applied.
    Event {
        /// Its place in the log.
        sequence: Sequence,
        /// The event.
        event: &'a Event,
    },
    /// It cannot, and its subject stays at its last good state.
    Dead {
        /// Its place in the log.
        sequence: Sequence,
        /// Its subject; none when that cannot be read either.
        subject: Option<Subject>,
    },
}

impl Entry<'_> {
    /// Its place in the log.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Event { sequence, .. } | Self::Dead { sequence, .. } => *sequence,
        }
    }
}

/// A batch, sorted.
pub(super) struct Sorted<'a> {
    /// Every event of the batch, in order.
    pub(super) entries: Vec<Entry<'a>>,
    /// Those that are dead, with why.
    pub(super) dead: Vec<(&'a Record, String)>,
    /// The repairs that settle dead events of their subject before them.
    pub(super) repairs: Vec<&'a Record>,
}

/// The subjects that a batch names.
pub(super) fn subjects(records: &[Record]) -> Vec<Subject> {
    let named: HashSet<Subject> = records
        .iter()
        .filter_map(|record| Subject::parse(&record.subject))
        .collect();
    named.into_iter().collect()
}

/// Decides, event by event. `revisions` are those of the tables before the batch.
pub(super) fn sort<'a>(
    records: &'a [Record],
    mut revisions: HashMap<Subject, u64>,
    mut dead_subjects: HashSet<String>,
) -> Sorted<'a> {
    let mut sorted = Sorted {
        entries: Vec::with_capacity(records.len()),
        dead: Vec::new(),
        repairs: Vec::new(),
    };
    for record in records {
        match judge(record, &revisions, &dead_subjects) {
            Ok(event) => {
                if event.fact.is_repair() && dead_subjects.remove(&record.subject) {
                    sorted.repairs.push(record);
                }
                revisions.insert(event.subject, event.fact.revision());
                sorted.entries.push(Entry::Event {
                    sequence: record.sequence,
                    event,
                });
            }
            Err(reason) => {
                dead_subjects.insert(record.subject.clone());
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
    dead_subjects: &HashSet<String>,
) -> Result<&'a Event, String> {
    let event = record.event.as_ref().map_err(ToString::to_string)?;
    if event.fact.is_repair() {
        return Ok(event);
    }
    if dead_subjects.contains(&record.subject) {
        return Err("an earlier event of its subject is dead".to_owned());
    }
    let (last, revision) = (
        revisions.get(&event.subject).copied().unwrap_or(0),
        event.fact.revision(),
    );
    if revision != last + 1 {
        return Err(format!(
            "its revision is {revision}, the one before is {last}"
        ));
    }
    Ok(event)
}

/// The subjects that wait for a repair. Few, as a rule none.
pub(super) async fn dead_subjects(tx: &mut Tx) -> Result<HashSet<String>, Error> {
    let subjects: Result<Vec<String>, _> =
        on_tx!(tx, connection => sqlx::query_scalar(DEAD_SUBJECTS).fetch_all(connection).await);
    Ok(subjects?.into_iter().collect())
}

/// Keeps what is dead, and settles what a repair covers: the dead before it, not those after.
pub(super) async fn keep_dead(tx: &mut Tx, sorted: &Sorted<'_>) -> Result<(), Error> {
    for (record, reason) in &sorted.dead {
        let message = &record.message;
        let headers: Headers = message
            .headers
            .iter()
            .map(|(name, value)| (without_nul(name).into(), without_nul(value)))
            .collect();
        on_tx!(tx, connection => sqlx::query(KEEP)
            .bind(record.sequence as i64)
            .bind(without_nul(&record.subject))
            .bind(without_nul(reason))
            .bind(Json(&headers))
            .bind(message.body.as_ref())
            .execute(connection)
            .await
            .map(|_| ()))?;
    }
    for repair in &sorted.repairs {
        on_tx!(tx, connection => sqlx::query(REPAIR)
            .bind(&repair.subject)
            .bind(repair.sequence as i64)
            .execute(connection)
            .await
            .map(|_| ()))?;
    }
    Ok(())
}

/// PostgreSQL's text and JSON hold no NUL, and a dead event is the one that may bring it.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
