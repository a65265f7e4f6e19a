//! The durable log of the market's facts: one order, optimistic concurrency per subject.
//!
//! JetStream is the production backend, SQLite the embedded one; callers may rely on what JetStream
//! promises. The log stores and orders events. It makes no decisions (see [`crate::write_path`])
//! and keeps no reader's position.

mod jetstream;
mod opening;
mod record;
mod sqlite;

pub use jetstream::NatsAccess;
pub use record::{ATTEMPT_TIMEOUT, AppendAnswer, Record};

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::Error;
use crate::clock::Clock;
use crate::contract::{Event, Subject, wire};
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Sequence};
use crate::telemetry::{Counter, Histogram, Metrics, Unit};

/// Upper bounds of the histogram of append times, in seconds: up to [`ATTEMPT_TIMEOUT`].
const APPEND_SECONDS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

/// The log of one market. Clones share its connection.
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

impl EventLog {
    /// Opens the log on the NATS servers at `urls`, separated by commas. The client connects in the
    /// background and keeps trying; until it succeeds, calls fail with [`Error::Unavailable`].
    ///
    /// # Errors
    /// [`Error::Broken`] if a URL cannot be parsed.
    pub fn jetstream(
        urls: &str,
        market: &str,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        Self::jetstream_with(urls, &NatsAccess::default(), market, clock, metrics)
    }

    /// Opens the log as [`EventLog::jetstream`] does, with credentials and certificates of files.
    ///
    /// # Errors
    /// [`Error::Broken`] if a URL cannot be parsed, credentials contradict each other, or a file cannot be used.
    pub fn jetstream_with(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let log = jetstream::JetStreamLog::connect(urls, access, market, clock)?;
        Ok(Self::new(
            Backend::JetStream(Arc::new(log)),
            market,
            metrics,
        ))
    }

    /// Opens the log in an SQLite file, which is created if it does not exist. The caller holds the
    /// lock of its directory.
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
                &APPEND_SECONDS,
            ),
            tailed: metrics.counter("log_tailed", "Events read from the log's tail"),
        }
    }

    /// Returns the log's identity, and creates the log if it does not exist yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log cannot be reached. [`Error::Broken`] if the stream or
    /// file is not a log of this project, or not the one that this process followed before.
    pub async fn epoch(&self) -> Result<Epoch, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.epoch().await,
            Backend::Sqlite(log) => Ok(log.epoch()),
        }
    }

    /// Makes one attempt to append `event`, stored only if the last event of its subject is at
    /// `expected` (0 for an empty subject).
    pub async fn append(&self, event: &Event, expected: Sequence) -> AppendAnswer {
        // Encoded outside the measured time, which is that of the backend alone.
        let message = wire::encode(&self.market, event);
        let subject = event.subject.to_string();

        let started = Instant::now();

        let answer = match &self.backend {
            Backend::JetStream(log) => log.append(event.id, &subject, message, expected).await,
            Backend::Sqlite(log) => log.append(event.id, subject, message, expected).await,
        };

        // Failures count as well: a timeout is what an operator looks for.
        self.append_seconds.observe(started.elapsed().as_secs_f64());
        answer
    }

    /// Reads the newest event of a subject, as the stream's leader knows it.
    pub async fn last(&self, subject: &Subject) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        let stored = match &self.backend {
            Backend::JetStream(log) => log.last(&subject).await?,
            Backend::Sqlite(log) => log.last(&subject).await?,
        };

        Ok(stored.map(Record::from))
    }

    /// Reads the event at a sequence, `None` beyond the head.
    pub async fn get(&self, sequence: Sequence) -> Result<Option<Record>, Error> {
        let stored = match &self.backend {
            Backend::JetStream(log) => log.get(sequence).await?,
            Backend::Sqlite(log) => log.get(sequence).await?,
        };

        Ok(stored.map(Record::from))
    }

    /// Reads the first event of a subject after the sequence `after`.
    pub async fn next(&self, subject: &Subject, after: Sequence) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        let stored = match &self.backend {
            Backend::JetStream(log) => log.next(&subject, after).await?,
            Backend::Sqlite(log) => log.next(&subject, after).await?,
        };

        Ok(stored.map(Record::from))
    }

    /// Returns the sequence of the newest event, 0 for an empty log.
    pub async fn head(&self) -> Result<Sequence, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.head().await,
            Backend::Sqlite(log) => log.head().await,
        }
    }

    /// Opens an ordered reader that begins after the sequence `after`.
    ///
    /// `after` must not be beyond the head: some backends would begin such a tail at the head, and
    /// its first batch is then an error.
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

    /// Describes the backend and its durability for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.describe().await,
            Backend::Sqlite(_) => {
                Ok("SQLite: an acknowledged event survives kill -9 and power loss".to_owned())
            }
        }
    }

    /// Returns the number of the present connection. What was known about the log's newest events
    /// on an earlier connection may be outdated, since a server may have lost some in a power
    /// failure.
    pub fn connection(&self) -> u64 {
        match &self.backend {
            Backend::JetStream(log) => log.connection(),
            // A file has no connection that could be replaced.
            Backend::Sqlite(_) => 0,
        }
    }

    /// Checks that the log can be reached and written, as far as is known.
    ///
    /// # Errors
    /// Those of [`EventLog::epoch`], and [`Error::Unavailable`] while an embedded log finds no room on its disk.
    pub async fn check(&self) -> Result<(), Error> {
        self.epoch().await?;
        match &self.backend {
            Backend::JetStream(_) => Ok(()),
            Backend::Sqlite(log) => log.check_writable(),
        }
    }

    /// Returns whether the log can be reached, as far as is known.
    pub fn is_up(&self) -> bool {
        match &self.backend {
            Backend::JetStream(log) => log.is_up(),
            Backend::Sqlite(_) => true,
        }
    }
}

/// An ordered reader of the log without acknowledgements: every event once, without gaps.
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
    /// Waits for the next events and returns those that have arrived, at least one and at most
    /// `max`. Dropping the future loses no event.
    ///
    /// # Errors
    /// The tail has ended: open a new one after the last sequence that was processed.
    pub async fn batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        let stored = match &mut self.source {
            Source::JetStream(tail) => tail.batch(max).await?,
            Source::Sqlite(tail) => tail.batch(max).await?,
        };

        for record in &stored {
            // Nothing is ever deleted from the log, so a gap is a fault on the way to this reader.
            if record.sequence != self.last + 1 {
                return Err(Error::unavailable(
                    "event log",
                    format!("the tail skipped from {} to {}", self.last, record.sequence),
                ));
            }

            self.last = record.sequence;
        }

        self.tailed.inc_by(stored.len() as u64);
        Ok(stored.into_iter().map(Record::from).collect())
    }
}
