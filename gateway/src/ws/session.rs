//! One socket's life: its messages go through the protocol's machine, its operations run beside each other, its
//! writes are batched and bounded in time. Nothing queues here: an operation is asked for more when what it gave is
//! written.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use backbone::telemetry::{Counter, Family, Gauge, Metrics, TraceContext};
use futures_util::future::{BoxFuture, poll_immediate};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, SinkExt};
use serde_json::value::to_raw_value;
use smallvec::{SmallVec, smallvec};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::operations::{Operations, Said};
use super::protocol::frame::{Frame, NextHeader};
use super::protocol::{
    Action, CloseCode, Limits, OperationId, Protocol, SUBPROTOCOL, SubscribePayload,
};
use super::wakes::{Source, Wakes};
use crate::auth::{Connection, KeyRing, Principal, key_in, one_key};
use crate::connections::{Connections, Seat};
use crate::error::Problem;
use crate::graphql::{Caller, Executor, GraphqlRequest};
use live::Feed;

/// `connection_init` is due within this of the upgrade, as the reference server has it.
const INIT: Duration = Duration::from_secs(3);
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
    connections: Connections,
    open: Gauge,
    frames: Counter,
    writes: Counter,
    closed: Family<[(&'static str, u16); 1], Counter>,
}

impl Sockets {
    /// None open yet.
    pub fn new(
        executor: Executor,
        keys: KeyRing,
        feed: Arc<Feed>,
        connections: Connections,
        metrics: &Metrics,
    ) -> Self {
        Self {
            executor,
            keys,
            feed,
            connections,
            open: metrics.gauge("sockets_open", "Websockets that are open"),
            frames: metrics.counter("socket_frames", "Messages written to websockets"),
            writes: metrics.counter(
                "socket_writes",
                "Writes to websockets, each of one or more messages",
            ),
            closed: metrics.counter_family(
                "sockets_closed",
                "Websockets closed by the gateway, by code",
            ),
        }
    }
}

/// Accepts a socket.
pub fn upgrade(
    sockets: Sockets,
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
) -> axum::response::Response {
    let key = key_in(headers);
    let limits = Limits::default();
    let connections = sockets.connections.clone();
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
            connections.spawn("socket", session.run(spoken));
        })
}

/// What is to be written. A result becomes a frame when its turn has come: a socket that takes nothing holds results
/// that all others hold too.
enum Due {
    Frame(Frame),
    Result(Arc<NextHeader>, Arc<str>),
}

/// What goes out in one write; mostly one message.
type Batch = SmallVec<[Due; 1]>;

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
    /// The session's timer is over.
    TimeUp,
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
    /// Of the client's introduction, then of the next ping.
    timer: Pin<Box<Sleep>>,
    seat: Seat,
    operations: Operations,
    wakes: Wakes,
    /// The client is heard before its operations are: they had their turn.
    client_first: bool,
    /// Something has come since the last ping.
    alive: bool,
    pings_missed: u8,
}

/// What comes to a session.
enum Event {
    Signal(Signal),
    /// The client said something, or is gone.
    Heard(Option<Result<Message, axum::Error>>),
    /// Operations have something to say.
    Due(Batch),
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
            seat: sockets.connections.seat(),
            timer: Box::pin(sleep(INIT)),
            sockets,
            socket,
            protocol: Protocol::new(limits),
            key,
            principal: None,
            trusted: true,
            signals: FuturesUnordered::new(),
            operations: Operations::default(),
            wakes: Wakes::new(),
            client_first: true,
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
        self.expect(self.seat.end().map(|()| Signal::Drained));
        loop {
            let done = match poll_fn(|context| self.poll_event(context)).await {
                Event::Signal(signal) => self.heed(signal).await,
                Event::Heard(message) => self.hear(message).await,
                Event::Due(due) => self.write(due).await,
            };
            if done.is_err() {
                return Ended;
            }
        }
    }

    /// What comes next. The client and its operations take turns: one that is flooded can still say that it has
    /// enough, and one that floods us still gets what it asked for.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        self.wakes.take(context);
        let client_first = std::mem::take(&mut self.client_first);
        if !client_first && let Poll::Ready(due) = self.poll_due(context) {
            self.client_first = true;
            return Poll::Ready(Event::Due(due));
        }
        let signal = self.wakes.look(Source::Signals, |context| {
            match self.timer.poll_unpin(context) {
                Poll::Ready(()) => Poll::Ready(Some(Signal::TimeUp)),
                Poll::Pending => self.signals.poll_next_unpin(context),
            }
        });
        if let Poll::Ready(Some(signal)) = signal {
            return Poll::Ready(Event::Signal(signal));
        }
        let message = self.wakes.look(Source::Client, |context| {
            self.socket.poll_next_unpin(context)
        });
        if let Poll::Ready(message) = message {
            return Poll::Ready(Event::Heard(message));
        }
        if client_first && let Poll::Ready(due) = self.poll_due(context) {
            self.client_first = true;
            return Poll::Ready(Event::Due(due));
        }
        Poll::Pending
    }

    /// What operations have to say and is ready by now: it goes out in one write.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Batch> {
        let mut due = Batch::new();
        while self.trusted
            && due.len() < BATCH
            && let Poll::Ready((id, said)) = self.operations.poll_said(context)
        {
            self.take(id, said, &mut due);
        }
        if due.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(due)
        }
    }

    fn expect(&mut self, signal: impl Future<Output = Signal> + Send + 'static) {
        self.signals.push(signal.boxed());
        self.wakes.look_at(Source::Signals);
    }

    fn wait_until(&mut self, time: Instant) {
        self.timer.as_mut().reset(time);
        self.wakes.look_at(Source::Signals);
    }

    async fn heed(&mut self, signal: Signal) -> Result<(), Ended> {
        match signal {
            Signal::TimeUp if self.principal.is_none() => {
                let late = self.protocol.init_timeout();
                self.act(late).await
            }
            Signal::TimeUp => {
                self.wait_until(self.timer.deadline() + self.sockets.connections.ping());
                self.ping().await
            }
            Signal::Trust(mut trusted) => {
                self.trusted = *trusted.borrow_and_update();
                self.expect_change_of(trusted);
                Ok(())
            }
            Signal::Revoked => self.close(CloseCode::Forbidden).await,
            Signal::Drained => self.close(CloseCode::Draining).await,
        }
    }

    fn expect_change_of(&mut self, mut trusted: watch::Receiver<bool>) {
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
        self.wait_until(Instant::now() + self.seat.first_ping());
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
            Some(Action::Authenticate { payload }) => {
                Box::pin(self.authenticate(payload.as_ref())).await
            }
            other => other,
        };
        match action {
            // Authentication has been answered above, and is not asked for twice.
            None | Some(Action::Authenticate { .. }) => Ok(()),
            Some(Action::Send(frame)) => self.write(smallvec![Due::Frame(frame)]).await,
            Some(Action::Start { id, request }) => {
                self.start(id, request);
                Ok(())
            }
            Some(Action::Stop { id }) => {
                self.operations.stop(&id);
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
        self.sockets
            .closed
            .get_or_create(&[("code", code.code())])
            .inc();
        let frame = CloseFrame {
            code: code.code(),
            reason: reason.into(),
        };
        let (socket, stopping) = (&mut self.socket, self.sockets.connections.stopping());
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
            let found = payload?
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
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
            Err(problem) if problem.retryable => self
                .protocol
                .close_saying(CloseCode::Overloaded, problem.message),
            Err(_) => self.protocol.init_refused(),
        }
    }

    fn start(&mut self, id: OperationId, request: SubscribePayload) {
        let caller = Caller {
            principal: self
                .principal
                .as_ref()
                .map(|(principal, _)| principal.clone()),
            trace: TraceContext::root(),
        };
        let request = GraphqlRequest {
            query: request.query,
            operation_name: request.operation_name,
            variables: Some(request.variables),
        };
        let executor = self.sockets.executor.clone();
        // Boxed, so that what beginning takes is given back when it has begun.
        let begun = async move { executor.start(request, caller, None, false).await }.boxed();
        self.operations.begin(id, begun);
    }

    fn take(&mut self, id: OperationId, said: Said, due: &mut Batch) {
        let end = match said {
            Said::Next(header, results) => {
                due.extend(
                    results
                        .into_iter()
                        .map(|update| Due::Result(Arc::clone(&header), update.result)),
                );
                return;
            }
            Said::Only(header, result) => {
                due.push(Due::Frame(header.frame(&result)));
                self.protocol.operation_finished(&id)
            }
            Said::Failed(errors) => self.protocol.operation_failed(&id, &errors),
        };
        if let Some(Action::Send(frame)) = end {
            due.push(Due::Frame(frame));
        }
    }

    async fn write(&mut self, due: Batch) -> Result<(), Ended> {
        if due.is_empty() {
            return Ok(());
        }
        self.sockets.frames.inc_by(due.len() as u64);
        self.sockets.writes.inc();
        let written = {
            let mut writing = std::pin::pin!(send(&mut self.socket, due));
            // Nearly always it is taken at once, and no clock need be set.
            match poll_immediate(&mut writing).await {
                Some(written) => Ok(written),
                None => timeout(WRITE, writing).await,
            }
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended),
            Err(_) => {
                // Until it has taken what it was given, or shows that it never will, it costs as little as can be.
                self.operations.clear();
                let _closed = self.protocol.close(CloseCode::TooSlow);
                self.end(CloseCode::TooSlow, CloseCode::TooSlow.reason())
                    .await;
                Err(Ended)
            }
        }
    }

    /// Pings a client, with its position when it is caught up; one that has not answered twice is gone.
    async fn ping(&mut self) -> Result<(), Ended> {
        self.pings_missed = if std::mem::take(&mut self.alive) {
            0
        } else {
            self.pings_missed + 1
        };
        if self.pings_missed >= 2 {
            let gone = self.protocol.pong_missed();
            return self.act(gone).await;
        }
        // The tip first: whoever is caught up after it was read has seen everything up to it.
        let tip = self.sockets.feed.tip();
        let told = tip.filter(|tip| self.operations.are_caught_up_with(*tip) == Some(true));
        let payload = told.map(|tip| {
            let payload = serde_json::json!({ "position": tip });
            to_raw_value(&payload).expect("a JSON value is always valid JSON")
        });
        let ping = self.protocol.ping_due(payload.as_deref());
        self.act(ping).await
    }
}

/// Buffers all of it, then writes.
async fn send(socket: &mut WebSocket, due: Batch) -> Result<(), axum::Error> {
    for due in due {
        socket.feed(due.into_message()).await?;
    }
    socket.flush().await
}
