//! The log as one SQLite table with one writing task. Appends that wait when the task looks are
//! committed as a group, so that concurrent appends share one fsync.

use std::path::Path;
use std::time::Duration;

use sqlx::types::Json;
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::opening::{epoch_of, opening};
use super::record::{AppendAnswer, Stored};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::{self, Headers, Message};
use crate::db::{PooledTransaction, sqlite_is_full, sqlite_options, sqlite_pool};
use crate::ids::EventId;
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Sequence};

const APPEND: &str = include_str!("sqlite/append.sqlite.sql");
const SEQUENCE_OF_ID: &str = include_str!("sqlite/sequence_of_id.sqlite.sql");
const HEAD: &str = include_str!("sqlite/head.sqlite.sql");
const GET: &str = include_str!("sqlite/get.sqlite.sql");
const LAST: &str = include_str!("sqlite/last.sqlite.sql");
const NEXT: &str = include_str!("sqlite/next.sqlite.sql");
const RANGE: &str = include_str!("sqlite/range.sqlite.sql");
const PROBE: &str = include_str!("sqlite/probe.sqlite.sql");

/// Largest number of appends in one group. The queue in front of the writer holds as many again.
const GROUP: usize = 256;

/// Largest number of connections that read the log's file at a time.
const READERS: u32 = 4;

/// Interval at which a writer that failed looks whether it can write again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct SqliteLog {
    epoch: Epoch,
    readers: SqlitePool,
    appends: mpsc::Sender<Append>,
    head: watch::Receiver<Sequence>,
    /// Reason why the last write failed; `None` once one has succeeded.
    failure: watch::Receiver<Option<String>>,
}

struct Append {
    id: EventId,
    subject: String,
    message: Message,
    expected: Sequence,
    answer: oneshot::Sender<AppendAnswer>,
}

#[derive(FromRow)]
struct Row {
    sequence: i64,
    subject: String,
    headers: Json<Headers>,
    body: Vec<u8>,
}

impl SqliteLog {
    pub(super) async fn open(
        file: &Path,
        market: &str,
        clock: Clock,
        lifecycle: &Lifecycle,
    ) -> Result<Self, Error> {
        let options = sqlite_options(file);
        let writer = sqlite_pool(options.clone(), 1);
        sqlx::migrate!("../migrations/sqlite/log")
            .run(&writer)
            .await
            .map_err(broken)?;

        let readers = sqlite_pool(options.read_only(true), READERS);

        let head = head_of(&writer).await?;
        let (head_sender, head) = watch::channel(head);

        let (failure_sender, failure) = watch::channel(None);

        let (appends, queue) = mpsc::channel(GROUP);
        let mut log = Self {
            epoch: Epoch(0),
            readers,
            appends,
            head,
            failure,
        };

        let writer = Writer {
            pool: writer,
            queue,
            head: head_sender,
            failure: failure_sender,
        };

        lifecycle.spawn_support("event log writer", writer.run(lifecycle.stopping()));

        // An empty file is a new log. The first event goes through the writer like any other.
        if *log.head.borrow() == 0 {
            let event = opening(&clock);
            let message = wire::encode(market, &event);
            let answer = log
                .append(event.id, event.subject.to_string(), message, 0)
                .await;

            tracing::info!(?answer, "opened a new event log");
        }

        log.epoch = epoch_of(log.get(1).await?)?;
        Ok(log)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns why the log cannot be written, as far as is known.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        match &*self.failure.borrow() {
            Some(why) => Err(unavailable(format!("it cannot be written: {why}"))),
            None => Ok(()),
        }
    }

    pub(super) async fn append(
        &self,
        id: EventId,
        subject: String,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        let (answer, answered) = oneshot::channel();
        let append = Append {
            id,
            subject,
            message,
            expected,
            answer,
        };

        if self.appends.send(append).await.is_err() {
            return AppendAnswer::NotConnected {
                why: "the event log's writer has ended".to_owned(),
            };
        }

        // The writer took the append and ended without an answer, perhaps after the commit.
        answered.await.unwrap_or_else(|_| AppendAnswer::Unknown {
            why: "the event log's writer ended before it answered".to_owned(),
        })
    }

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        one(sqlx::query_as(LAST)
            .bind(subject)
            .fetch_optional(&self.readers)
            .await)
    }

    pub(super) async fn get(&self, sequence: Sequence) -> Result<Option<Stored>, Error> {
        one(sqlx::query_as(GET)
            .bind(sequence as i64)
            .fetch_optional(&self.readers)
            .await)
    }

    pub(super) async fn next(
        &self,
        subject: &str,
        after: Sequence,
    ) -> Result<Option<Stored>, Error> {
        one(sqlx::query_as(NEXT)
            .bind(subject)
            .bind(after as i64)
            .fetch_optional(&self.readers)
            .await)
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        Ok(*self.head.borrow())
    }

    pub(super) fn tail(&self, after: Sequence) -> Tail {
        Tail {
            readers: self.readers.clone(),
            head: self.head.clone(),
            last: after,
        }
    }
}

pub(super) struct Tail {
    readers: SqlitePool,
    head: watch::Receiver<Sequence>,
    last: Sequence,
}

impl Tail {
    pub(super) async fn batch(&mut self, max: usize) -> Result<Vec<Stored>, Error> {
        let last = self.last;
        let ended = |_| Error::unavailable("event log", "the event log's writer has ended");
        // The writer publishes the head after its commit, so the rows up to it can be read.
        self.head
            .wait_for(|head| *head > last)
            .await
            .map_err(ended)?;

        let rows: Vec<Row> = sqlx::query_as(RANGE)
            .bind(last as i64)
            .bind(max as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;

        self.last = rows.last().map_or(last, |row| row.sequence as Sequence);
        Ok(rows.into_iter().map(Stored::from).collect())
    }
}

/// The only writer of the log.
struct Writer {
    pool: SqlitePool,
    queue: mpsc::Receiver<Append>,
    head: watch::Sender<Sequence>,
    failure: watch::Sender<Option<String>>,
}

impl Writer {
    /// Writes until it is told to stop and its queue is empty.
    async fn run(mut self, stopping: CancellationToken) -> Result<(), Error> {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let failing = self.failure.borrow().is_some();
            // The queue goes first: closing it lets no new append in, and the ones that were
            // queued before are still written.
            let received = tokio::select! {
                biased;
                received = self.queue.recv_many(&mut group, GROUP) => received,
                () = stopping.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
                () = sleep(PROBE_EVERY), if failing => {
                    self.probe().await;
                    continue;
                }
            };

            if received == 0 {
                self.pool.close().await;
                return Ok(());
            }

            self.write(&mut group).await;
        }
    }

    async fn write(&self, group: &mut Vec<Append>) {
        let answers = match write_group(&self.pool, group).await {
            Ok(answers) => {
                self.failure.send_replace(None);
                answers
            }
            Err(answer) => {
                tracing::error!(?answer, "could not write to the event log");
                if let AppendAnswer::Refused { why } | AppendAnswer::Unknown { why } = &answer {
                    self.failure.send_replace(Some(why.clone()));
                }

                vec![answer; group.len()]
            }
        };

        // Readers wait for this value, so it moves only after the commit.
        let newest = answers.iter().filter_map(|answer| match answer {
            AppendAnswer::Stored(sequence) => Some(*sequence),
            _ => None,
        });

        if let Some(newest) = newest.max() {
            self.head.send_replace(newest);
        }

        for (append, answer) in group.drain(..).zip(answers) {
            // The caller may have given up. It finds the outcome in the log, as after any lost
            // answer.
            let _gone = append.answer.send(answer);
        }
    }

    /// Finds out whether the file can be written again, so that readiness does not wait for a
    /// caller who tries. SQLite writes and syncs a page for this value, which nobody reads.
    async fn probe(&self) {
        match sqlx::query(PROBE).execute(&self.pool).await {
            Ok(_) => self.failure.send_replace(None),
            Err(error) => self.failure.send_replace(Some(error.to_string())),
        };
    }
}

/// Writes a group in one transaction. An error is the answer to every append of the group.
async fn write_group(
    pool: &SqlitePool,
    group: &[Append],
) -> Result<Vec<AppendAnswer>, AppendAnswer> {
    let refused = |error: sqlx::Error| AppendAnswer::Refused {
        why: error.to_string(),
    };
    // Takes the write lock at once; a read lock could not be upgraded if another process wrote
    // first.
    let mut tx = PooledTransaction::begin(pool, Some("BEGIN IMMEDIATE"))
        .await
        .map_err(refused)?;

    let mut answers = Vec::with_capacity(group.len());
    for append in group {
        answers.push(write_one(&mut tx, append).await.map_err(refused)?);
    }

    match tx.commit().await {
        Ok(()) => Ok(answers),
        Err(error) if sqlite_is_full(&error) => Err(refused(error)),
        // After any other failure the transaction may be on disk or not.
        Err(error) => Err(AppendAnswer::Unknown {
            why: error.to_string(),
        }),
    }
}

async fn write_one(
    connection: &mut SqliteConnection,
    append: &Append,
) -> Result<AppendAnswer, sqlx::Error> {
    let stored: Option<i64> = sqlx::query_scalar(APPEND)
        .bind(append.id)
        .bind(&append.subject)
        .bind(Json(&append.message.headers))
        .bind(append.message.body.as_ref())
        .bind(append.expected as i64)
        .fetch_optional(&mut *connection)
        .await?;

    if let Some(sequence) = stored {
        return Ok(AppendAnswer::Stored(sequence as Sequence));
    }

    // The insert found the id in the log, or a different last event of the subject: a repeat is
    // reported as such, whatever the subject's last event is now.
    let same: Option<i64> = sqlx::query_scalar(SEQUENCE_OF_ID)
        .bind(append.id)
        .fetch_optional(&mut *connection)
        .await?;

    Ok(same.map_or(AppendAnswer::WrongLastSequence, |at| {
        AppendAnswer::Duplicate(at as Sequence)
    }))
}

async fn head_of(pool: &SqlitePool) -> Result<Sequence, Error> {
    let head: i64 = sqlx::query_scalar(HEAD)
        .fetch_one(pool)
        .await
        .map_err(broken)?;

    Ok(head as Sequence)
}

fn one(row: Result<Option<Row>, sqlx::Error>) -> Result<Option<Stored>, Error> {
    Ok(row.map_err(unavailable)?.map(Stored::from))
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        let message = Message {
            headers: row.headers.0,
            body: row.body.into(),
        };

        Self {
            sequence: row.sequence as Sequence,
            subject: row.subject,
            message,
        }
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::broken("event log", error)
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::unavailable("event log", error)
}
