//! The log as one SQLite table, written by one task: what waits when it looks is committed as a group, so that
//! concurrent appends share one fsync.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::types::Json;
use sqlx::{FromRow, Sqlite, SqlitePool, Transaction};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{AppendAnswer, Stored, epoch_of, opening};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::{self, Headers, Message};
use crate::ids::EventId;
use crate::lifecycle::Lifecycle;
use crate::position::{Epoch, Sequence};

/// Stores the event if its subject ends where expected and its id is new.
const INSERT: &str = "
    INSERT INTO event (id, subject, headers, body)
    SELECT $1, $2, $3, $4
     WHERE $5 = (SELECT coalesce(max(sequence), 0) FROM event WHERE subject = $2)
       AND NOT EXISTS (SELECT 1 FROM event WHERE id = $1)
    RETURNING sequence";
const SEQUENCE_OF_ID: &str = "SELECT sequence FROM event WHERE id = $1";
const HEAD: &str = "SELECT coalesce(max(sequence), 0) FROM event";
const GET: &str = "SELECT sequence, subject, headers, body FROM event WHERE sequence = $1";
const LAST: &str = "
    SELECT sequence, subject, headers, body FROM event WHERE subject = $1 ORDER BY sequence DESC LIMIT 1";
const NEXT: &str = "
    SELECT sequence, subject, headers, body FROM event
     WHERE subject = $1 AND sequence > $2 ORDER BY sequence LIMIT 1";
const RANGE: &str = "
    SELECT sequence, subject, headers, body FROM event WHERE sequence > $1 ORDER BY sequence LIMIT $2";

/// How many appends one group holds at most; the queue before it holds as many again.
const GROUP: usize = 256;

#[derive(Clone)]
pub(super) struct SqliteLog {
    epoch: Epoch,
    readers: SqlitePool,
    appends: mpsc::Sender<Append>,
    head: watch::Receiver<Sequence>,
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
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await;
        let writer = writer.map_err(broken)?;
        sqlx::migrate!("../migrations/sqlite/log")
            .run(&writer)
            .await
            .map_err(broken)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_lazy_with(options.read_only(true));
        let head = head_of(&writer).await?;
        let (head_sender, head) = watch::channel(head);
        let (appends, queue) = mpsc::channel(GROUP);
        let mut log = Self {
            epoch: Epoch(0),
            readers,
            appends,
            head,
        };
        let stopping = lifecycle.stopping();
        lifecycle.spawn_support(
            "event log writer",
            write_groups(writer, queue, head_sender, stopping),
        );
        if *log.head.borrow() == 0 {
            let event = opening(&clock);
            let message = wire::encode(market, &event);
            let answer = log
                .append(event.id, event.subject.to_string(), message, 0)
                .await;
            tracing::info!(?answer, "a new event log was opened");
        }
        log.epoch = epoch_of(log.get(1).await?)?;
        Ok(log)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) async fn append(
        &self,
        id: EventId,
        subject: String,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        let (answer, answered) = oneshot::channel();
        if self
            .appends
            .send(Append {
                id,
                subject,
                message,
                expected,
                answer,
            })
            .await
            .is_err()
        {
            return AppendAnswer::NotConnected {
                why: "the log's writer has ended".to_owned(),
            };
        }
        answered.await.unwrap_or_else(|_| AppendAnswer::Unknown {
            why: "the log's writer ended".to_owned(),
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
        let ended = |_| Error::unavailable("event log", "its writer has ended");
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

/// The one writer. What was queued before it is told to stop is still written.
async fn write_groups(
    pool: SqlitePool,
    mut queue: mpsc::Receiver<Append>,
    head: watch::Sender<Sequence>,
    stopping: CancellationToken,
) -> Result<(), Error> {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        let received = tokio::select! {
            biased;
            received = queue.recv_many(&mut group, GROUP) => received,
            () = stopping.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        if received == 0 {
            pool.close().await;
            return Ok(());
        }
        let answers = match write_group(&pool, &group).await {
            Ok(answers) => answers,
            Err(answer) => {
                tracing::error!(?answer, "the event log could not be written");
                vec![answer; group.len()]
            }
        };
        let newest = answers.iter().filter_map(|answer| match answer {
            AppendAnswer::Stored(sequence) => Some(*sequence),
            _ => None,
        });
        if let Some(newest) = newest.max() {
            head.send_replace(newest);
        }
        for (append, answer) in group.drain(..).zip(answers) {
            // A caller that has gone away reads the outcome from the log, as after any lost answer.
            let _gone = append.answer.send(answer);
        }
    }
}

/// Writes a group in one transaction. The error is the answer to all of them.
async fn write_group(
    pool: &SqlitePool,
    group: &[Append],
) -> Result<Vec<AppendAnswer>, AppendAnswer> {
    let refused = |error: sqlx::Error| AppendAnswer::Refused {
        why: error.to_string(),
    };
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(refused)?;
    let mut answers = Vec::with_capacity(group.len());
    for append in group {
        answers.push(write_one(&mut tx, append).await.map_err(refused)?);
    }
    tx.commit().await.map_err(|error| AppendAnswer::Unknown {
        why: error.to_string(),
    })?;
    Ok(answers)
}

async fn write_one(
    tx: &mut Transaction<'_, Sqlite>,
    append: &Append,
) -> Result<AppendAnswer, sqlx::Error> {
    let stored: Option<i64> = sqlx::query_scalar(INSERT)
        .bind(append.id)
        .bind(&append.subject)
        .bind(Json(&append.message.headers))
        .bind(append.message.body.as_ref())
        .bind(append.expected as i64)
        .fetch_optional(&mut **tx)
        .await?;
    if let Some(sequence) = stored {
        return Ok(AppendAnswer::Stored(sequence as Sequence));
    }
    let same: Option<i64> = sqlx::query_scalar(SEQUENCE_OF_ID)
        .bind(append.id)
        .fetch_optional(&mut **tx)
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
