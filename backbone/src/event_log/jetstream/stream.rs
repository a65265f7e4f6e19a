//! The market's stream over one NATS client: connecting, creating the stream, and checking on every
//! connection that it still is the log that this process follows.

mod checks;
mod import;

pub(in crate::event_log) use import::Import;

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, Event, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{Mutex, watch};

use super::answer::read_answer;
use super::connect::{NatsAccess, connect_options};
use super::raw::{self, Wanted};
use crate::Error;
use crate::clock::Clock;
use crate::event_log::record::{ATTEMPT_TIMEOUT, AppendAnswer, Stored};
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};

/// Header by which the server refuses a publish that reaches a different stream.
pub(super) const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Time to find the stream and read its epoch: a few round trips.
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
    // Held only to read or replace the value.
    newest: Arc<parking_lot::Mutex<Option<(Sequence, EventId)>>>,
    // Held only for operations of the set.
    stuck_tails: Arc<parking_lot::Mutex<HashSet<Sequence>>>,
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
    /// Epochs of the log, oldest first, at least one.
    pub(super) epochs: Arc<[Epoch]>,
    pub(super) stream: Stream<()>,
}

impl Checked {
    /// Returns the present epoch.
    pub(super) fn epoch(&self) -> Epoch {
        *self.epochs.last().expect("a checked log has an epoch")
    }
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
            checked: Arc::default(),
            newest: Arc::default(),
            stuck_tails: Arc::default(),
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

    /// Returns the epoch of the log, which must exist.
    pub(super) async fn epoch(&self) -> Result<Epoch, Error> {
        match self.known_epoch() {
            Some(epoch) => Ok(epoch),
            None => Ok(self.checked().await?.epoch()),
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

        self.is_up().then_some(checked.epoch())
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

        let epochs = self.check_stream().await?;
        let now = Checked {
            connection,
            epochs: epochs.into(),
            stream: self
                .context
                .get_stream_no_info(&self.name)
                .await
                .map_err(unavailable)?,
        };

        let known = checked.as_ref().map(Checked::epoch);
        if let Some(known) = known.filter(|known| *known != now.epoch()) {
            return Err(other_epoch(known, &now));
        }

        self.check_newest().await?;
        *checked = Some(now.clone());
        Ok(now)
    }

    /// Makes the next use check the stream again, although the connection is the same.
    pub(super) async fn recheck(&self) {
        if let Some(checked) = self.checked.lock().await.as_mut() {
            // No connection has this number. The epoch stays, as what this process follows.
            checked.connection = Connection::default();
        }
    }

    /// Remembers an event that is in the log.
    pub(super) fn saw(&self, sequence: Sequence, id: EventId) {
        let mut newest = self.newest.lock();
        if newest.is_none_or(|(newest, _)| newest < sequence) {
            *newest = Some((sequence, id));
        }
    }

    /// Remembers that a tail which was opened after a sequence ended without an event.
    pub(super) fn note_stuck(&self, after: Sequence) {
        self.stuck_tails.lock().insert(after);
    }

    /// Returns whether the last tail that was opened after a sequence ended without an event.
    pub(super) fn was_stuck(&self, after: Sequence) -> bool {
        self.stuck_tails.lock().remove(&after)
    }

    /// Publishes once to the log with this epoch, and waits for the answer.
    pub(super) async fn publish(
        &self,
        epoch: Epoch,
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
            Ok(answer) => return read_answer(epoch, &answer.payload),
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

    /// Reads one message, `None` if there is none.
    pub(super) async fn read(&self, wanted: Wanted<'_>) -> Result<Option<Stored>, Error> {
        let found = raw::read(&self.context, &self.name, wanted).await?;
        Ok(found.map(|stored| Stored {
            subject: self.without_market(&stored.subject).to_owned(),
            ..stored
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

/// Returns what it means that the stream `now` is not of the epoch that this process follows.
fn other_epoch(known: Epoch, now: &Checked) -> Error {
    let epoch = now.epoch().0;
    if now.epochs.contains(&known) {
        // Whatever this process remembers is of a log that has lost some of it.
        return broken(format!(
            "the log was reopened as epoch {epoch}; this process follows epoch {} and must be \
             started again",
            known.0
        ));
    }

    blocked(format!(
        "the stream's epoch is {epoch}, but this process follows epoch {}; connect it to the log of \
         its market",
        known.0
    ))
}

pub(super) fn unavailable(error: impl Display) -> Error {
    Error::unavailable("event log", error)
}

fn blocked(why: impl Display) -> Error {
    Error::blocked("event log", why)
}

fn broken(error: impl Display) -> Error {
    Error::broken("event log", error)
}
