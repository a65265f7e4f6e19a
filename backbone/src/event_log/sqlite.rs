//! The log as one SQLite table with one writing task. Appends that wait when the task looks are
//! committed as a group, so that concurrent appends share one fsync.

mod import;

pub(super) use import::Import;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::types::Json;
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::opening::{epoch_of, opening};
use super::record::{ATTEMPT_TIMEOUT, AppendAnswer, Record, Stored};
use crate::Error;
use crate::clock::Clock;
use crate::contract::Subject;
use crate::contract::wire::{self, Headers, Message};
use crate::db::{PooledTransaction, sqlite_is_full, sqlite_options, sqlite_pool};
use crate::ids::EventId;
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Position, Sequence};

const APPEND: &str = include_str!("sqlite/append.sqlite.sql");
const SEQUENCE_OF_ID: &str = include_str!("sqlite/sequence_of_id.sqlite.sql");
const HEAD: &str = include_str!("sqlite/head.sqlite.sql");
const GET: &str = include_str!("sqlite/get.sqlite.sql");
const LAST: &str = include_str!("sqlite/last.sqlite.sql");
const NEXT: &str = include_str!("sqlite/next.sqlite.sql");
const NEXT_DECISION: &str = include_str!("sqlite/next_decision.sqlite.sql");
const RANGE: &str = include_str!("sqlite/range.sqlite.sql");
const PROBE: &str = include_str!("sqlite/probe.sqlite.sql");

/// Largest number of appends in one group. The queue in front of the writer holds as many again.
const GROUP: usize = 256;

/// Largest number of connections that read the log's file at a time.
const READERS: u32 = 4;

/// Largest total of the bodies in one batch of a tail, in bytes: a batch is held in memory as a
/// whole.
const BATCH_BYTES: usize = 8 << 20;

/// Interval at which a writer that failed looks whether it can write again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct SqliteLog {
    pub(super) epochs: Arc<[Epoch]>,
    readers: SqlitePool,
    appends: mpsc::Sender<Append>,
    head: watch::Receiver<Sequence>,
    /// Reason why the last write failed; `None` once one has succeeded.
    failure: watch::Receiver<Option<String>>,
}

struct Append {
    epoch: Epoch,
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

/// Returns whether a file holds a log with its first event. Changes nothing.
pub(super) async fn is_begun(file: &Path) -> Result<bool, Error> {
    if !file.try_exists().map_err(unavailable)? {
        return Ok(false);
    }

    let options = sqlite_options(file)
        .create_if_missing(false)
        .read_only(true);
    let pool = sqlite_pool(options, 1);
    let head = head_of(&pool).await;
    pool.close().await;

    match head {
        Ok(head) => Ok(head > 0),
        // Without its table: a process died while it created the file.
        Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

impl SqliteLog {
    /// Opens the log in a file, and creates what is missing.
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

        let head = head_of(&writer).await.map_err(broken)?;
        let (head_sender, head) = watch::channel(head);

        let (failure_sender, failure) = watch::channel(None);

        let (appends, queue) = mpsc::channel(GROUP);
        let mut log = Self {
            epochs: Arc::default(),
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
            let (event, epoch) = opening(&clock);
            let message = wire::encode(market, epoch, &event);
            let answer = log
                .append(epoch, event.id, event.subject.to_string(), message, 0)
                .await;

            tracing::info!(?answer, "opened a new event log");
        }

        log.epochs = log.read_epochs().await?.into();
        Ok(log)
    }

    /// Reads the epochs of the log: that of its first event, and one for each time that it was
    /// reopened.
    async fn read_epochs(&self) -> Result<Vec<Epoch>, Error> {
        let subject = Subject::Opened.to_string();
        let first: Option<Row> = fetched(
            sqlx::query_as(GET)
                .bind(1_i64)
                .fetch_optional(&self.readers),
        )
        .await?;
        let mut epochs = vec![epoch_of(first.map(Stored::from))?];
        let mut last = 1;

        while let Some(next) = self.stored_next(&subject, last).await? {
            last = next.sequence;
            epochs.push(epoch_of(Some(next))?);
        }

        Ok(epochs)
    }

    pub(super) fn epoch(&self) -> Epoch {
        *self.epochs.last().expect("an open log has an epoch")
    }

    /// Returns why the log cannot be written, as far as is known.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        match &*self.failure.borrow() {
            Some(why) => Err(unavailable(format!("it cannot be written: {why}"))),
            None => Ok(()),
        }
    }

    /// Appends to the log, whose epoch is `epoch`. Waits as long as the disk takes.
    pub(super) async fn append(
        &self,
        epoch: Epoch,
        id: EventId,
        subject: String,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        let (answer, answered) = oneshot::channel();
        let append = Append {
            epoch,
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

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Record>, Error> {
        let row = sqlx::query_as(LAST)
            .bind(subject)
            .fetch_optional(&self.readers);

        self.decoded(row).await
    }

    pub(super) async fn get(&self, sequence: Sequence) -> Result<Option<Record>, Error> {
        let row = sqlx::query_as(GET)
            .bind(sequence as i64)
            .fetch_optional(&self.readers);

        self.decoded(row).await
    }

    pub(super) async fn next(
        &self,
        subject: &str,
        after: Sequence,
    ) -> Result<Option<Record>, Error> {
        let next = self.stored_next(subject, after).await?;
        Ok(next.map(|stored| stored.decode(&self.epochs)))
    }

    pub(super) async fn next_decision(&self, after: Sequence) -> Result<Option<Record>, Error> {
        let row = sqlx::query_as(NEXT_DECISION)
            .bind(after as i64)
            .fetch_optional(&self.readers);

        self.decoded(row).await
    }

    async fn stored_next(&self, subject: &str, after: Sequence) -> Result<Option<Stored>, Error> {
        let row: Option<Row> = fetched(
            sqlx::query_as(NEXT)
                .bind(subject)
                .bind(after as i64)
                .fetch_optional(&self.readers),
        )
        .await?;

        Ok(row.map(Stored::from))
    }

    async fn decoded(
        &self,
        row: impl Future<Output = Result<Option<Row>, sqlx::Error>>,
    ) -> Result<Option<Record>, Error> {
        let row = fetched(row).await?;
        Ok(row.map(|row| Stored::from(row).decode(&self.epochs)))
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        Ok(*self.head.borrow())
    }

    pub(super) fn tail(&self, after: Sequence) -> Tail {
        Tail {
            readers: self.readers.clone(),
            head: self.head.clone(),
            epochs: Arc::clone(&self.epochs),
            last: after,
        }
    }
}

pub(super) struct Tail {
    readers: SqlitePool,
    head: watch::Receiver<Sequence>,
    epochs: Arc<[Epoch]>,
    last: Sequence,
}

impl Tail {
    pub(super) async fn batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        let last = self.last;
        let ended = |_| Error::unavailable("event log", "the event log's writer has ended");
        // The writer publishes the head after its commit, so the rows up to it can be read.
        self.head
            .wait_for(|head| *head > last)
            .await
            .map_err(ended)?;

        let mut rows = sqlx::query_as::<_, Row>(RANGE)
            .bind(last as i64)
            .bind(max as i64)
            .fetch(&self.readers);

        let mut bytes = 0;
        let mut batch = Vec::new();
        while bytes < BATCH_BYTES {
            let next = timeout(ATTEMPT_TIMEOUT, rows.try_next()).await;
            let Some(row) = next.map_err(unavailable)?.map_err(unavailable)? else {
                break;
            };

            bytes += row.body.len();
            batch.push(Stored::from(row).decode(&self.epochs));
        }

        self.last = batch.last().map_or(last, |record| record.sequence);
        Ok(batch)
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
            AppendAnswer::Stored(position) => Some(position.sequence),
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
        let end = Position::end_of(append.epoch, sequence as Sequence);
        return Ok(AppendAnswer::Stored(end));
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

async fn head_of(pool: &SqlitePool) -> Result<Sequence, sqlx::Error> {
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(pool).await?;
    Ok(head as Sequence)
}

/// Waits for a read as long as one attempt may take: a disk may hang.
async fn fetched<T>(read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    timeout(ATTEMPT_TIMEOUT, read)
        .await
        .map_err(unavailable)?
        .map_err(unavailable)
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
