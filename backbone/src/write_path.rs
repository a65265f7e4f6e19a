//! The optimistic append: load the subject's last event, decide, append under the expectation that
//! nothing was added in between, and find out what happened when the log's answer does not tell.
//!
//! The business rules belong to the caller: a pure function from the subject's last event to a
//! [`Decision`]. Whatever the log answers on the way, the mutation's event is stored at most once.
//! The event that this process last wrote to a subject serves as a speculative starting point,
//! which saves loading it: a wrong one is found by the append.

mod lanes;
mod lookup;
mod memory;
mod mutation;
mod step;

pub use mutation::{Decision, Mutation, WriteError, Written};

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::contract::{Event, Fact, Subject};
use crate::event_log::{AppendAnswer, EventLog};
use crate::position::Sequence;
use crate::random;
use crate::time::Timestamp;
use lanes::{Lanes, NotEntered};
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

/// State of the subject that a decision rests on.
struct Basis {
    /// The subject's last event; `None` for an empty subject.
    last: Option<Last>,
    /// Set when `last` is this process's memory or an assumption, not an answer of the log.
    speculative: bool,
}

impl Basis {
    /// Returns sequence and revision of the last event, zeros for an empty subject.
    fn stands_at(&self) -> (Sequence, u64) {
        self.last
            .as_ref()
            .map_or((0, 0), |last| (last.sequence, last.fact.revision()))
    }
}

/// Knowledge about the attempts of one mutation so far.
struct Attempts {
    deadline: Instant,
    /// Set while an earlier attempt may still turn out to be stored.
    unknown: bool,
    /// Sequence that the last attempt expected.
    expected: Sequence,
    /// Sequence and revision after which the subject may hold an event of these attempts.
    since: (Sequence, u64),
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
    /// decision. It runs again when another writer was first and when the state that it saw may
    /// have been outdated, so it must have no side effects.
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

        // Read before the first use of the log: if the connection changes during this write, the
        // memory is stored under the old number and is never recalled.
        let connection = self.log.connection();
        let mut basis = self.first_basis(mutation, connection, deadline).await?;
        let since = basis.stands_at();
        let mut attempts = Attempts {
            deadline,
            unknown: false,
            expected: since.0,
            since,
        };

        loop {
            let result = self
                .try_once(mutation, basis, &mut attempts, &mut decide)
                .await?;

            if let Some(written) = result {
                // The position is the end of the event, so its sequence is the event's own.
                let last = Last {
                    sequence: written.position.sequence,
                    fact: written.fact.clone(),
                };

                self.memory.remember(mutation.subject, connection, last);
                return Ok(written);
            }

            // From here on only the log's answer counts, never memory: this is what ends the loop
            // after a wrong speculative basis.
            basis = self
                .load(mutation.subject, deadline, attempts.unknown)
                .await?;
        }
    }

    /// Returns a speculative basis where there is one, else what the log holds.
    async fn first_basis<R>(
        &self,
        mutation: &Mutation,
        connection: u64,
        deadline: Instant,
    ) -> Result<Basis, WriteError<R>> {
        match self.memory.recall(&mutation.subject, connection) {
            // A creation expects an empty subject; the append proves it without a load.
            None if mutation.begins => Ok(Basis {
                last: None,
                speculative: true,
            }),
            None => self.load(mutation.subject, deadline, false).await,
            last => Ok(Basis {
                last,
                speculative: true,
            }),
        }
    }

    /// Decides on a basis and does what was decided. Returns `None` when the subject must be loaded
    /// from the log before deciding again.
    async fn try_once<R>(
        &self,
        mutation: &Mutation,
        basis: Basis,
        attempts: &mut Attempts,
        decide: &mut impl FnMut(Option<&Fact>, Timestamp) -> Result<Decision, R>,
    ) -> Result<Option<Written>, WriteError<R>> {
        let found =
            lookup::find_applied(&self.log, mutation, basis.last.as_ref(), attempts.since).await;
        match found {
            Ok(None) => {}
            // The memory may be older than the log, so neither a repeat nor an error is final yet.
            _ if basis.speculative => return Ok(None),
            Ok(Some(written)) => return Ok(Some(written)),
            Err(error) => return Err(error),
        }

        // If the subject has moved past the sequence that our attempts expected, and none of them
        // is on it, then none of them can be stored any more: the server would refuse each.
        let stands_at = basis.stands_at();
        attempts.unknown &= stands_at.0 == attempts.expected;
        if !attempts.unknown {
            attempts.since = stands_at;
        }

        let now = self.clock.now();
        let fact = match decide(basis.last.as_ref().map(|last| &last.fact), now) {
            Ok(Decision::Append(fact)) => fact,
            // A rejection, or that nothing is to be done, must rest on the log itself: no append
            // follows that would expose an outdated basis.
            _ if basis.speculative => return Ok(None),
            Err(rejection) => return Err(WriteError::Rejected(rejection)),
            Ok(Decision::Unchanged) => return self.unchanged(basis).await.map(Some),
        };

        attempts.expected = stands_at.0;
        let event = Event {
            id: mutation.event_id,
            subject: mutation.subject,
            time: now,
            trace: mutation.trace,
            fact,
        };

        match self.append(event, basis.speculative, attempts).await? {
            Some(written) => Ok(Some(written)),
            None if Instant::now() >= attempts.deadline => Err(out_of_time(attempts.unknown)),
            None => Ok(None),
        }
    }

    /// Returns the subject's present state as the result.
    async fn unchanged<R>(&self, basis: Basis) -> Result<Written, WriteError<R>> {
        let Some(last) = basis.last else {
            return Err(WriteError::Broken(
                "a mutation of an empty subject was decided to change nothing".to_owned(),
            ));
        };
        lookup::written(&self.log, last.fact, last.sequence).await
    }

    /// Appends until the outcome is known. Returns `None` when the log must be read first: another
    /// writer was faster, or a decision on a speculative basis repeats an old event.
    async fn append<R>(
        &self,
        event: Event,
        speculative: bool,
        attempts: &mut Attempts,
    ) -> Result<Option<Written>, WriteError<R>> {
        loop {
            let answer = self.log.append(&event, attempts.expected).await;
            // Once unknown, always unknown within this loop: the expectation stays the same, so an
            // earlier attempt may still be the one that lands.
            attempts.unknown |= matches!(answer, AppendAnswer::Unknown { .. });

            match step(answer, attempts.unknown) {
                Step::Done(sequence) => {
                    return lookup::written(&self.log, event.fact, sequence)
                        .await
                        .map(Some);
                }
                Step::Reload => {
                    // Writers in other processes back off at random, so that one of them gets
                    // through. A wrong speculative basis says nothing about contention.
                    if !speculative {
                        sleep(random::jitter(PAUSE, 0.5)).await;
                    }

                    return Ok(None);
                }
                // The decided state may differ from the one that is in the log for long.
                Step::Verify(_) if speculative => return Ok(None),
                Step::Verify(sequence) => {
                    return lookup::verify(&self.log, &event, sequence).await.map(Some);
                }
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

    async fn load<R>(
        &self,
        subject: Subject,
        deadline: Instant,
        unknown: bool,
    ) -> Result<Basis, WriteError<R>> {
        let last = lookup::load_last(&self.log, subject, deadline, unknown).await?;
        Ok(Basis {
            last,
            speculative: false,
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
