//! How a mutation becomes one event: load, decide, append with the expectation that nothing came between, and find
//! out what happened when the log does not say.
//!
//! The rules of what may happen are the caller's: a pure function from the subject's last event to a [`Decision`].
//! A mutation's event is in the log once, whatever was answered on the way. What this process wrote last saves loading
//! it again, as a guess that the expectation proves.

mod lanes;
mod memory;
mod step;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::contract::wire::Undecodable;
use crate::contract::{Applied, Event, Fact, Fingerprint, Subject};
use crate::event_log::{AppendAnswer, EventLog, Record};
use crate::ids::EventId;
use crate::position::{Position, Sequence};
use crate::telemetry::TraceContext;
use crate::time::Timestamp;
use crate::{Error, random};
use lanes::Lanes;
use memory::{Last, Memory};
use step::{Step, step};

/// How long one mutation may take, queueing included.
const BUDGET: Duration = Duration::from_secs(5);
/// The pause before another attempt, give or take half of it.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes mutations of one market.
#[derive(Clone)]
pub struct WritePath {
    log: EventLog,
    lanes: Lanes,
    memory: Memory,
    clock: Clock,
}

/// What is asked, and how a repeat of it is known.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What it is about.
    pub subject: Subject,
    /// The same for every attempt, and for a repeat with the same key.
    pub event_id: EventId,
    /// Of the caller's idempotency key.
    pub key: Option<Fingerprint>,
    /// Of what was asked.
    pub request: Fingerprint,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// The subject should be empty: this begins it.
    pub begins: bool,
}

impl Mutation {
    /// What the event remembers of it.
    pub fn applied(&self, version: u32) -> Applied {
        Applied {
            event: self.event_id,
            key: self.key.clone(),
            request: self.request.clone(),
            version,
        }
    }
}

/// What the rules say.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, and every rule would have to box"
)]
pub enum Decision {
    /// This happens.
    Append(Fact),
    /// What was asked for is so already: nothing happens.
    Unchanged,
}

/// A mutation that is in the log, or changed nothing.
#[derive(Clone, Debug)]
pub struct Written {
    /// The subject's state after it.
    pub fact: Fact,
    /// The end of the event that made this state.
    pub position: Position,
}

/// Why a mutation is not known to be in the log.
#[derive(Debug)]
pub enum WriteError<R> {
    /// The rules say no.
    Rejected(R),
    /// The key was used with another request.
    KeyReused,
    /// Others kept changing the subject for the whole budget; nothing was written. Retry.
    Contended,
    /// Too many mutations of this subject wait already; nothing was written. Retry later.
    LaneFull,
    /// The log is away or refuses; nothing was written. Retry later.
    Unavailable(String),
    /// It may be in the log or not: repeat it with the same key to learn which.
    UnknownOutcome(String),
    /// What the log holds is not as it must be.
    Broken(String),
}

/// What a decision rests on.
struct Basis {
    /// The subject's last event.
    last: Option<Last>,
    /// Not from the log: what this process knew last.
    guessed: bool,
}

impl Basis {
    /// The place of the last event, and its revision.
    fn checkpoint(&self) -> (Sequence, u64) {
        self.last
            .as_ref()
            .map_or((0, 0), |last| (last.sequence, last.fact.revision()))
    }
}

/// What is known of the attempts so far.
struct Attempts {
    deadline: Instant,
    /// The outcome of one of them is not known.
    unknown: bool,
    /// What the last of them expected.
    expected: Sequence,
    /// From here on the subject may hold an event of theirs.
    since: (Sequence, u64),
}

impl WritePath {
    /// Over a log.
    pub fn new(log: EventLog, clock: Clock) -> Self {
        Self {
            log,
            lanes: Lanes::default(),
            memory: Memory::default(),
            clock,
        }
    }

    /// Writes one mutation. `decide` sees the subject's last fact and the time of the decision; it is asked again
    /// when somebody else was faster, or when what it saw may be old.
    pub async fn write<R>(
        &self,
        mutation: &Mutation,
        mut decide: impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Result<Written, WriteError<R>> {
        let deadline = Instant::now() + BUDGET;
        let _turn =
            self.lanes
                .enter(mutation.subject, deadline)
                .await
                .map_err(|full| match full {
                    lanes::Refused::Full => WriteError::LaneFull,
                    lanes::Refused::TooLate => {
                        WriteError::Unavailable("its turn did not come in time".to_owned())
                    }
                })?;
        let connection = self.log.connection();
        let mut basis = match self.memory.recall(&mutation.subject, connection) {
            None if mutation.begins => Basis {
                last: None,
                guessed: true,
            },
            None => self.load(mutation.subject, deadline, false).await?,
            last => Basis {
                last,
                guessed: true,
            },
        };
        let since = basis.checkpoint();
        let mut attempts = Attempts {
            deadline,
            unknown: false,
            expected: since.0,
            since,
        };
        loop {
            if let Some(written) = self
                .turn(mutation, basis, &mut attempts, &mut decide)
                .await?
            {
                // Its position is the end of the event that stands at the sequence.
                let last = Last {
                    sequence: written.position.sequence,
                    fact: written.fact.clone(),
                };
                self.memory.keep(mutation.subject, connection, last);
                return Ok(written);
            }
            basis = self
                .load(mutation.subject, deadline, attempts.unknown)
                .await?;
        }
    }

    /// Decides on a basis, and does what was decided; `None` when only the log can say.
    async fn turn<R>(
        &self,
        mutation: &Mutation,
        basis: Basis,
        attempts: &mut Attempts,
        decide: &mut impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Result<Option<Written>, WriteError<R>> {
        match self
            .already(mutation, basis.last.as_ref(), attempts.since)
            .await
        {
            Ok(None) => {}
            _ if basis.guessed => return Ok(None),
            Ok(Some(written)) => return Ok(Some(written)),
            Err(error) => return Err(error),
        }
        // The subject has moved past what our attempts expected, and none of them is there: none can land any more.
        attempts.unknown &= basis.checkpoint().0 == attempts.expected;
        if !attempts.unknown {
            attempts.since = basis.checkpoint();
        }
        let now = self.clock.now();
        let fact = match decide(basis.last.as_ref().map(|last| &last.fact), now) {
            Ok(Decision::Append(fact)) => fact,
            _ if basis.guessed => return Ok(None),
            Err(no) => return Err(WriteError::Rejected(no)),
            Ok(Decision::Unchanged) => {
                let nothing = || {
                    WriteError::Broken("nothing can stay as it is on an empty subject".to_owned())
                };
                let last = basis.last.ok_or_else(nothing)?;
                return self.written(last.fact, last.sequence).await.map(Some);
            }
        };
        attempts.expected = basis.checkpoint().0;
        let event = Event {
            id: mutation.event_id,
            subject: mutation.subject,
            time: now,
            trace: mutation.trace,
            fact,
        };
        match self.append(event, basis.guessed, attempts).await? {
            Some(written) => Ok(Some(written)),
            None if Instant::now() >= attempts.deadline => Err(out_of_time(attempts.unknown)),
            None => Ok(None),
        }
    }

    /// Appends until the outcome is known; `None` when the log must be looked at first: somebody else was faster, or
    /// what was decided on a guess has been in the log for long.
    async fn append<R>(
        &self,
        event: Event,
        guessed: bool,
        attempts: &mut Attempts,
    ) -> Result<Option<Written>, WriteError<R>> {
        loop {
            let answer = self.log.append(&event, attempts.expected).await;
            attempts.unknown |= matches!(answer, AppendAnswer::Unknown { .. });
            match step(answer, attempts.unknown) {
                Step::Done(sequence) => return self.written(event.fact, sequence).await.map(Some),
                Step::Reload => {
                    if !guessed {
                        sleep(random::jitter(PAUSE, 0.5)).await;
                    }
                    return Ok(None);
                }
                Step::Verify(_) if guessed => return Ok(None),
                Step::Verify(sequence) => return self.verify(&event, sequence).await.map(Some),
                Step::Repeat(why) if Instant::now() >= attempts.deadline => {
                    return Err(WriteError::UnknownOutcome(why));
                }
                Step::Repeat(_) => sleep(random::jitter(PAUSE * 10, 0.5)).await,
                Step::Unavailable(why) => return Err(WriteError::Unavailable(why)),
                Step::UnknownOutcome(why) => return Err(WriteError::UnknownOutcome(why)),
            }
        }
    }

    /// The log says that our id stands at this place: true only if it is our event, on our subject.
    async fn verify<R>(&self, event: &Event, sequence: Sequence) -> Result<Written, WriteError<R>> {
        let found = self
            .log
            .get(sequence)
            .await
            .map_err(|error| WriteError::UnknownOutcome(error.to_string()))?;
        match found.map(|record| record.event) {
            Some(Ok(found)) if found.id == event.id && found.subject == event.subject => {
                // The log remembers ids for longer than a subject does.
                match (carried(&found), carried(event)) {
                    (Some(found), Some(asked)) if !same_request(found, asked) => {
                        Err(WriteError::KeyReused)
                    }
                    _ => self.written(found.fact, sequence).await,
                }
            }
            _ => Err(WriteError::Broken(format!(
                "the id of this mutation is another event's, at {sequence}"
            ))),
        }
    }

    /// Whether this mutation, or a repeat of it, has happened.
    async fn already<R>(
        &self,
        mutation: &Mutation,
        last: Option<&Last>,
        first: (Sequence, u64),
    ) -> Result<Option<Written>, WriteError<R>> {
        let Some(last) = last else { return Ok(None) };
        let Some(recent) = last.fact.recent() else {
            return Ok(None);
        };
        let (sequence, revision) = first;
        let applied = match recent.find(mutation.event_id) {
            Some(applied) => Some(applied.clone()),
            None if recent.reaches_back_to(revision, last.fact.revision()) => None,
            None => self.walk(mutation, sequence, last.sequence).await?,
        };
        match applied {
            None => Ok(None),
            Some(applied) if same_request(&applied, &mutation.applied(applied.version)) => self
                .written(last.fact.clone(), last.sequence)
                .await
                .map(Some),
            Some(_) => Err(WriteError::KeyReused),
        }
    }

    /// What our event on the subject after a place carries, for when the last event no longer remembers so far back.
    async fn walk<R>(
        &self,
        mutation: &Mutation,
        after: Sequence,
        upto: Sequence,
    ) -> Result<Option<Applied>, WriteError<R>> {
        let mut after = after;
        while after < upto {
            let next = self.log.next(&mutation.subject, after).await;
            let Some(record) =
                next.map_err(|error| WriteError::UnknownOutcome(error.to_string()))?
            else {
                return Ok(None);
            };
            match &record.event {
                Ok(event) if event.id == mutation.event_id => return Ok(carried(event).cloned()),
                _ => after = record.sequence,
            }
        }
        Ok(None)
    }

    /// The subject's last event. Before anything was sent, a log that is away is said at once.
    async fn load<R>(
        &self,
        subject: Subject,
        deadline: Instant,
        unknown: bool,
    ) -> Result<Basis, WriteError<R>> {
        loop {
            match self.log.last(&subject).await {
                Ok(Some(record)) => {
                    return readable(record).map(|last| Basis {
                        last: Some(last),
                        guessed: false,
                    });
                }
                Ok(None) => {
                    return Ok(Basis {
                        last: None,
                        guessed: false,
                    });
                }
                Err(Error::Unavailable { .. }) if unknown && Instant::now() < deadline => {
                    sleep(random::jitter(PAUSE * 10, 0.5)).await;
                }
                Err(error) if unknown => return Err(WriteError::UnknownOutcome(error.to_string())),
                Err(error @ Error::Unavailable { .. }) => {
                    return Err(WriteError::Unavailable(error.to_string()));
                }
                Err(error) => return Err(WriteError::Broken(error.to_string())),
            }
        }
    }

    async fn written<R>(&self, fact: Fact, sequence: Sequence) -> Result<Written, WriteError<R>> {
        // The epoch is known from the connection that the event was read or written on.
        let epoch = self
            .log
            .epoch()
            .await
            .map_err(|error| WriteError::UnknownOutcome(error.to_string()))?;
        Ok(Written {
            fact,
            position: Position::end_of(epoch, sequence),
        })
    }
}

/// The mutation behind an event.
fn carried(event: &Event) -> Option<&Applied> {
    event.fact.recent().and_then(|recent| recent.latest.last())
}

fn same_request(one: &Applied, other: &Applied) -> bool {
    one.request == other.request && one.key == other.key
}

fn readable<R>(record: Record) -> Result<Last, WriteError<R>> {
    match record.event {
        Ok(event) => Ok(Last {
            sequence: record.sequence,
            fact: event.fact,
        }),
        Err(why @ Undecodable::Newer { .. }) => Err(WriteError::Unavailable(why.to_string())),
        Err(why) => Err(WriteError::Broken(format!(
            "event {} cannot be read: {why}",
            record.sequence
        ))),
    }
}

fn out_of_time<R>(unknown: bool) -> WriteError<R> {
    if unknown {
        WriteError::UnknownOutcome("the time was up before the outcome was known".to_owned())
    } else {
        WriteError::Contended
    }
}
