//! The log as one JetStream stream: file storage, limits retention, nothing ever deleted. The only file that
//! knows NATS.
//!
//! Publishes go out as plain requests, so that every answer, coded or not, is seen as the server gave it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, HeaderName, Request, RequestErrorKind};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::{Mutex, watch};

use super::{ATTEMPT_TIMEOUT, AppendAnswer, Stored, epoch_of, opening};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::{self, Headers, Message};
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};

/// A publisher's expectation is checked for the whole stream, not for a subject.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
/// The server refuses a publish that reaches another stream.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Below this, a replicated stream accepts two publishes with one expectation (nats-server issue 4320).
const REPLICAS_SAFE_FROM: (i64, i64) = (2, 11);
/// Below this, a stream with max_bytes drops its oldest message for one that it should have refused (nats-server
/// issue 4771, mended within 2.10).
const MAX_BYTES_SAFE_FROM: (i64, i64) = (2, 11);
/// How long it may take to find or create the stream and read who it is: a few round trips.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// A tail that hears nothing for this long asks for the head: a lost consumer says nothing of itself.
const TAIL_WATCHDOG: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct JetStreamLog {
    market: String,
    /// Its stream's name.
    stream: String,
    client: Client,
    context: Context,
    clock: Clock,
    connection: watch::Receiver<Connection>,
    checked: Arc<Mutex<Option<Checked>>>,
}

/// Counts connections, so that what was checked on one is checked again on the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Connection {
    number: u64,
    up: bool,
}

#[derive(Clone)]
struct Checked {
    connection: Connection,
    epoch: Epoch,
    stream: Stream<()>,
}

impl JetStreamLog {
    pub(super) fn connect(url: &str, market: &str, clock: Clock) -> Result<Self, Error> {
        let (state, connection) = watch::channel(Connection::default());
        let options = ConnectOptions::new()
            .name(format!("dealwire {market}"))
            .retry_on_initial_connect()
            .connection_timeout(Duration::from_secs(2))
            .ping_interval(Duration::from_secs(2))
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis((50 << attempts.min(5)) as u64).min(Duration::from_secs(1))
            })
            .event_callback(move |event| {
                match event {
                    Event::Connected => {
                        state.send_modify(|now| {
                            *now = Connection {
                                number: now.number + 1,
                                up: true,
                            }
                        });
                    }
                    Event::Disconnected => {
                        state.send_modify(|now| now.up = false);
                        tracing::warn!("the connection to NATS is lost");
                    }
                    other => tracing::info!(event = %other, "NATS"),
                }
                std::future::ready(())
            });
        let url = url.to_owned();
        // With `retry_on_initial_connect` the future only builds the client; connecting goes on behind it.
        let client = futures_util::FutureExt::now_or_never(options.connect(url))
            .ok_or_else(|| Error::broken("event log", "the NATS client did not start at once"))?
            .map_err(|error| Error::broken("event log", error))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ATTEMPT_TIMEOUT);
        Ok(Self {
            market: market.to_owned(),
            stream: market.to_uppercase(),
            client,
            context,
            clock,
            connection,
            checked: Arc::new(Mutex::new(None)),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        // The client knows of a lost connection first, and of a new one before it is counted.
        self.client.connection_state() == State::Connected && self.connection.borrow().up
    }

    pub(super) fn connection(&self) -> u64 {
        self.connection.borrow().number
    }

    pub(super) async fn epoch(&self) -> Result<Epoch, Error> {
        match self.known() {
            Some(epoch) => Ok(epoch),
            None => Ok(self.checked().await?.epoch),
        }
    }

    /// The epoch, if the stream was checked on the connection of now and nobody is checking it at this moment.
    fn known(&self) -> Option<Epoch> {
        let connection = *self.connection.borrow();
        let checked = self.checked.try_lock().ok()?;
        let checked = checked
            .as_ref()
            .filter(|checked| checked.connection == connection)?;
        self.is_up().then_some(checked.epoch)
    }

    pub(super) async fn describe(&self) -> Result<String, Error> {
        // A command comes right after connecting has begun.
        let mut connection = self.connection.clone();
        let connected = connection.wait_for(|now| now.up);
        let connected =
            tokio::time::timeout(ATTEMPT_TIMEOUT * 2, async { connected.await.is_ok() }).await;
        if connected != Ok(true) {
            return Err(Error::unavailable("event log", "not connected to NATS"));
        }
        let info = self
            .checked()
            .await?
            .stream
            .get_info()
            .await
            .map_err(unavailable)?;
        let version = self.client.server_info().version;
        let (stream, replicas) = (&info.config.name, info.config.num_replicas);
        let synced = if self.client.is_server_compatible(2, 10, 0) {
            "its sync_interval (2 minutes unless set; `always` loses nothing)"
        } else {
            "60 seconds, which this version cannot change"
        };
        Ok(format!(
            "stream {stream} with {replicas} replica(s) on nats-server {version}: an acknowledged event survives \
             kill -9; a power loss of every replica may lose up to {synced}"
        ))
    }

    /// The stream, known to be the log that this process follows on the connection of now. Callers wait for one
    /// check together, none of them for longer than it may take.
    async fn checked(&self) -> Result<Checked, Error> {
        let late = |_| Error::unavailable("event log", "the stream could not be checked in time");
        tokio::time::timeout(CHECK_TIMEOUT, self.check())
            .await
            .map_err(late)?
    }

    async fn check(&self) -> Result<Checked, Error> {
        if !self.is_up() {
            return Err(Error::unavailable("event log", "not connected to NATS"));
        }
        let connection = *self.connection.borrow();
        let mut checked = self.checked.lock().await;
        if let Some(checked) = checked
            .as_ref()
            .filter(|checked| checked.connection == connection)
        {
            return Ok(checked.clone());
        }
        let stream = self.open().await?;
        let epoch = epoch_of(self.found(stream.get_raw_message(1).await)?)?;
        if let Some(known) = checked.as_ref().filter(|known| known.epoch != epoch) {
            return Err(Error::broken(
                "event log",
                format!(
                    "the stream's epoch is {}, this process followed {}",
                    epoch.0, known.epoch.0
                ),
            ));
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
        let name = self.stream.clone();
        let config = Config {
            name: name.clone(),
            subjects: vec![format!("{}.>", self.market)],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
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
        if let Some(why) = self.unfit(&info.config) {
            let version = self.client.server_info().version;
            return Err(Error::broken(
                "event log",
                format!("the stream on nats-server {version} {why}"),
            ));
        }
        if info.state.messages == 0 {
            self.append_opening(&name).await?;
        }
        self.context
            .get_stream_no_info(&name)
            .await
            .map_err(unavailable)
    }

    /// Why a stream would lose what it has acknowledged, or acknowledge what it should refuse.
    fn unfit(&self, config: &Config) -> Option<&'static str> {
        let older_than = |(major, minor)| !self.client.is_server_compatible(major, minor, 0);
        let faults = [
            (config.max_age != Duration::ZERO, "forgets: max_age is set"),
            (
                config.max_messages_per_subject > 0,
                "forgets: max_msgs_per_subject is set",
            ),
            (
                config.discard != DiscardPolicy::New,
                "forgets: discard is not new",
            ),
            (
                config.retention != RetentionPolicy::Limits,
                "forgets: retention is not limits",
            ),
            (
                config.storage != StorageType::File,
                "forgets: storage is not file",
            ),
            (
                config.max_bytes > 0 && older_than(MAX_BYTES_SAFE_FROM),
                "forgets: max_bytes is set, which is sound from 2.11 on",
            ),
            (
                config.num_replicas > 1 && older_than(REPLICAS_SAFE_FROM),
                "has replicas, which are sound from 2.11 on",
            ),
        ];
        faults
            .into_iter()
            .find_map(|(found, why)| found.then_some(why))
    }

    /// Whoever comes first writes it; the others' attempts are refused, and all read the same.
    async fn append_opening(&self, stream: &str) -> Result<(), Error> {
        let event = opening(&self.clock);
        let message = wire::encode(&self.market, &event);
        let mut headers = header_map(&message);
        headers.insert(EXPECTED_STREAM, stream);
        headers.insert(EXPECTED_LAST_SEQUENCE, "0");
        match self
            .publish(&event.subject.to_string(), headers, message.body)
            .await
        {
            AppendAnswer::Stored(_) | AppendAnswer::WrongLastSequence => Ok(()),
            other => Err(Error::unavailable("event log", format!("{other:?}"))),
        }
    }

    pub(super) async fn append(
        &self,
        id: EventId,
        subject: &str,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        // The client library would keep the message while disconnected and send it some time later.
        if let Err(error) = self.epoch().await {
            return AppendAnswer::NotConnected {
                why: error.to_string(),
            };
        }
        let mut headers = header_map(&message);
        headers.insert(
            HeaderName::from_static(EXPECTED_STREAM),
            self.stream.as_str(),
        );
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        headers.insert(NATS_MESSAGE_ID, id.to_string());
        self.publish(subject, headers, message.body).await
    }

    async fn publish(&self, subject: &str, headers: HeaderMap, body: Bytes) -> AppendAnswer {
        let request = Request::new()
            .headers(headers)
            .payload(body)
            .timeout(Some(ATTEMPT_TIMEOUT));
        match self
            .client
            .send_request(format!("{}.{subject}", self.market), request)
            .await
        {
            Ok(answer) => read_answer(&answer.payload),
            Err(error) => match error.kind() {
                RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                    AppendAnswer::Refused {
                        why: error.to_string(),
                    }
                }
                RequestErrorKind::TimedOut
                | RequestErrorKind::NoResponders
                | RequestErrorKind::Other => AppendAnswer::Unknown {
                    why: error.to_string(),
                },
            },
        }
    }

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        let subject = format!("{}.{subject}", self.market);
        let stream = self.checked().await?.stream;
        self.found(stream.get_last_raw_message_by_subject(&subject).await)
    }

    pub(super) async fn get(&self, sequence: Sequence) -> Result<Option<Stored>, Error> {
        let stream = self.checked().await?.stream;
        self.found(stream.get_raw_message(sequence).await)
    }

    pub(super) async fn next(
        &self,
        subject: &str,
        after: Sequence,
    ) -> Result<Option<Stored>, Error> {
        let subject = format!("{}.{subject}", self.market);
        let stream = self.checked().await?.stream;
        self.found(
            stream
                .get_first_raw_message_by_subject(&subject, after + 1)
                .await,
        )
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        let stream = self.checked().await?.stream;
        Ok(stream
            .get_info()
            .await
            .map_err(unavailable)?
            .state
            .last_sequence)
    }

    pub(super) async fn tail(&self, after: Sequence) -> Result<Tail, Error> {
        let checked = self.checked().await?;
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            ..pull::OrderedConfig::default()
        };
        let consumer = checked
            .stream
            .create_consumer(config)
            .await
            .map_err(unavailable)?;
        let messages = consumer.messages().await.map_err(unavailable)?;
        Ok(Tail {
            log: self.clone(),
            messages,
            connection: checked.connection,
            last: after,
            suspect: false,
        })
    }

    fn found(
        &self,
        answer: Result<
            jetstream::message::StreamMessage,
            async_nats::error::Error<LastRawMessageErrorKind>,
        >,
    ) -> Result<Option<Stored>, Error> {
        match answer {
            Ok(message) => {
                let subject = self.without_market(&message.subject).to_owned();
                let message_read = Message {
                    headers: headers(&message.headers),
                    body: message.payload,
                };
                Ok(Some(Stored {
                    sequence: message.sequence,
                    subject,
                    message: message_read,
                }))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn without_market<'a>(&self, subject: &'a str) -> &'a str {
        subject
            .strip_prefix(self.market.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(subject)
    }
}

pub(super) struct Tail {
    log: JetStreamLog,
    messages: pull::Ordered,
    connection: Connection,
    last: Sequence,
    /// The head was beyond us at the last silence.
    suspect: bool,
}

impl Tail {
    pub(super) async fn batch(&mut self, max: usize) -> Result<Vec<Stored>, Error> {
        let (mut state, connection) = (self.log.connection.clone(), self.connection);
        let first = loop {
            tokio::select! {
                message = self.messages.next() => break message,
                // After a reconnect the stream may be another one, and the ephemeral consumer may be gone.
                () = another(&mut state, connection) => {
                    return Err(Error::unavailable("event log", "the connection to NATS is another one"));
                }
                () = tokio::time::sleep(TAIL_WATCHDOG) => self.look_whether_deaf().await?,
            }
        };
        self.suspect = false;
        let mut batch = vec![self.read(first)?];
        while batch.len() < max {
            match futures_util::FutureExt::now_or_never(self.messages.next()) {
                Some(message) => batch.push(self.read(message)?),
                None => break,
            }
        }
        Ok(batch)
    }

    /// Two silences in a row with the head beyond us: the consumer is deaf.
    async fn look_whether_deaf(&mut self) -> Result<(), Error> {
        let beyond = self.log.head().await? > self.last;
        if beyond && self.suspect {
            return Err(Error::unavailable("event log", "its tail has gone silent"));
        }
        self.suspect = beyond;
        Ok(())
    }

    fn read(
        &mut self,
        message: Option<Result<jetstream::Message, pull::OrderedError>>,
    ) -> Result<Stored, Error> {
        let message = message
            .ok_or_else(|| Error::unavailable("event log", "its tail ended"))?
            .map_err(unavailable)?;
        let sequence = message.info().map_err(unavailable)?.stream_sequence;
        self.last = sequence;
        let subject = self.log.without_market(&message.subject).to_owned();
        let headers = message.headers.as_ref().map(headers).unwrap_or_default();
        let body = message.message.payload;
        Ok(Stored {
            sequence,
            subject,
            message: Message { headers, body },
        })
    }
}

/// Returns when the connection is not this one any more.
async fn another(state: &mut watch::Receiver<Connection>, connection: Connection) {
    // An error says that the client has ended, and with it the connection.
    let _ended = state.wait_for(|now| *now != connection).await.is_err();
}

/// The server's answer to a publish.
#[derive(Deserialize)]
struct Ack {
    seq: Sequence,
    #[serde(default)]
    duplicate: bool,
}

/// Coded answers by DESIGN's table; codes are those of nats-server's `errors.json`.
fn read_answer(payload: &[u8]) -> AppendAnswer {
    match serde_json::from_slice::<Response<Ack>>(payload) {
        Ok(Response::Ok(Ack {
            seq,
            duplicate: false,
        })) => AppendAnswer::Stored(seq),
        Ok(Response::Ok(Ack {
            seq,
            duplicate: true,
        })) => AppendAnswer::Duplicate(seq),
        Ok(Response::Err { error }) => match error.error_code().0 {
            // "wrong last sequence", plain and constant
            10_071 | 10_164 => AppendAnswer::WrongLastSequence,
            // "duplicate message id is in process": the first is not stored yet and may never be
            10_158 => AppendAnswer::Unknown {
                why: error.to_string(),
            },
            _ => AppendAnswer::Refused {
                why: error.to_string(),
            },
        },
        Err(error) => AppendAnswer::Unknown {
            why: format!("unreadable answer: {error}"),
        },
    }
}

fn header_map(message: &Message) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &message.headers {
        match name {
            Cow::Borrowed(name) => map.insert(HeaderName::from_static(name), value.as_str()),
            Cow::Owned(name) => map.insert(name.as_str(), value.as_str()),
        }
    }
    map
}

/// CloudEvents' headers; those of the server and of the write path are not the event's.
fn headers(map: &HeaderMap) -> Headers {
    map.iter()
        .map(|(name, values)| (Cow::<'static, str>::Owned(name.to_string()), values))
        .filter(|(name, _)| !name.starts_with("Nats-"))
        .filter_map(|(name, values)| values.first().map(|value| (name, value.to_string())))
        .collect()
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::unavailable("event log", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_server_has_its_meaning() {
        let coded = |code: u64| {
            let text = format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"no"}},"stream":"MARKET","seq":0}}"#
            );
            read_answer(text.as_bytes())
        };
        assert_eq!(
            read_answer(br#"{"stream":"MARKET","seq":7}"#),
            AppendAnswer::Stored(7)
        );
        assert_eq!(
            read_answer(br#"{"stream":"MARKET","seq":7,"duplicate":true}"#),
            AppendAnswer::Duplicate(7)
        );
        assert_eq!(coded(10_071), AppendAnswer::WrongLastSequence);
        assert_eq!(coded(10_164), AppendAnswer::WrongLastSequence);
        assert!(matches!(coded(10_158), AppendAnswer::Unknown { .. }));
        assert!(matches!(coded(10_077), AppendAnswer::Refused { .. }));
        assert!(matches!(coded(10_047), AppendAnswer::Refused { .. }));
        assert!(matches!(
            read_answer(b"not json"),
            AppendAnswer::Unknown { .. }
        ));
        assert!(matches!(read_answer(b""), AppendAnswer::Unknown { .. }));
    }
}
