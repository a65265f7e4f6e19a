//! The durable log of the market's facts: one order, optimistic concurrency per subject.
//!
//! JetStream is the first implementation, SQLite the second; what callers may rely on is what JetStream promises.
//! The log stores and orders; it does not decide ([`crate::write_path`]) and it keeps no reader's place.

mod jetstream;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::contract::wire::{self, Message, Undecodable};
use crate::contract::{Event, Fact, Subject};
use crate::ids::EventId;
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Sequence};
use crate::telemetry::{Counter, Histogram, Metrics, Unit};
use crate::{Error, random};

/// How long one attempt to append, and one read, may take.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The log of one market.
#[derive(Clone)]
pub struct EventLog {
    backend: Backend,
    market: Arc<str>,
    append_seconds: Histogram,
    tailed: Counter,
}

#[derive(Clone)]
enum Backend {
    JetStream(Arc<jetstream::JetStreamLog>),
    Sqlite(sqlite::SqliteLog),
}

/// One place of the log with what stands there.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place, from 1.
    pub sequence: Sequence,
    /// Its subject without the market, as stored: it names the subject even when the event cannot be read.
    pub subject: String,
    /// The event, or why this binary cannot read it.
    pub event: Result<Event, Undecodable>,
    /// What is stored, for the record of a dead event.
    pub message: Message,
}

/// What the log answered to one attempt to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendAnswer {
    /// Stored at this place.
    Stored(Sequence),
    /// The subject's last event is not the expected one; nothing was stored by this attempt.
    WrongLastSequence,
    /// An event with this id is said to stand at this place. Servers deduplicate over the whole stream, so it may be
    /// on another subject: read it before believing it.
    Duplicate(Sequence),
    /// Refused with a code: this attempt stored nothing.
    Refused {
        /// What the log said.
        why: String,
    },
    /// Nobody knows whether it was stored.
    Unknown {
        /// What happened instead of an answer.
        why: String,
    },
    /// Not even sent.
    NotConnected {
        /// Why not.
        why: String,
    },
}

/// A record as a backend holds it.
struct Stored {
    sequence: Sequence,
    subject: String,
    message: Message,
}

impl EventLog {
    /// The log on a NATS server. It connects in the background and for ever; calls fail with
    /// [`Error::Unavailable`] until it has.
    pub fn jetstream(
        url: &str,
        market: &str,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let log = jetstream::JetStreamLog::connect(url, market, clock)?;
        Ok(Self::new(
            Backend::JetStream(Arc::new(log)),
            market,
            metrics,
        ))
    }

    /// The log in an SQLite file, made if absent. The caller holds the lock of its folder.
    pub async fn sqlite(
        file: &Path,
        market: &str,
        clock: Clock,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let log = sqlite::SqliteLog::open(file, market, clock, lifecycle).await?;
        Ok(Self::new(Backend::Sqlite(log), market, metrics))
    }

    fn new(backend: Backend, market: &str, metrics: &Metrics) -> Self {
        Self {
            backend,
            market: market.into(),
            append_seconds: metrics.histogram(
                "log_append",
                "Time of one attempt to append to the event log",
                Unit::Seconds,
                &[
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
                ],
            ),
            tailed: metrics.counter("log_tailed", "Events read from the log's tail"),
        }
    }

    /// The log's identity. Opens the log: creates it if it does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log cannot be reached; [`Error::Broken`] when it is no log of ours, or is
    /// another one than this process followed before.
    pub async fn epoch(&self) -> Result<Epoch, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.epoch().await,
            Backend::Sqlite(log) => Ok(log.epoch()),
        }
    }

    /// Appends, if the last event of its subject stands at `expected` (0: the subject has none). One attempt.
    pub async fn append(&self, event: &Event, expected: Sequence) -> AppendAnswer {
        let message = wire::encode(&self.market, event);
        let subject = event.subject.to_string();
        let started = std::time::Instant::now();
        let answer = match &self.backend {
            Backend::JetStream(log) => log.append(event.id, &subject, message, expected).await,
            Backend::Sqlite(log) => log.append(event.id, subject, message, expected).await,
        };
        self.append_seconds.observe(started.elapsed().as_secs_f64());
        answer
    }

    /// The newest event of a subject, as the leader knows it.
    pub async fn last(&self, subject: &Subject) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        let stored = match &self.backend {
            Backend::JetStream(log) => log.last(&subject).await?,
            Backend::Sqlite(log) => log.last(&subject).await?,
        };
        Ok(stored.map(Record::from))
    }

    /// The event at a place; `None` beyond the head.
    pub async fn get(&self, sequence: Sequence) -> Result<Option<Record>, Error> {
        let stored = match &self.backend {
            Backend::JetStream(log) => log.get(sequence).await?,
            Backend::Sqlite(log) => log.get(sequence).await?,
        };
        Ok(stored.map(Record::from))
    }

    /// The first event of a subject after a place.
    pub async fn next(&self, subject: &Subject, after: Sequence) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        let stored = match &self.backend {
            Backend::JetStream(log) => log.next(&subject, after).await?,
            Backend::Sqlite(log) => log.next(&subject, after).await?,
        };
        Ok(stored.map(Record::from))
    }

    /// The place of the newest event.
    pub async fn head(&self) -> Result<Sequence, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.head().await,
            Backend::Sqlite(log) => log.head().await,
        }
    }

    /// Reads on, in order, from the place after `after`, which is not beyond the head: some backends would begin
    /// such a tail at the head, and its first batch is an error.
    pub async fn tail(&self, after: Sequence) -> Result<Tail, Error> {
        let source = match &self.backend {
            Backend::JetStream(log) => Source::JetStream(Box::new(log.tail(after).await?)),
            Backend::Sqlite(log) => Source::Sqlite(log.tail(after)),
        };
        Ok(Tail {
            source,
            last: after,
            tailed: self.tailed.clone(),
        })
    }

    /// Where the log is and what it promises, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.describe().await,
            Backend::Sqlite(_) => {
                Ok("SQLite: an acknowledged event survives kill -9 and power loss".to_owned())
            }
        }
    }

    /// The number of the connection that calls go over now: what was known of the log's newest events on another one
    /// may no longer be so, since a server that lost its power may have lost some.
    pub fn connection(&self) -> u64 {
        match &self.backend {
            Backend::JetStream(log) => log.connection(),
            Backend::Sqlite(_) => 0,
        }
    }

    /// Whether a call would find the log now.
    pub fn is_up(&self) -> bool {
        match &self.backend {
            Backend::JetStream(log) => log.is_up(),
            Backend::Sqlite(_) => true,
        }
    }
}

/// An ordered, unacknowledged reader of the log: every event once, none left out.
pub struct Tail {
    source: Source,
    last: Sequence,
    tailed: Counter,
}

enum Source {
    JetStream(Box<jetstream::Tail>),
    Sqlite(sqlite::Tail),
}

impl Tail {
    /// Waits for the next events and returns those that are there, at most `max`, never none. To stop waiting loses
    /// nothing.
    ///
    /// # Errors
    /// The reader is over: open another from the last place that was used.
    pub async fn batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        let stored = match &mut self.source {
            Source::JetStream(tail) => tail.batch(max).await?,
            Source::Sqlite(tail) => tail.batch(max).await?,
        };
        for record in &stored {
            // Nothing is ever deleted from the log, so a hole is a fault of the reader's path.
            if record.sequence != self.last + 1 {
                return Err(Error::unavailable(
                    "event log",
                    format!("its tail jumped from {} to {}", self.last, record.sequence),
                ));
            }
            self.last = record.sequence;
        }
        self.tailed.inc_by(stored.len() as u64);
        Ok(stored.into_iter().map(Record::from).collect())
    }
}

impl From<Stored> for Record {
    fn from(stored: Stored) -> Self {
        let event = wire::decode(&stored.subject, &stored.message);
        Self {
            sequence: stored.sequence,
            subject: stored.subject,
            event,
            message: stored.message,
        }
    }
}

/// The first event of a new log.
fn opening(clock: &Clock) -> Event {
    Event {
        id: EventId(random::random_id()),
        subject: Subject::Opened,
        time: clock.now(),
        trace: None,
        fact: Fact::MarketOpened {
            epoch: Epoch(random::epoch()),
        },
    }
}

/// The epoch that the first event of a log tells.
fn epoch_of(first: Option<Stored>) -> Result<Epoch, Error> {
    let Some(first) = first else {
        return Err(Error::broken("event log", "its first event is gone"));
    };
    match Record::from(first).event {
        Ok(Event {
            fact: Fact::MarketOpened { epoch },
            ..
        }) => Ok(epoch),
        Ok(_) => Err(Error::broken(
            "event log",
            "its first event is not market.opened",
        )),
        Err(why) => Err(Error::broken(
            "event log",
            format!("its first event cannot be read: {why}"),
        )),
    }
}
