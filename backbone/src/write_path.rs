//! The optimistic append: decide on the subject's last event, append under the expectation that
//! nothing was added since, and find out what happened when the log's answer does not tell.
//!
//! The business rules belong to the caller: a pure function from the subject's last event to a
//! [`Decision`]. Whatever the log answers on the way, the mutation's event is stored at most once.
//!
//! A write first decides on the event that this process last wrote to the subject, which saves
//! loading it: a wrong one is found by the append. After that, only what the log says counts.

mod lanes;
mod lookup;
mod memory;
mod mutation;
mod step;

pub use mutation::{Decision, Mutation, WriteError, Written};

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::contract::{Event, Fact};
use crate::event_log::{AppendAnswer, EventLog};
use crate::position::{Position, Sequence};
use crate::random;
use crate::time::Timestamp;
use lanes::{Lanes, NotEntered};
use lookup::Lookup;
use memory::{Last, Memory};
use step::{Step, step};

/// Time for one mutation, including its wait in the lane.
const BUDGET: Duration = Duration::from_secs(5);
/// Pause before deciding again after another writer was first, with a jitter of 50 %.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes mutations of one market to its log.
#[derive(Clone)]
pub struct WritePath {
    log: EventLog,
    lanes: Lanes,
    memory: Memory,
    clock: Clock,
}

/// Place in a subject's order, zeros before its first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    sequence: Sequence,
    revision: u64,
}

/// Knowledge about the attempts of one mutation so far.
struct Attempts {
    deadline: Instant,
    /// Place that attempts of unknown outcome expected as the subject's last. While it is set, the
    /// event may be stored right behind it.
    unknown: Option<Place>,
}

/// Outcome of the attempts on one basis.
enum Appended {
    /// The event is stored; this is its end.
    Stored(Position),
    /// The log reports the event's id at this sequence.
    Reported(Sequence),
    /// The subject has another last event.
    Superseded,
}

impl WritePath {
    /// Builds the write path of the market whose log is `log`.
    pub fn new(log: EventLog, clock: Clock) -> Self {
        Self {
            log,
            lanes: Lanes::default(),
            memory: Memory::default(),
            clock,
        }
    }

    /// Writes one mutation.
    ///
    /// `decide` receives the subject's last fact, `None` for an empty subject, and the time of the
    /// decision, which is never before that of the last event. It runs again when another writer was
    /// first and when the state that it saw may have been outdated, so it must have no side effects.
    ///
    /// A repeat is recognised while the mutation is among the subject's recent ones. A mutation that
    /// changed nothing left no trace: its repeat is decided anew.
    ///
    /// # Errors
    /// See [`WriteError`]: each variant says whether something may have been written.
    pub async fn write<R>(
        &self,
        mutation: &Mutation,
        mut decide: impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Result<Written, WriteError<R>> {
        let deadline = Instant::now() + BUDGET;
        let _turn = self
            .lanes
            .enter(mutation.subject, deadline)
            .await
            .map_err(lane_error)?;

        let lookup = Lookup {
            log: &self.log,
            mutation,
            deadline,
        };
        // Read before the first use of the log: if the connection changes during this write, the
        // memory is stored under the old number and is never recalled.
        let connection = self.log.connection();
        let mut attempts = Attempts {
            deadline,
            unknown: None,
        };
        if let Some(last) = self.assumed(mutation, connection)
            && let Some(event) = self.decide_on_assumption(mutation, last.as_ref(), &mut decide)
        {
            let place = Place::of(last.as_ref());
            // A wrong assumption says nothing about contention, so there is no pause behind it. The
            // report of a duplicate is left to the loop as well: the decided state may differ from
            // the one that is in the log for long.
            if let Appended::Stored(end) = self.append(&event, place, &mut attempts).await? {
                return Ok(self.done(event, connection, end));
            }
        }

        self.write_by_the_log(&lookup, connection, attempts, &mut decide)
            .await
    }

    /// Goes on without assumptions: decides on what the log says and appends, until the outcome is
    /// certain.
    async fn write_by_the_log<R>(
        &self,
        lookup: &Lookup<'_>,
        connection: u64,
        mut attempts: Attempts,
        decide: &mut impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Result<Written, WriteError<R>> {
        loop {
            let last = lookup.last(attempts.unknown.is_some()).await?;
            if let Some(written) = lookup.find_applied(last.as_ref(), attempts.unknown).await? {
                return Ok(written);
            }

            // If the subject has moved past the place that our attempts expected, and none of them
            // is behind it, then none can be stored any more: the server would refuse each.
            let place = Place::of(last.as_ref());
            attempts.unknown = attempts.unknown.filter(|expected| *expected == place);

            let now = self.time_after(last.as_ref());
            let fact = match decide(last.as_ref().map(|last| &last.fact), now) {
                Ok(Decision::Append(fact)) => fact,
                Ok(Decision::Unchanged) => return lookup.unchanged(last).await,
                Err(rejection) => return Err(WriteError::Rejected(rejection)),
            };

            let event = lookup.mutation.event(now, fact);
            match self.append(&event, place, &mut attempts).await? {
                Appended::Stored(end) => return Ok(self.done(event, connection, end)),
                Appended::Reported(sequence) => return lookup.verify(&event, sequence).await,
                Appended::Superseded if Instant::now() >= attempts.deadline => {
                    return Err(out_of_time(attempts.unknown.is_some()));
                }
                // Writers in other processes back off at random, so that one of them gets through.
                Appended::Superseded => sleep(random::jitter(PAUSE, 0.5)).await,
            }
        }
    }

    /// Returns what the subject's last event is assumed to be; `None` where nothing is assumed.
    fn assumed(&self, mutation: &Mutation, connection: u64) -> Option<Option<Last>> {
        match self.memory.recall(&mutation.subject, connection) {
            // A creation expects an empty subject; the append proves it without a load.
            None => mutation.begins.then_some(None),
            last => Some(last),
        }
    }

    /// Decides on an assumption. Returns nothing where the outcome would not be proven by an append:
    /// that the mutation has been applied, is rejected, or changes nothing.
    fn decide_on_assumption<R>(
        &self,
        mutation: &Mutation,
        last: Option<&Last>,
        decide: &mut impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Option<Event> {
        let recent = last.and_then(|last| last.fact.recent());
        if recent.is_some_and(|recent| recent.find(mutation.event_id).is_some()) {
            return None;
        }

        let now = self.time_after(last);
        match decide(last.map(|last| &last.fact), now) {
            Ok(Decision::Append(fact)) => Some(mutation.event(now, fact)),
            Ok(Decision::Unchanged) | Err(_) => None,
        }
    }

    /// Returns the time of a decision: now, unless the host's clock is behind that of the subject's
    /// last writer.
    fn time_after(&self, last: Option<&Last>) -> Timestamp {
        let now = self.clock.now();
        last.map_or(now, |last| now.max(last.time))
    }

    /// Appends behind a place until the outcome is known.
    async fn append<R>(
        &self,
        event: &Event,
        place: Place,
        attempts: &mut Attempts,
    ) -> Result<Appended, WriteError<R>> {
        loop {
            let attempt = self.log.append(event, place.sequence);
            let answer = timeout_at(attempts.deadline, attempt)
                .await
                .unwrap_or_else(|_| AppendAnswer::Unknown {
                    why: format!("the log did not answer within {BUDGET:?}"),
                });

            // Once unknown, always unknown within this loop: the expectation stays the same, so an
            // earlier attempt may still be the one that lands.
            if matches!(answer, AppendAnswer::Unknown { .. }) {
                attempts.unknown = Some(place);
            }

            match step(answer, attempts.unknown.is_some()) {
                Step::Done(end) => return Ok(Appended::Stored(end)),
                Step::Reload => return Ok(Appended::Superseded),
                Step::Verify(sequence) => return Ok(Appended::Reported(sequence)),
                Step::Repeat(why) if Instant::now() >= attempts.deadline => {
                    return Err(WriteError::UnknownOutcome(why));
                }
                // Same id, same expectation: at most one of the attempts can be stored.
                Step::Repeat(_) => sleep(random::jitter(lookup::PAUSE, 0.5)).await,
                Step::Unavailable(why) => return Err(WriteError::Unavailable(why)),
                Step::UnknownOutcome(why) => return Err(WriteError::UnknownOutcome(why)),
            }
        }
    }

    /// Remembers a stored event as its subject's last, and returns it as the result.
    fn done(&self, event: Event, connection: u64, end: Position) -> Written {
        let last = Last {
            sequence: end.sequence,
            time: event.time,
            fact: event.fact.clone(),
        };

        self.memory.remember(event.subject, connection, last);
        Written {
            fact: event.fact,
            position: end,
        }
    }
}

impl Place {
    fn of(last: Option<&Last>) -> Self {
        last.map_or_else(Self::default, |last| Self {
            sequence: last.sequence,
            revision: last.fact.revision(),
        })
    }
}

fn lane_error<R>(error: NotEntered) -> WriteError<R> {
    match error {
        NotEntered::Full => WriteError::LaneFull,
        NotEntered::TooLate => WriteError::Unavailable(format!(
            "the mutation waited {BUDGET:?} for earlier mutations of its subject"
        )),
    }
}

fn out_of_time<R>(unknown: bool) -> WriteError<R> {
    if unknown {
        WriteError::UnknownOutcome(format!(
            "the log did not confirm the event within {BUDGET:?}"
        ))
    } else {
        WriteError::Contended
    }
}
