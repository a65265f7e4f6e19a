//! The market's stream over one NATS client: connecting, creating the stream, and checking on every
//! connection that it still is the log that this process follows.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind as RawMessageErrorKind, RetentionPolicy,
    StorageType, Stream,
};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, Event, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{Mutex, watch};

use super::answer::read_answer;
use super::connect::{NatsAccess, connect_options};
use super::message::{header_map, headers};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::{self, Message};
use crate::event_log::opening::{epoch_of, opening};
use crate::event_log::record::{ATTEMPT_TIMEOUT, AppendAnswer, Stored};
use crate::position::{Epoch, Sequence};

/// Header with the expected last sequence of the whole stream, not of one subject.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
/// Header by which the server refuses a publish that reaches a different stream.
pub(super) const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// First version whose replicated streams never accept two publishes with one expectation
/// (nats-server issue 4320).
const REPLICAS_SAFE_FROM: (i64, i64) = (2, 11);
/// First version in which a stream with `max_bytes` never drops its oldest message for one that it
/// should have refused (nats-server issue 4771, fixed within 2.10).
const MAX_BYTES_SAFE_FROM: (i64, i64) = (2, 11);
/// Time to find or create the stream and read its epoch: a few round trips.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Handle of the market's stream. Clones share the connection and what was checked on it.
#[derive(Clone)]
pub(super) struct MarketStream {
    market: String,
    name: String,
    client: Client,
    context: Context,
    clock: Clock,
    connection: watch::Receiver<Connection>,
    /// Reason why the last attempt to connect failed.
    trouble: watch::Receiver<Option<String>>,
    // An async lock, because it is held across the check's round trips: callers that find the
    // stream unchecked wait for one check together instead of each making one.
    checked: Arc<Mutex<Option<Checked>>>,
}

/// State of the connection. Connections are numbered, so that what was checked on one is checked
/// again on the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) number: u64,
    up: bool,
}

/// The stream as it was checked on one connection.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) connection: Connection,
    pub(super) epoch: Epoch,
    pub(super) stream: Stream<()>,
}

impl MarketStream {
    /// Builds the client, which connects in the background and keeps trying.
    pub(super) fn connect(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (state, connection) = watch::channel(Connection::default());
        let (trouble_sender, trouble) = watch::channel(None);
        let (servers, options) = connect_options(urls, access)?;
        let options = options
            .name(format!("dealwire {market}"))
            .retry_on_initial_connect()
            .connection_timeout(Duration::from_secs(2))
            .ping_interval(Duration::from_secs(2))
            // 50 ms, doubled with every attempt up to 1 s.
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis((50 << attempts.min(5)) as u64).min(Duration::from_secs(1))
            })
            .event_callback(move |event| {
                note_event(&state, &trouble_sender, event);
                std::future::ready(())
            });

        // With `retry_on_initial_connect` the future only builds the client and is ready at once.
        let client = options
            .connect(servers)
            .now_or_never()
            .ok_or_else(|| broken("the NATS client waited for its first connection"))?
            .map_err(broken)?;

        let mut context = jetstream::new(client.clone());
        context.set_timeout(ATTEMPT_TIMEOUT);
        Ok(Self {
            market: market.to_owned(),
            name: market.to_uppercase(),
            client,
            context,
            clock,
            connection,
            trouble,
            checked: Arc::new(Mutex::new(None)),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        // The client knows of a lost connection before its event arrives, and of a new one before
        // that is counted: only both together are certain.
        self.client.connection_state() == State::Connected && self.connection.borrow().up
    }

    pub(super) fn connection(&self) -> u64 {
        self.connection.borrow().number
    }

    pub(super) fn watch_connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Waits for the first connection, at most `limit`.
    pub(super) async fn wait_for_connection(&self, limit: Duration) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        let connected = async { connection.wait_for(|now| now.up).await.is_ok() };
        match tokio::time::timeout(limit, connected).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self.not_connected()),
        }
    }

    pub(super) async fn epoch(&self) -> Result<Epoch, Error> {
        match self.known_epoch() {
            Some(epoch) => Ok(epoch),
            None => Ok(self.checked().await?.epoch),
        }
    }

    /// Returns the epoch if the stream was checked on the present connection and no check runs.
    fn known_epoch(&self) -> Option<Epoch> {
        let connection = *self.connection.borrow();
        // Never waits: every append comes through here, and a running check is waited for by the
        // caller.
        let checked = self.checked.try_lock().ok()?;
        let checked = checked
            .as_ref()
            .filter(|checked| checked.connection == connection)?;

        self.is_up().then_some(checked.epoch)
    }

    /// Returns the stream, checked on the present connection to be the log that this process
    /// follows. Callers wait for one check together, each at most [`CHECK_TIMEOUT`].
    pub(super) async fn checked(&self) -> Result<Checked, Error> {
        let late = |_| {
            unavailable(format!(
                "the stream could not be checked within {CHECK_TIMEOUT:?}"
            ))
        };

        tokio::time::timeout(CHECK_TIMEOUT, self.check())
            .await
            .map_err(late)?
    }

    async fn check(&self) -> Result<Checked, Error> {
        if !self.is_up() {
            return Err(self.not_connected());
        }

        // Read before the lock and the round trips: if the connection changes meanwhile, the result
        // is stored under the old number and the next caller checks again.
        let connection = *self.connection.borrow();
        let mut checked = self.checked.lock().await;
        if let Some(checked) = checked
            .as_ref()
            .filter(|checked| checked.connection == connection)
        {
            return Ok(checked.clone());
        }

        let stream = self.open().await?;
        let first = stream.get_raw_message(1).await;
        let epoch = epoch_of(self.found(first)?)?;
        if let Some(known) = checked.as_ref().filter(|known| known.epoch != epoch) {
            return Err(broken(format!(
                "the stream's epoch is {}, but this process follows epoch {}",
                epoch.0, known.epoch.0
            )));
        }

        let now = Checked {
            connection,
            epoch,
            stream,
        };
        *checked = Some(now.clone());
        Ok(now)
    }

    /// Finds or creates the stream and its first event.
    async fn open(&self) -> Result<Stream<()>, Error> {
        let config = Config {
            name: self.name.clone(),
            subjects: vec![format!("{}.>", self.market)],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            // A full log refuses events; it never forgets one.
            discard: DiscardPolicy::New,
            deny_delete: true,
            deny_purge: true,
            duplicate_window: Duration::from_secs(120),
            ..Config::default()
        };

        let stream = self
            .context
            .get_or_create_stream(config)
            .await
            .map_err(unavailable)?;

        let info = stream.cached_info();
        if let Some(fault) = self.unfit(&info.config) {
            let version = self.client.server_info().version;
            return Err(broken(format!(
                "the stream {} on nats-server {version} {fault}",
                self.name
            )));
        }

        if info.state.messages == 0 {
            self.append_opening().await?;
        }

        self.context
            .get_stream_no_info(&self.name)
            .await
            .map_err(unavailable)
    }

    /// Returns why a stream would lose events that it has acknowledged, or acknowledge events that
    /// it should refuse.
    fn unfit(&self, config: &Config) -> Option<&'static str> {
        let older_than = |(major, minor)| !self.client.is_server_compatible(major, minor, 0);
        let faults = [
            (
                config.max_age != Duration::ZERO,
                "loses old events: unset max_age",
            ),
            (
                config.max_messages_per_subject > 0,
                "loses old events: unset max_msgs_per_subject",
            ),
            (
                config.discard != DiscardPolicy::New,
                "loses old events: set discard to new",
            ),
            (
                config.retention != RetentionPolicy::Limits,
                "loses old events: set retention to limits",
            ),
            (
                config.storage != StorageType::File,
                "loses all events at a restart: set storage to file",
            ),
            (
                config.max_bytes > 0 && older_than(MAX_BYTES_SAFE_FROM),
                "may lose old events: unset max_bytes, which is safe from version 2.11",
            ),
            (
                config.num_replicas > 1 && older_than(REPLICAS_SAFE_FROM),
                "has replicas, which may accept conflicting events before version 2.11",
            ),
        ];

        faults
            .into_iter()
            .find_map(|(found, why)| found.then_some(why))
    }

    /// Appends the first event. Of several processes that try, one succeeds; the others are refused
    /// by the expectation, and all read the same event.
    async fn append_opening(&self) -> Result<(), Error> {
        let event = opening(&self.clock);
        let message = wire::encode(&self.market, &event);
        let mut headers = header_map(&message);
        headers.insert(EXPECTED_STREAM, self.name.as_str());
        headers.insert(EXPECTED_LAST_SEQUENCE, "0");

        let subject = event.subject.to_string();
        match self.publish(&subject, headers, message.body).await {
            AppendAnswer::Stored(_) | AppendAnswer::WrongLastSequence => Ok(()),
            other => Err(unavailable(format!(
                "the first event could not be appended: {other:?}"
            ))),
        }
    }

    /// Publishes once and waits for the answer.
    pub(super) async fn publish(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> AppendAnswer {
        let request = Request::new()
            .headers(headers)
            .payload(body)
            .timeout(Some(ATTEMPT_TIMEOUT));

        let subject = self.with_market(subject);
        let error = match self.client.send_request(subject, request).await {
            Ok(answer) => return read_answer(&answer.payload),
            Err(error) => error,
        };

        let why = error.to_string();
        match error.kind() {
            // The client found the fault itself and sent nothing.
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                AppendAnswer::Refused { why }
            }
            // The message may have reached the server, or may still.
            RequestErrorKind::TimedOut
            | RequestErrorKind::NoResponders
            | RequestErrorKind::Other => AppendAnswer::Unknown { why },
        }
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        let stream = self.checked().await?.stream;
        let info = stream.get_info().await.map_err(unavailable)?;
        Ok(info.state.last_sequence)
    }

    /// Returns what a read of the stream found, `None` if there is no such message.
    pub(super) fn found(
        &self,
        answer: Result<
            jetstream::message::StreamMessage,
            async_nats::error::Error<RawMessageErrorKind>,
        >,
    ) -> Result<Option<Stored>, Error> {
        let message = match answer {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };

        Ok(Some(Stored {
            sequence: message.sequence,
            subject: self.without_market(&message.subject).to_owned(),
            message: Message {
                headers: headers(&message.headers),
                body: message.payload,
            },
        }))
    }

    fn not_connected(&self) -> Error {
        match &*self.trouble.borrow() {
            Some(why) => unavailable(format!("not connected to NATS: {why}")),
            None => unavailable("not connected to NATS"),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn with_market(&self, subject: &str) -> String {
        format!("{}.{subject}", self.market)
    }

    pub(super) fn without_market<'a>(&self, subject: &'a str) -> &'a str {
        subject
            .strip_prefix(self.market.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(subject)
    }
}

fn note_event(
    state: &watch::Sender<Connection>,
    trouble: &watch::Sender<Option<String>>,
    event: Event,
) {
    match event {
        Event::Connected => {
            trouble.send_replace(None);
            state.send_modify(|now| {
                *now = Connection {
                    number: now.number + 1,
                    up: true,
                }
            });
        }
        Event::Disconnected => {
            state.send_modify(|now| now.up = false);
            tracing::warn!("lost the connection to NATS");
        }
        // Sent for every attempt to connect that fails, with its reason.
        Event::ClientError(error) => {
            let why = error.to_string();
            if trouble.borrow().as_ref() != Some(&why) {
                tracing::warn!(why, "NATS client: {why}");
                trouble.send_replace(Some(why));
            }
        }
        other => tracing::info!(event = %other, "NATS client event"),
    }
}

pub(super) fn unavailable(error: impl Display) -> Error {
    Error::unavailable("event log", error)
}

fn broken(error: impl Display) -> Error {
    Error::broken("event log", error)
}
