//! One socket's life: its messages go through the protocol's machine, its operations run beside each other, its
//! writes are batched and bounded in time. Nothing queues here: an operation is asked for more when what it gave is
//! written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Response, ServerError};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use backbone::chance;
use backbone::lifecycle::Lifecycle;
use backbone::telemetry::{Counter, Family, Gauge, Metrics, TraceContext};
use futures_util::future::BoxFuture;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, FuturesUnordered, SelectAll, StreamExt};
use futures_util::{FutureExt, SinkExt};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::protocol::frame::{self, Frame, NextHeader};
use super::protocol::{Action, CloseCode, Limits, OperationId, Protocol, SUBPROTOCOL, SubscribePayload};
use crate::auth::{Connection, KeyRing, Principal, key_in, one_key};
use crate::error::Problem;
use crate::graphql::{Caller, Executor, GraphqlRequest, Live};
use crate::live::{Feed, Slot, Subscriber, Update};

/// `connection_init` is due within this of the upgrade, as the reference server has it.
const INIT: Duration = Duration::from_secs(3);
const PING: Duration = Duration::from_secs(12);
/// A socket that takes nothing for this long is too slow; its client resumes from where it came to.
const WRITE: Duration = Duration::from_secs(10);
/// The most frames that go out in one write before other things get a turn.
const BATCH: usize = 64;
/// Memory a quiet socket holds for reading; the library's default is 128 KiB.
const READ_BUFFER: usize = 4 << 10;
const WRITE_BUFFER: usize = 16 << 10;

/// What all sockets of a gateway share.
#[derive(Clone)]
pub struct Sockets {
    executor: Executor,
    keys: KeyRing,
    feed: Arc<Feed>,
    lifecycle: Lifecycle,
    drain: Duration,
    open: Gauge,
    frames: Counter,
    writes: Counter,
    closed: Family<[(&'static str, u16); 1], Counter>,
}

impl Sockets {
    /// `drain`: the time over which sockets are closed when the process ends.
    pub fn new(
        executor: Executor,
        keys: KeyRing,
        feed: Arc<Feed>,
        (lifecycle, drain): (Lifecycle, Duration),
        metrics: &Metrics,
    ) -> Self {
        Self {
            executor,
            keys,
            feed,
            lifecycle,
            drain,
            open: metrics.gauge("sockets_open", "Websockets that are open"),
            frames: metrics.counter("socket_frames", "Messages written to websockets"),
            writes: metrics.counter("socket_writes", "Writes to websockets, each of one or more messages"),
            closed: metrics.counter_family("sockets_closed", "Websockets closed by the gateway, by code"),
        }
    }
}

/// Accepts a socket.
pub fn upgrade(sockets: Sockets, upgrade: WebSocketUpgrade, headers: &HeaderMap) -> axum::response::Response {
    let key = key_in(headers);
    let limits = Limits::default();
    let lifecycle = sockets.lifecycle.clone();
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(4 << 20)
        .max_message_size(limits.max_message_bytes)
        .max_frame_size(limits.max_message_bytes)
        .on_upgrade(async move |socket| {
            let spoken = socket.protocol().is_some();
            let session = Session::new(sockets, socket, limits, key);
            lifecycle.spawn_detached("socket", session.run(spoken));
        })
}

/// Something an operation has to say.
enum Said {
    /// It is a subscription, and tells here whether it is caught up.
    Live(Arc<Slot>),
    /// Results, in order, as JSON.
    Next(Vec<Update>),
    /// The one result of a query or mutation, as JSON.
    Result(String),
    /// There is no more.
    Finished,
    /// It was refused: a JSON list of errors.
    Failed(Box<RawValue>),
}

impl Said {
    fn refused(errors: &[ServerError]) -> Self {
        Self::Failed(to_raw_value(errors).expect("errors are JSON"))
    }
}

type Operations = SelectAll<BoxStream<'static, (OperationId, Said)>>;

/// An operation as the session holds it; dropped, it stops.
struct Running {
    stop: AbortHandle,
    slot: Option<Arc<Slot>>,
    header: Arc<NextHeader>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.abort();
    }
}

/// What is to be written. A result becomes a frame when its turn has come: a socket that takes nothing holds results
/// that all others hold too.
enum Due {
    Frame(Frame),
    Result(Arc<NextHeader>, Arc<str>),
}

impl Due {
    fn into_message(self) -> Message {
        let frame = match self {
            Self::Frame(frame) => frame,
            Self::Result(header, result) => header.frame(&result),
        };
        Message::text(frame.into_string())
    }
}

/// What a session heeds beside its client and its operations. Each waits in a place of its own and costs nothing until
/// it comes.
enum Signal {
    /// A ping is due.
    Ping(Instant),
    /// `connection_init` should have come by now.
    InitDue,
    /// Whether the key's database confirms its keys has changed.
    Trust(watch::Receiver<bool>),
    /// The key was revoked.
    Revoked,
    /// The gateway ends, and this socket's turn has come.
    Drained,
}

struct Session {
    sockets: Sockets,
    socket: WebSocket,
    protocol: Protocol,
    /// Of the upgrade's headers.
    key: Result<Option<String>, Problem>,
    principal: Option<(Principal, Connection)>,
    /// Pushes may go out: the key's database confirms its keys.
    trusted: bool,
    signals: FuturesUnordered<BoxFuture<'static, Signal>>,
    running: HashMap<OperationId, Running>,
    operations: Operations,
    /// Something has come since the last ping.
    alive: bool,
    pings_missed: u8,
}

/// The socket is gone, or is to go: nothing more is said.
struct Ended;

impl Session {
    fn new(
        sockets: Sockets,
        socket: WebSocket,
        limits: Limits,
        key: Result<Option<String>, Problem>,
    ) -> Self {
        sockets.open.inc();
        Self {
            sockets,
            socket,
            protocol: Protocol::new(limits),
            key,
            principal: None,
            trusted: true,
            signals: FuturesUnordered::new(),
            running: HashMap::new(),
            operations: SelectAll::new(),
            alive: true,
            pings_missed: 0,
        }
    }

    /// `spoken`: the client offered our subprotocol.
    async fn run(mut self, spoken: bool) {
        if spoken {
            let Ended = self.serve().await;
        } else {
            let _ended = self.close(CloseCode::SubprotocolNotAcceptable).await;
        }
        self.sockets.open.dec();
    }

    async fn serve(&mut self) -> Ended {
        let started = Instant::now();
        let (draining, stopping) = (self.sockets.lifecycle.draining(), self.sockets.lifecycle.stopping());
        let drain = self.sockets.drain;
        self.expect(at(started + PING, Signal::Ping(started + PING)));
        self.expect(at(started + INIT, Signal::InitDue));
        self.expect(async move {
            // Evenly over the time there is, so that clients do not all come back at once.
            let turn = async {
                draining.cancelled().await;
                sleep(chance::jitter(drain.mul_f64(0.4), 1.0)).await;
            };
            tokio::select! {
                () = turn => {}
                () = stopping.cancelled() => {}
            }
            Signal::Drained
        });
        loop {
            // The client before its operations: one that is flooded can still say that it has enough.
            let done = tokio::select! {
                biased;
                Some(signal) = self.signals.next() => self.heed(signal).await,
                message = self.socket.recv() => self.hear(message).await,
                Some((id, said)) = self.operations.next(), if self.trusted => self.say(id, said).await,
            };
            if done.is_err() {
                return Ended;
            }
        }
    }

    fn expect(&self, signal: impl Future<Output = Signal> + Send + 'static) {
        self.signals.push(signal.boxed());
    }

    async fn heed(&mut self, signal: Signal) -> Result<(), Ended> {
        match signal {
            Signal::Ping(due) => {
                self.expect(at(due + PING, Signal::Ping(due + PING)));
                self.ping().await
            }
            Signal::InitDue if self.principal.is_none() => {
                let late = self.protocol.init_timeout();
                self.act(late).await
            }
            Signal::InitDue => Ok(()),
            Signal::Trust(mut trusted) => {
                self.trusted = *trusted.borrow_and_update();
                self.expect_change_of(trusted);
                Ok(())
            }
            Signal::Revoked => self.close(CloseCode::Forbidden).await,
            Signal::Drained => self.close(CloseCode::Draining).await,
        }
    }

    fn expect_change_of(&self, mut trusted: watch::Receiver<bool>) {
        self.expect(async move {
            match trusted.changed().await {
                Ok(()) => Signal::Trust(trusted),
                // The key ring has ended, and so will this soon.
                Err(_) => std::future::pending().await,
            }
        });
    }

    /// From now on the socket is this caller's.
    ///
    /// # Errors
    /// RATE_LIMITED when the caller's key holds as many connections as it may.
    fn belong_to(&mut self, principal: Principal) -> Result<(), Problem> {
        let connection = principal.connect()?;
        let (revoked, mut trusted) = (principal.revoked(), principal.trusted());
        self.expect(async move {
            revoked.cancelled_owned().await;
            Signal::Revoked
        });
        self.trusted = *trusted.borrow_and_update();
        self.expect_change_of(trusted);
        self.principal = Some((principal, connection));
        Ok(())
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Ended> {
        let action = match message {
            Some(Ok(Message::Text(text))) => self.protocol.on_text(&text),
            Some(Ok(Message::Binary(_))) => self.protocol.on_binary(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
            Some(Ok(Message::Close(_))) | None => return Err(Ended),
            // The library refuses what is too large or not UTF-8 and can read no further.
            Some(Err(_)) => self.protocol.on_oversized(),
        };
        self.alive = true;
        self.act(action).await
    }

    async fn act(&mut self, action: Option<Action>) -> Result<(), Ended> {
        let action = match action {
            // Once in a socket's life, and of a database call's size: not in the state that every socket keeps.
            Some(Action::Authenticate { payload }) => Box::pin(self.authenticate(payload.as_ref())).await,
            other => other,
        };
        match action {
            // Authentication has been answered above, and is not asked for twice.
            None | Some(Action::Authenticate { .. }) => Ok(()),
            Some(Action::Send(frame)) => self.write(vec![Due::Frame(frame)]).await,
            Some(Action::Start { id, request }) => {
                self.start(id, request);
                Ok(())
            }
            Some(Action::Stop { id }) => {
                self.running.remove(&id);
                Ok(())
            }
            Some(Action::Close { code, reason }) => {
                self.end(code, &reason).await;
                Err(Ended)
            }
        }
    }

    /// Says why it is over, and waits for the client to have heard it: what a client says to a connection that is gone
    /// resets it, and the reason is lost with all that was on its way.
    async fn end(&mut self, code: CloseCode, reason: &str) {
        self.sockets.closed.get_or_create(&[("code", code.code())]).inc();
        let frame = CloseFrame { code: code.code(), reason: reason.into() };
        let stopping = self.sockets.lifecycle.stopping();
        let socket = &mut self.socket;
        let _gone = timeout(WRITE, socket.send(Message::Close(Some(frame)))).await;
        let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _gone = stopping.run_until_cancelled(timeout(WRITE, answered)).await;
    }

    async fn close(&mut self, code: CloseCode) -> Result<(), Ended> {
        let action = self.protocol.close(code);
        self.act(action).await
    }

    /// A key in the init's payload, else that of the upgrade's headers. Without any, the socket is refused.
    async fn authenticate(
        &mut self,
        payload: Option<&serde_json::Map<String, serde_json::Value>>,
    ) -> Option<Action> {
        let entry = |name: &str| {
            let found = payload?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            found.1.as_str()
        };
        let key = match one_key(entry("x-api-key"), entry("authorization")) {
            Ok(None) => self.key.clone(),
            named => named,
        };
        let principal = match key {
            Ok(Some(key)) => self.sockets.keys.authenticate(&key).await,
            Ok(None) => Err(Problem::unauthenticated("this needs a key")),
            Err(problem) => Err(problem),
        };
        match principal.and_then(|principal| self.belong_to(principal)) {
            Ok(()) => self.protocol.init_accepted(None),
            // It may come to pass: the stock client tries again.
            Err(problem) if problem.retryable => {
                self.protocol.close_saying(CloseCode::Overloaded, problem.message)
            }
            Err(_) => self.protocol.init_refused(),
        }
    }

    fn start(&mut self, id: OperationId, request: SubscribePayload) {
        let caller = Caller {
            principal: self.principal.as_ref().map(|(principal, _)| principal.clone()),
            trace: TraceContext::root(),
        };
        let request = GraphqlRequest {
            query: request.query,
            operation_name: request.operation_name,
            variables: Some(request.variables),
        };
        let (stop, stopped) = AbortHandle::new_pair();
        let operation = operation(self.sockets.executor.clone(), request, caller);
        let name = Arc::clone(&id);
        let operation = Abortable::new(operation, stopped).map(move |said| (Arc::clone(&name), said));
        self.operations.push(operation.boxed());
        let header = Arc::new(frame::next_header(&id));
        self.running.insert(id, Running { stop, slot: None, header });
    }

    /// Writes what an operation says, and what else is ready by now, in one go.
    async fn say(&mut self, id: OperationId, said: Said) -> Result<(), Ended> {
        let mut due = Vec::new();
        self.take(id, said, &mut due);
        while due.len() < BATCH {
            match self.operations.next().now_or_never().flatten() {
                Some((id, said)) => self.take(id, said, &mut due),
                None => break,
            }
        }
        self.write(due).await
    }

    fn take(&mut self, id: OperationId, said: Said, due: &mut Vec<Due>) {
        // What a stopped operation had ready is not said any more.
        let Some(running) = self.running.get_mut(&id) else { return };
        let end = match said {
            Said::Live(slot) => {
                running.slot = Some(slot);
                return;
            }
            Said::Next(results) => {
                let header = &running.header;
                due.extend(results.into_iter().map(|update| Due::Result(Arc::clone(header), update.result)));
                return;
            }
            Said::Result(result) => {
                due.push(Due::Frame(running.header.frame(&result)));
                return;
            }
            Said::Finished => self.protocol.operation_finished(&id),
            Said::Failed(errors) => self.protocol.operation_failed(&id, &errors),
        };
        self.running.remove(&id);
        if let Some(Action::Send(frame)) = end {
            due.push(Due::Frame(frame));
        }
    }

    async fn write(&mut self, due: Vec<Due>) -> Result<(), Ended> {
        if due.is_empty() {
            return Ok(());
        }
        let socket = &mut self.socket;
        let mut count = 0;
        let written = timeout(WRITE, async {
            for due in due {
                socket.feed(due.into_message()).await?;
                count += 1;
            }
            socket.flush().await
        })
        .await;
        self.sockets.frames.inc_by(count);
        self.sockets.writes.inc();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended),
            Err(_) => {
                // Until it has taken what it was given, or shows that it never will, it costs as little as can be.
                self.running.clear();
                self.operations.clear();
                let _closed = self.protocol.close(CloseCode::TooSlow);
                self.end(CloseCode::TooSlow, CloseCode::TooSlow.reason()).await;
                Err(Ended)
            }
        }
    }

    /// Pings a client, with its position when it is caught up; one that has not answered twice is gone.
    async fn ping(&mut self) -> Result<(), Ended> {
        self.pings_missed = if std::mem::take(&mut self.alive) { 0 } else { self.pings_missed + 1 };
        if self.pings_missed >= 2 {
            let gone = self.protocol.pong_missed();
            return self.act(gone).await;
        }
        // The tip first: whoever is caught up after it was read has seen everything up to it.
        let tip = self.sockets.feed.tip();
        let (mut live, mut caught_up) = (false, true);
        for running in self.running.values() {
            if let Some(slot) = &running.slot {
                live = true;
                caught_up &= tip.is_some_and(|tip| slot.is_caught_up_with(tip.sequence));
            }
        }
        let payload = tip.filter(|_| live && caught_up).map(|tip| {
            let payload = serde_json::json!({ "position": tip });
            to_raw_value(&payload).expect("a JSON value is always valid JSON")
        });
        let ping = self.protocol.ping_due(payload.as_deref());
        self.act(ping).await
    }
}

async fn at(time: Instant, signal: Signal) -> Signal {
    sleep_until(time).await;
    signal
}

/// What an operation says from beginning to end.
fn operation(
    executor: Executor,
    request: GraphqlRequest,
    caller: Caller,
) -> impl futures_util::Stream<Item = Said> + Send + 'static {
    // Apart, so that what beginning takes is given back when it has begun.
    let begun = Box::pin(async move { executor.start(request, caller, None, false).await });
    futures_util::stream::once(begun).flat_map(|live| match live {
        Live::Once(response) => {
            futures_util::stream::iter([Said::Result(json(&response)), Said::Finished]).boxed()
        }
        Live::Refused(errors) => futures_util::stream::iter([Said::refused(&errors)]).boxed(),
        Live::Subscriber(subscriber) => {
            let slot = Said::Live(subscriber.slot());
            let results = futures_util::stream::unfold(Some(subscriber), async |subscriber| {
                let mut subscriber: Box<Subscriber> = subscriber?;
                Some(match subscriber.next().await {
                    Ok(results) => (Said::Next(results), Some(subscriber)),
                    Err(problem) => (Said::refused(&[problem.into()]), None),
                })
            });
            futures_util::stream::iter([slot]).chain(results).boxed()
        }
    })
}

fn json(response: &Response) -> String {
    serde_json::to_string(response).expect("a response is JSON")
}
