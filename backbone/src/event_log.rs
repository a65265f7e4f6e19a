//! The durable log of the market's facts: one order, optimistic concurrency per subject.
//!
//! JetStream is the production backend, SQLite the embedded one; callers may rely on what JetStream
//! promises. The log stores and orders events. It makes no decisions (see [`crate::write_path`])
//! and keeps no reader's position.

mod export;
mod import;
mod jetstream;
mod lines;
mod opening;
mod proof;
mod record;
mod reopen;
mod sqlite;

pub use import::{ImportError, ImportFile, LogImport};
pub use jetstream::NatsAccess;
pub use lines::ExportHeader;
pub use record::{ATTEMPT_TIMEOUT, AppendAnswer, Record};
pub use reopen::Fit;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout;

use crate::Error;
use crate::checkpoint::Tables;
use crate::clock::Clock;
use crate::contract::{Event, Subject, wire};
use crate::ids::EventId;
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Sequence};
use crate::telemetry::{Counter, Histogram, Metrics, Unit};
use proof::Proof;

/// Upper bounds of the histogram of append times, in seconds: up to [`ATTEMPT_TIMEOUT`].
const APPEND_SECONDS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

/// The log of one market. Clones share its connection.
#[derive(Clone)]
pub struct EventLog {
    backend: Backend,
    market: Arc<str>,
    proof: Arc<Proof>,
    append_seconds: Histogram,
    tailed: Counter,
}

#[derive(Clone)]
enum Backend {
    JetStream(Arc<jetstream::JetStreamLog>),
    Sqlite(sqlite::SqliteLog),
}

impl EventLog {
    /// Opens the log of `tables` on the NATS servers at `urls`, separated by commas. The client
    /// connects in the background and keeps trying; until it succeeds, calls fail with
    /// [`Error::Unavailable`].
    ///
    /// # Errors
    /// [`Error::Broken`] if a URL cannot be parsed.
    pub fn jetstream(
        urls: &str,
        market: &str,
        tables: Tables,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        Self::jetstream_with(urls, &NatsAccess::default(), market, tables, clock, metrics)
    }

    /// Opens the log as [`EventLog::jetstream`] does, with credentials and certificates of files.
    ///
    /// # Errors
    /// [`Error::Broken`] if a URL cannot be parsed, credentials contradict each other, or a file
    /// cannot be used.
    pub fn jetstream_with(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        tables: Tables,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let log = jetstream::JetStreamLog::connect(urls, access, market, clock)?;
        let backend = Backend::JetStream(Arc::new(log));
        Ok(Self::new(backend, market, tables, metrics))
    }

    /// Opens the log of `tables` in an SQLite file, which is created if the tables are new. The
    /// caller holds the lock of its directory, and has migrated the tables.
    ///
    /// # Errors
    /// [`Error::Blocked`] if the file is missing beside tables that were built from a log, or holds
    /// another log.
    pub async fn sqlite(
        file: &Path,
        market: &str,
        tables: Tables,
        clock: Clock,
        lifecycle: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        // Before the file is opened, which would create it.
        if !sqlite::is_begun(file).await? {
            proof::may_begin(&tables.checkpoints().await?)?;
        }

        let log = sqlite::SqliteLog::open(file, market, clock, lifecycle).await?;
        let log = Self::new(Backend::Sqlite(log), market, tables, metrics);
        log.prepare().await?;
        Ok(log)
    }

    fn new(backend: Backend, market: &str, tables: Tables, metrics: &Metrics) -> Self {
        Self {
            backend,
            market: market.into(),
            proof: Arc::new(Proof::new(tables)),
            append_seconds: metrics.histogram(
                "log_append",
                "Time of one attempt to append to the event log",
                Unit::Seconds,
                &APPEND_SECONDS,
            ),
            tailed: metrics.counter("log_tailed", "Events read from the log's tail"),
        }
    }

    /// Returns the log's identity. The log must exist: see [`EventLog::prepare`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log cannot be reached. [`Error::Blocked`] if the stream is
    /// missing, is not a log of this project, has lost events or could lose some, or is not the one
    /// that this process followed before.
    pub async fn epoch(&self) -> Result<Epoch, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.epoch().await,
            Backend::Sqlite(log) => Ok(log.epoch()),
        }
    }

    /// Returns the log's epochs, oldest first: that of its beginning, and one for each time that it
    /// was reopened.
    ///
    /// # Errors
    /// Those of [`EventLog::epoch`].
    pub async fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.epochs().await,
            Backend::Sqlite(log) => Ok(log.epochs.to_vec()),
        }
    }

    async fn is_begun(&self) -> Result<bool, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.is_begun().await,
            // An open file has its first event.
            Backend::Sqlite(_) => Ok(true),
        }
    }

    /// Creates the log with this number of replicas unless it is there.
    async fn begin(&self, replicas: usize) -> Result<(), Error> {
        match &self.backend {
            Backend::JetStream(log) => log.begin(replicas).await,
            Backend::Sqlite(_) => Ok(()),
        }
    }

    async fn bind_subjects(&self) -> Result<(), Error> {
        match &self.backend {
            Backend::JetStream(log) => log.bind_subjects().await,
            Backend::Sqlite(_) => Ok(()),
        }
    }

    /// Reads the log's identity again at the next use: it may have been reopened.
    async fn recheck(&self) {
        match &self.backend {
            Backend::JetStream(log) => log.recheck().await,
            // A file is reopened only while no other process has it.
            Backend::Sqlite(_) => {}
        }
    }

    fn saw(&self, sequence: Sequence, id: EventId) {
        match &self.backend {
            Backend::JetStream(log) => log.saw(sequence, id),
            // A file is not replaced while it is open.
            Backend::Sqlite(_) => {}
        }
    }

    /// Makes one attempt to append `event`, stored only if the last event of its subject is at
    /// `expected` (0 for an empty subject). Takes at most [`ATTEMPT_TIMEOUT`] beyond the check of
    /// the log.
    pub async fn append(&self, event: &Event, expected: Sequence) -> AppendAnswer {
        // Read before the check: an answer on a later connection may be that of another log.
        let connection = self.connection();
        let epoch = match self.prepare().await {
            Ok(epoch) => epoch,
            Err(error) => {
                return AppendAnswer::NotConnected {
                    why: error.to_string(),
                };
            }
        };

        // Encoded outside the measured time, which is that of the backend alone.
        let message = wire::encode(&self.market, epoch, event);
        let subject = event.subject.to_string();

        let started = Instant::now();
        let attempt = async {
            match &self.backend {
                Backend::JetStream(log) => {
                    log.append(epoch, event.id, &subject, message, expected)
                        .await
                }
                Backend::Sqlite(log) => {
                    log.append(epoch, event.id, subject, message, expected)
                        .await
                }
            }
        };

        let answer =
            timeout(ATTEMPT_TIMEOUT, attempt)
                .await
                .unwrap_or_else(|_| AppendAnswer::Unknown {
                    why: format!("no answer within {ATTEMPT_TIMEOUT:?}"),
                });

        // Failures count as well: a timeout is what an operator looks for.
        self.append_seconds.observe(started.elapsed().as_secs_f64());
        if connection == self.connection() {
            answer
        } else {
            answer.on_unchecked_connection()
        }
    }

    /// Reads the newest event of a subject, as the stream's leader knows it.
    pub async fn last(&self, subject: &Subject) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        match &self.backend {
            Backend::JetStream(log) => log.last(&subject).await,
            Backend::Sqlite(log) => log.last(&subject).await,
        }
    }

    /// Reads the event at a sequence, `None` beyond the head.
    pub async fn get(&self, sequence: Sequence) -> Result<Option<Record>, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.get(sequence).await,
            Backend::Sqlite(log) => log.get(sequence).await,
        }
    }

    /// Reads the first event of a subject after the sequence `after`.
    pub async fn next(&self, subject: &Subject, after: Sequence) -> Result<Option<Record>, Error> {
        let subject = subject.to_string();
        match &self.backend {
            Backend::JetStream(log) => log.next(&subject, after).await,
            Backend::Sqlite(log) => log.next(&subject, after).await,
        }
    }

    /// Reads the first decision of an operator after the sequence `after`.
    pub async fn next_decision(&self, after: Sequence) -> Result<Option<Record>, Error> {
        match &self.backend {
            Backend::JetStream(log) => log.next_decision(after).await,
            Backend::Sqlite(log) => log.next_decision(after).await,
        }
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
            log: self.clone(),
            source,
            last: after,
            gap: None,
        })
    }

    /// Describes the backend and its durability for operators. Creates nothing.
    ///
    /// # Errors
    /// Those of [`EventLog::epoch`], and [`Error::Blocked`] if the log is missing beside tables that
    /// were built from one, or is not the one that they were built from.
    pub async fn describe(&self) -> Result<String, Error> {
        match &self.backend {
            Backend::JetStream(log) => {
                log.connected().await?;
                if log.is_begun().await? {
                    let description = log.describe().await?;
                    self.compare().await?;
                    Ok(description)
                } else {
                    self.describe_absence().await
                }
            }
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

    /// Checks that the log is the one of this market and can be written, as far as is known.
    ///
    /// # Errors
    /// Those of [`EventLog::prepare`], and [`Error::Unavailable`] while an embedded log finds no room
    /// on its disk.
    pub async fn check(&self) -> Result<(), Error> {
        self.prepare().await?;
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
    log: EventLog,
    source: Source,
    last: Sequence,
    /// Sequence that came in place of the next one.
    gap: Option<Sequence>,
}

enum Source {
    JetStream(Box<jetstream::Tail>),
    Sqlite(sqlite::Tail),
}

impl Tail {
    /// Waits for the next events and returns those that have arrived, at least one, at most `max`,
    /// and about 8 MiB. Dropping the future loses no event.
    ///
    /// # Errors
    /// The tail has ended: open a new one after the last sequence that was processed.
    /// [`Error::Blocked`] if the log has lost the next event.
    pub async fn batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        if let Some(found) = self.gap {
            return Err(explain_gap(&self.log.clone(), self.last, found).await);
        }

        let mut records = match &mut self.source {
            Source::JetStream(tail) => tail.batch(max).await?,
            Source::Sqlite(tail) => tail.batch(max).await?,
        };

        let in_order = records
            .iter()
            .zip(self.last + 1..)
            .take_while(|(record, sequence)| record.sequence == *sequence)
            .count();

        if let Some(beyond) = records.get(in_order) {
            self.gap = Some(beyond.sequence);
            records.truncate(in_order);
        }
        if let (Some(found), true) = (self.gap, records.is_empty()) {
            return Err(explain_gap(&self.log.clone(), self.last, found).await);
        }

        self.last += records.len() as u64;
        self.log.tailed.inc_by(records.len() as u64);
        Ok(records)
    }
}

/// Tells an event that was lost on the way to a reader from one that the log has lost. `found` came
/// in place of the event after `last`.
async fn explain_gap(log: &EventLog, last: Sequence, found: Sequence) -> Error {
    let missing = last + 1;
    match log.get(missing).await {
        Ok(None) => Error::blocked(
            "event log",
            format!(
                "event {missing} is missing, although the log goes on to {found}; restore the log \
                 from a backup"
            ),
        ),
        Ok(Some(_)) => Error::unavailable(
            "event log",
            format!("the tail skipped from {last} to {found}"),
        ),
        Err(error) => error,
    }
}
