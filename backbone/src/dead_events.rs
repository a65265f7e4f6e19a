//! Decisions of operators about events that readers cannot apply: to skip one that a newer version
//! wrote, to give up the dead events of a subject, or to repair the subject from its newest readable
//! state. Each is a fact of the log, with who decided it and why.

use std::time::Duration;

use sqlx::FromRow;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::contract::{
    AccessCause, AccessFact, Applied, DealCause, DealFact, DecisionKind, Event, EventDecision,
    Fact, Fingerprint, OperatorNote, Recent, Subject,
};
use crate::db::Db;
use crate::event_log::{AppendAnswer, EventLog, Record};
use crate::ids::EventId;
use crate::position::{Position, Sequence};
use crate::{Error, on_db, random};

const LIST: &str = include_str!("dead_events/list.sql");

/// Time for one decision.
const BUDGET: Duration = Duration::from_secs(10);
/// Pause before asking a log again, with a jitter of 50 %.
const PAUSE: Duration = Duration::from_millis(50);

/// An event that one side's tables have set aside.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct DeadEvent {
    /// Sequence of the event.
    #[sqlx(try_from = "i64")]
    pub sequence: Sequence,
    /// Subject of the event, without the market, at most its first 500 bytes.
    pub subject: String,
    /// Reason why it could not be applied.
    pub reason: String,
    /// Set once a repair or a decision has settled it.
    #[sqlx(rename = "repaired")]
    pub settled: bool,
}

/// Reads the dead events of a side's tables after the sequence `after`, in their order; those that
/// have been settled too if `settled` says so.
///
/// # Errors
/// [`Error::Unavailable`] while the database cannot be reached.
pub async fn list(
    db: &Db,
    after: Sequence,
    limit: u32,
    settled: bool,
) -> Result<Vec<DeadEvent>, Error> {
    on_db!(db.read(), pool => sqlx::query_as(LIST)
        .bind(after as i64)
        .bind(i64::from(limit))
        .bind(settled)
        .fetch_all(pool)
        .await)
}

/// Reason why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The log has no event at the sequence.
    #[error("the log has no event {0}")]
    NoEvent(Sequence),
    /// The event belongs to nothing that has a state.
    #[error("event {0} is of no deal and of no access, so there is nothing to repair; discard it")]
    NoState(Sequence),
    /// No event of the subject can be decoded.
    #[error("no event of {0} can be decoded, so there is no state to repair it with; discard it")]
    NothingReadable(String),
    /// The log or a database failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Decisions about the events of one market's log.
pub struct Decisions {
    log: EventLog,
    clock: Clock,
}

impl Decisions {
    /// Builds the handle.
    pub fn new(log: EventLog, clock: Clock) -> Self {
        Self { log, clock }
    }

    /// Lets readers that wait for a newer version at an event go on without it: it becomes dead.
    /// Readers that have applied it already are not affected.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn skip(
        &self,
        sequence: Sequence,
        operator: OperatorNote,
    ) -> Result<Position, Refused> {
        self.decide(DecisionKind::Skip, sequence, operator).await
    }

    /// Gives up the dead events of an event's subject: its next event is applied, whatever revision
    /// it has.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn discard(
        &self,
        sequence: Sequence,
        operator: OperatorNote,
    ) -> Result<Position, Refused> {
        self.decide(DecisionKind::Discard, sequence, operator).await
    }

    /// Appends the newest readable state of an event's subject as a repair, from which all readers
    /// go on.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn repair(
        &self,
        sequence: Sequence,
        operator: OperatorNote,
    ) -> Result<Position, Refused> {
        let record = self.event(sequence).await?;
        let subject = match Subject::parse(&record.subject) {
            Some(subject @ (Subject::Deal { .. } | Subject::Access { .. })) => subject,
            _ => return Err(Refused::NoState(sequence)),
        };

        let wanted = Wanted::Repair {
            stored_under: record.subject,
            operator,
        };
        self.append(subject, wanted).await
    }

    async fn decide(
        &self,
        kind: DecisionKind,
        sequence: Sequence,
        operator: OperatorNote,
    ) -> Result<Position, Refused> {
        let record = self.event(sequence).await?;
        let wanted = Wanted::Decision {
            kind,
            sequence,
            stored_under: record.subject,
            operator,
        };
        self.append(Subject::Decision { sequence }, wanted).await
    }

    async fn event(&self, sequence: Sequence) -> Result<Record, Refused> {
        self.log.prepare().await?;
        let record = self.log.get(sequence).await?;
        record.ok_or(Refused::NoEvent(sequence))
    }

    /// Reads a subject's events, of which some cannot be decoded.
    async fn history(&self, subject: Subject) -> Result<History, Error> {
        let mut history = History::default();
        while let Some(record) = self.log.next(&subject, history.last).await? {
            history.last = record.sequence;
            if let Ok(event) = record.event {
                history.newest = Some(event.fact);
            }
        }

        Ok(history)
    }

    /// Returns the fact of a subject as it stands, and the sequence of the subject's last event.
    async fn make(
        &self,
        id: EventId,
        subject: Subject,
        wanted: &Wanted,
    ) -> Result<(Fact, Sequence), Refused> {
        match wanted {
            Wanted::Repair {
                stored_under,
                operator,
            } => {
                let history = self.history(subject).await?;
                let newest = history.newest;
                let fact = newest.and_then(|fact| repaired(fact, id, operator));
                let fact = fact.ok_or_else(|| Refused::NothingReadable(stored_under.clone()))?;
                Ok((fact, history.last))
            }
            Wanted::Decision {
                kind,
                sequence,
                stored_under,
                operator,
            } => {
                let last = self.log.last(&subject).await?;
                let before = last.as_ref().and_then(|last| last.event.as_ref().ok());
                let applied = applied(id);
                let fact = EventDecision {
                    kind: *kind,
                    revision: before.map_or(0, |event| event.fact.revision()) + 1,
                    sequence: *sequence,
                    subject: stored_under.clone(),
                    operator: operator.clone(),
                    recent: match before.and_then(|event| event.fact.recent()) {
                        Some(recent) => recent.then(applied),
                        None => Recent::first(applied),
                    },
                };
                Ok((Fact::Decision(fact), last.map_or(0, |last| last.sequence)))
            }
        }
    }

    /// Appends what is wanted of the subject as it stands, made again after each other writer.
    async fn append(&self, subject: Subject, wanted: Wanted) -> Result<Position, Refused> {
        // The same through all attempts, so that the event is stored once.
        let id = EventId(random::random_id());
        let deadline = Instant::now() + BUDGET;
        loop {
            let (fact, expected) = self.make(id, subject, &wanted).await?;
            let event = Event {
                id,
                subject,
                time: self.clock.now(),
                trace: None,
                fact,
            };

            let why = match self.log.append(&event, expected).await {
                AppendAnswer::Stored(end) => return Ok(end),
                AppendAnswer::Duplicate(sequence) => {
                    return Ok(Position::end_of(self.log.epoch().await?, sequence));
                }
                AppendAnswer::WrongLastSequence => "other writers were first".to_owned(),
                AppendAnswer::Unknown { why } => why,
                AppendAnswer::Refused { why } | AppendAnswer::NotConnected { why } => {
                    return Err(Error::unavailable("event log", why).into());
                }
            };

            if Instant::now() >= deadline {
                return Err(Error::unavailable("event log", why).into());
            }
            sleep(random::jitter(PAUSE, 0.5)).await;
        }
    }
}

/// Event that an operator wants in the log.
enum Wanted {
    /// The newest readable state of the subject.
    Repair {
        /// Subject of the event that the operator named, as it is stored.
        stored_under: String,
        operator: OperatorNote,
    },
    /// A decision about an event.
    Decision {
        kind: DecisionKind,
        sequence: Sequence,
        /// Subject of the event, as it is stored.
        stored_under: String,
        operator: OperatorNote,
    },
}

/// A subject's events.
#[derive(Default)]
struct History {
    /// Sequence of the last one, readable or not.
    last: Sequence,
    /// The newest readable one.
    newest: Option<Fact>,
}

/// Returns the fact that repairs a subject with this state; `None` if it has none.
fn repaired(newest: Fact, id: EventId, operator: &OperatorNote) -> Option<Fact> {
    let applied = applied(id);
    match newest {
        Fact::Deal(fact) => Some(Fact::Deal(DealFact {
            cause: DealCause::Repaired,
            revision: fact.revision + 1,
            changed: Vec::new(),
            // Readers take it from their own row.
            previous: None,
            recent: fact.recent.then(applied.clone()),
            mutation: Some(applied),
            operator: Some(operator.clone()),
            ..fact
        })),
        Fact::Access(fact) => Some(Fact::Access(AccessFact {
            cause: AccessCause::Repaired,
            revision: fact.revision + 1,
            recent: fact.recent.then(applied.clone()),
            mutation: Some(applied),
            operator: Some(operator.clone()),
            ..fact
        })),
        Fact::MarketOpened { .. } | Fact::MarketReopened { .. } | Fact::Decision(_) => None,
    }
}

fn applied(id: EventId) -> Applied {
    Applied {
        event: id,
        key: None,
        request: Fingerprint::of(b"operator"),
        version: 0,
    }
}
