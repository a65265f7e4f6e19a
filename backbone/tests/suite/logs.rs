//! A log on each backend, for stories that must hold on both: SQLite in a folder of its own,
//! JetStream on a server or a cluster of its own.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use backbone::checkpoint::Tables;
use backbone::clock::Clock;
use backbone::contract::Event;
use backbone::contract::wire::Message;
use backbone::event_log::{AppendAnswer, EventLog, Record, Tail};
use backbone::lifecycle::Lifecycle;
use backbone::position::{Epoch, Sequence};
use backbone::telemetry::Metrics;
use backbone::testkit::{NatsCluster, NatsServer, wait_for};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::types::Json;
use tempfile::TempDir;
use uuid::Uuid;

/// The market of every log here.
pub(crate) const MARKET: &str = "market";
/// Time that whatever must happen may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Time that a cluster may take to elect a leader, on a busy machine.
pub(crate) const ELECTION: Duration = Duration::from_secs(60);

/// One market's log, open.
pub(crate) struct TestLog {
    /// The log.
    pub(crate) log: EventLog,
    home: Home,
}

enum Home {
    Sqlite(TempDir),
    JetStream { url: String, _servers: Box<Servers> },
}

/// Servers that run for as long as the log is used.
enum Servers {
    One { _server: NatsServer },
    Three { _cluster: NatsCluster },
}

impl TestLog {
    /// A new log in SQLite.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self {
            log: sqlite(&folder).await,
            home: Home::Sqlite(folder),
        }
    }

    /// A new log in JetStream.
    pub(crate) async fn jetstream() -> Self {
        let nats = NatsServer::start().await;
        Self::at(nats.url(), Servers::One { _server: nats }).await
    }

    /// A new log in JetStream with three replicas, on servers of version 2.11 or later.
    pub(crate) async fn replicated() -> Self {
        let (cluster, url) = replicated_stream().await;
        Self::at(url, Servers::Three { _cluster: cluster }).await
    }

    async fn at(url: String, servers: Servers) -> Self {
        let log = jetstream(&url);
        opened(&log).await;
        Self {
            log,
            home: Home::JetStream {
                url,
                _servers: Box::new(servers),
            },
        }
    }

    /// The same log as a process that starts later finds it.
    pub(crate) async fn reopen(self) -> Self {
        let Self { log, home } = self;
        drop(log);
        let log = match &home {
            Home::Sqlite(folder) => sqlite(folder).await,
            Home::JetStream { url, .. } => jetstream(url),
        };

        opened(&log).await;
        Self { log, home }
    }

    /// Writes a message past the log's rules, as only a fault could, at the place after its head.
    /// Only on SQLite; tails see it with the next append.
    pub(crate) async fn insert(&self, sequence: Sequence, (subject, message): &(String, Message)) {
        let Home::Sqlite(folder) = &self.home else {
            panic!("a stream takes what it is sent")
        };

        let options = SqliteConnectOptions::new().filename(folder.path().join("log.db"));
        let mut file = SqliteConnection::connect_with(&options)
            .await
            .expect("the log's file is there");
        sqlx::query(
            "INSERT INTO event (sequence, id, subject, headers, body) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(sequence as i64)
        .bind(Uuid::from_u128(u128::MAX - u128::from(sequence)))
        .bind(subject)
        .bind(Json(&message.headers))
        .bind(message.body.as_ref())
        .execute(&mut file)
        .await
        .expect("the place is free");
    }

    /// Returns the file of SQLite, or the URL of the NATS server as an error.
    pub(crate) fn place(&self) -> Result<PathBuf, String> {
        match &self.home {
            Home::Sqlite(folder) => Ok(folder.path().join("log.db")),
            Home::JetStream { url, .. } => Err(url.clone()),
        }
    }

    /// The same log as another process beside this one sees it. On SQLite there is no such process.
    pub(crate) async fn beside(&self) -> EventLog {
        match &self.home {
            Home::Sqlite(_) => self.log.clone(),
            Home::JetStream { url, .. } => {
                let log = jetstream(url);
                opened(&log).await;
                log
            }
        }
    }
}

/// A cluster with an empty stream of three replicas, as an operator makes it beforehand, and its URLs.
pub(crate) async fn replicated_stream() -> (NatsCluster, String) {
    let cluster = NatsCluster::start().await;
    let config = Config {
        name: MARKET.to_uppercase(),
        subjects: vec![format!("{MARKET}.>")],
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        num_replicas: 3,
        ..Config::default()
    };

    wait_for(ELECTION, "a leader creates the stream", async || {
        let client = async_nats::connect(cluster.node(0).url()).await.ok()?;
        let context = async_nats::jetstream::new(client);
        context.create_stream(config.clone()).await.ok()
    })
    .await;
    let urls = cluster.urls();
    (cluster, urls)
}

/// The log in a folder, opened as a process does. Its writer ends with the test.
pub(crate) async fn sqlite(folder: &TempDir) -> EventLog {
    let file = folder.path().join("log.db");
    EventLog::sqlite(
        &file,
        MARKET,
        Tables::none(),
        Clock::system(),
        &Lifecycle::new(),
        &Metrics::new(),
    )
    .await
    .expect("the log can be opened")
}

/// The log on a server, not yet connected.
pub(crate) fn jetstream(url: &str) -> EventLog {
    EventLog::jetstream(
        url,
        MARKET,
        Tables::none(),
        Clock::system(),
        &Metrics::new(),
    )
    .expect("the client starts")
}

/// Waits until the log is reached, and returns its epoch.
pub(crate) async fn opened(log: &EventLog) -> Epoch {
    wait_for(SOON, "the log is open", async || log.prepare().await.ok()).await
}

/// Appends what must be stored.
pub(crate) async fn store(log: &EventLog, event: &Event, expected: Sequence) -> Sequence {
    match log.append(event, expected).await {
        AppendAnswer::Stored(end) => end.sequence,
        other => panic!("event {} was not stored: {other:?}", event.id),
    }
}

/// Reads the next `count` events, which may take several batches.
pub(crate) async fn read(tail: &mut Tail, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(
            tail.batch(count - records.len())
                .await
                .expect("the tail goes on"),
        );
    }

    records
}

/// A tail from the place after `after`.
pub(crate) async fn tail(log: &EventLog, after: Sequence) -> Tail {
    log.tail(after).await.expect("the log has a tail")
}

/// The sequences of these records.
pub(crate) fn sequences(records: &[Record]) -> Vec<Sequence> {
    records.iter().map(|record| record.sequence).collect()
}

/// The event of a record that must be readable.
pub(crate) fn event_of(record: &Record) -> &Event {
    record
        .event
        .as_ref()
        .unwrap_or_else(|why| panic!("event {}: {why}", record.sequence))
}

/// Makes a test of each story on each backend. A story is a function over [`TestLog`] in the same
/// file.
macro_rules! on_both_backends {
    ($($story:ident,)+) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::logs::TestLog::sqlite().await).await;
                }
            )+
        }
        mod on_jetstream {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::logs::TestLog::jetstream().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_backends;
