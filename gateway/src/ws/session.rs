//! Session of one websocket: its messages go through the protocol's state machine, its operations run side by side, its
//! writes are batched and bounded in time.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use backbone::telemetry::TraceContext;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_immediate};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::value::to_raw_value;
use smallvec::smallvec;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::batch::{Batch, Outgoing, send};
use super::credentials::{self, HeaderKey};
use super::operations::{OperationOutput, Operations};
use super::protocol::{Action, CloseCode, Limits, OperationId, Protocol, SubscribePayload};
use super::sockets::Sockets;
use super::source_wakers::{Source, SourceWakers};
use crate::auth::{Connection, Principal};
use crate::connections::Stagger;
use crate::error::Problem;
use crate::graphql::{Caller, GraphqlRequest, RequestRules};

/// Time after the upgrade within which `connection_init` must arrive, as in the reference server of graphql-ws.
const INIT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time after which a client that takes no bytes is too slow. It resumes from its last position.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Most messages in one write, after which signals and the client get a turn.
const MAX_BATCH: usize = 64;

/// Pings in a row that a client may leave unanswered before it counts as gone.
const MAX_PINGS_MISSED: u8 = 2;

/// Event beside the client's messages and the operations' output.
enum Signal {
    /// The session's timer has run out.
    TimerElapsed,
    /// The database of the key has begun or ceased to confirm its keys.
    TrustChanged(watch::Receiver<bool>),
    /// The key was revoked.
    KeyRevoked,
    /// The process drains, and this socket's turn to end has come.
    Draining,
}

/// Session of one websocket.
pub(super) struct Session {
    sockets: Sockets,
    socket: WebSocket,
    protocol: Protocol,
    header_key: HeaderKey,
    principal: Option<(Principal, Connection)>,
    /// True while pushes may go out: the database of the key confirms its keys.
    trusted: bool,
    // Boxed futures: signals are of several kinds, wait for hours, and exist in ones and twos on each socket.
    signals: FuturesUnordered<BoxFuture<'static, Signal>>,
    /// Timer of `connection_init`, then of the next ping.
    timer: Pin<Box<Sleep>>,
    stagger: Stagger,
    operations: Operations,
    wakers: SourceWakers,
    /// True if the client comes before the operations in the next poll, because they had their turn.
    client_first: bool,
    /// True if a message has arrived since the last ping.
    heard_since_ping: bool,
    pings_missed: u8,
}

/// Next event of a session.
enum Event {
    Signal(Signal),
    /// Message of the client, a fault of the transport, or its end.
    Message(Option<Result<Message, axum::Error>>),
    /// Output of operations, to be written.
    Output(Batch),
}

/// Marker of a session that has ended: the socket is closed or gone.
pub(super) struct Ended;

impl Session {
    /// Creates the session of a socket that was just upgraded.
    pub(super) fn new(
        sockets: Sockets,
        socket: WebSocket,
        limits: Limits,
        header_key: HeaderKey,
    ) -> Self {
        sockets.open.inc();
        Self {
            stagger: sockets.connections.stagger(),
            timer: Box::pin(sleep(INIT_TIMEOUT)),
            sockets,
            socket,
            protocol: Protocol::new(limits),
            header_key,
            principal: None,
            trusted: true,
            signals: FuturesUnordered::new(),
            operations: Operations::default(),
            wakers: SourceWakers::new(),
            client_first: true,
            heard_since_ping: true,
            pings_missed: 0,
        }
    }

    /// Runs the session to its end. `subprotocol_accepted` tells whether the client offered our subprotocol.
    pub(super) async fn run(mut self, subprotocol_accepted: bool) {
        if subprotocol_accepted {
            let Ended = self.serve().await;
        } else {
            let _ended = self.close(CloseCode::SubprotocolNotAcceptable).await;
        }
        self.sockets.open.dec();
    }

    async fn serve(&mut self) -> Ended {
        self.add_signal(self.stagger.drain_turn().map(|()| Signal::Draining));

        loop {
            let result = match poll_fn(|context| self.poll_event(context)).await {
                Event::Signal(signal) => self.on_signal(signal).await,
                Event::Message(message) => self.on_message(message).await,
                Event::Output(batch) => self.write(batch).await,
            };
            if result.is_err() {
                return Ended;
            }
        }
    }

    /// Polls for the next event. The client and the operations alternate: a client that is flooded with results can still
    /// complete its operation, and one that floods the socket still gets its results.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        // Before any source is polled: a wake-up from here on marks its source for the next poll.
        self.wakers.collect(context);

        let client_first = std::mem::take(&mut self.client_first);
        if !client_first && let Poll::Ready(batch) = self.poll_output(context) {
            self.client_first = true;
            return Poll::Ready(Event::Output(batch));
        }

        // The timer before the signals: `FuturesUnordered` is done when it is empty, and must not hide the timer.
        let signal = self.wakers.poll_source(Source::Signals, |context| {
            match self.timer.poll_unpin(context) {
                Poll::Ready(()) => Poll::Ready(Some(Signal::TimerElapsed)),
                Poll::Pending => self.signals.poll_next_unpin(context),
            }
        });

        if let Poll::Ready(Some(signal)) = signal {
            return Poll::Ready(Event::Signal(signal));
        }

        let message = self.wakers.poll_source(Source::Client, |context| {
            self.socket.poll_next_unpin(context)
        });

        if let Poll::Ready(message) = message {
            return Poll::Ready(Event::Message(message));
        }

        if client_first && let Poll::Ready(batch) = self.poll_output(context) {
            self.client_first = true;
            return Poll::Ready(Event::Output(batch));
        }

        Poll::Pending
    }

    /// Polls the operations for everything that is ready by now, which goes out in one write.
    fn poll_output(&mut self, context: &mut Context<'_>) -> Poll<Batch> {
        let mut batch = Batch::new();
        // Without trust nothing is even read: the subscribers keep their positions and lose nothing by waiting.
        while self.trusted
            && batch.len() < MAX_BATCH
            && let Poll::Ready((id, output)) = self.operations.poll_output(context)
        {
            self.add_output(id, output, &mut batch);
        }

        // Operations that are pending have registered the session's own waker.
        if batch.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(batch)
        }
    }

    fn add_output(&mut self, id: OperationId, output: OperationOutput, batch: &mut Batch) {
        // The frame of the operation's end follows its last result in the same write.
        let last = match output {
            OperationOutput::Next(header, updates) => {
                batch.extend(
                    updates
                        .into_iter()
                        .map(|update| Outgoing::Result(Arc::clone(&header), update.result)),
                );
                return;
            }
            OperationOutput::Only(header, result) => {
                batch.push(Outgoing::Frame(header.frame(&result)));
                self.protocol.operation_finished(&id)
            }
            OperationOutput::Failed(errors) => self.protocol.operation_failed(&id, &errors),
        };

        if let Some(Action::Send(frame)) = last {
            batch.push(Outgoing::Frame(frame));
        }
    }

    fn add_signal(&mut self, signal: impl Future<Output = Signal> + Send + 'static) {
        self.signals.push(signal.boxed());
        // A future that was never polled has no waker to call.
        self.wakers.mark_due(Source::Signals);
    }

    fn set_timer(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
        // Resetting a timer drops its waker, so it must be polled again.
        self.wakers.mark_due(Source::Signals);
    }

    async fn on_signal(&mut self, signal: Signal) -> Result<(), Ended> {
        match signal {
            Signal::TimerElapsed if self.principal.is_none() => {
                let action = self.protocol.init_timeout();
                self.perform(action).await
            }
            Signal::TimerElapsed => {
                // From the last deadline, not from now, so that a slow write does not shift the pings of a socket
                // towards those of the others.
                self.set_timer(self.timer.deadline() + self.sockets.connections.ping());
                self.ping().await
            }
            Signal::TrustChanged(mut trusted) => {
                self.trusted = *trusted.borrow_and_update();
                self.add_trust_signal(trusted);
                Ok(())
            }
            // Whatever is ready to be pushed is dropped: from now on the key may see nothing.
            Signal::KeyRevoked => self.close(CloseCode::Forbidden).await,
            // At once, also with operations running: subscriptions resume elsewhere, and mutations can be repeated by
            // their idempotency key.
            Signal::Draining => self.close(CloseCode::Draining).await,
        }
    }

    fn add_trust_signal(&mut self, mut trusted: watch::Receiver<bool>) {
        self.add_signal(async move {
            match trusted.changed().await {
                Ok(()) => Signal::TrustChanged(trusted),
                // The key ring ends only with the process, which closes this socket by itself.
                Err(_) => pending().await,
            }
        });
    }

    async fn on_message(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ended> {
        let action = match message {
            Some(Ok(Message::Text(text))) => self.protocol.on_text(&text),
            Some(Ok(Message::Binary(_))) => self.protocol.on_binary(),
            // Pings of the websocket itself, which the library answers; only those of the protocol carry positions.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
            // The library answers the client's close frame by itself.
            Some(Ok(Message::Close(_))) | None => return Err(Ended),
            // The library rejects what is too large or not UTF-8, and cannot read what follows.
            Some(Err(_)) => self.protocol.on_oversized(),
        };

        self.heard_since_ping = true;
        self.perform(action).await
    }

    async fn perform(&mut self, action: Option<Action>) -> Result<(), Ended> {
        let action = match action {
            // Boxed: it happens once in a socket's life and is as large as a database call, which would otherwise be
            // part of the state that every socket keeps.
            Some(Action::Authenticate { payload }) => {
                Box::pin(self.authenticate(payload.as_ref())).await
            }
            other => other,
        };

        match action {
            // Authentication was performed above, and answers with another action.
            None | Some(Action::Authenticate { .. }) => Ok(()),
            Some(Action::Send(frame)) => self.write(smallvec![Outgoing::Frame(frame)]).await,
            Some(Action::Start { id, request }) => {
                self.start(id, request);
                Ok(())
            }
            Some(Action::Stop { id }) => {
                self.operations.stop(&id);
                Ok(())
            }
            Some(Action::Close { code, reason }) => {
                self.close_socket(code, &reason).await;
                Err(Ended)
            }
        }
    }

    /// Answers `connection_init`: binds the principal of the key, or closes the socket.
    async fn authenticate(
        &mut self,
        payload: Option<&serde_json::Map<String, serde_json::Value>>,
    ) -> Option<Action> {
        let principal =
            credentials::authenticate(&self.sockets.keys, payload, &self.header_key).await;

        match principal.and_then(|principal| self.bind_principal(principal)) {
            Ok(()) => self.protocol.init_accepted(None),
            // Not a rejection of the key. A full key or an unavailable database: the code makes the stock client try again later.
            Err(problem) if problem.retryable => self
                .protocol
                .close_with_reason(CloseCode::Overloaded, problem.message),
            Err(_) => self.protocol.init_refused(),
        }
    }

    /// Makes the socket a connection of this principal and schedules its first ping.
    ///
    /// # Errors
    /// RATE_LIMITED when the key holds as many connections as it may.
    fn bind_principal(&mut self, principal: Principal) -> Result<(), Problem> {
        // First, since it may fail: nothing of a principal without a free connection may stay with the session.
        let connection = principal.connect()?;

        let revoked = principal.revoked();

        self.add_signal(async move {
            revoked.cancelled_owned().await;
            Signal::KeyRevoked
        });

        let mut trusted = principal.trusted();
        self.trusted = *trusted.borrow_and_update();
        self.add_trust_signal(trusted);

        self.principal = Some((principal, connection));
        self.set_timer(Instant::now() + self.stagger.first_ping());
        Ok(())
    }

    fn start(&mut self, id: OperationId, request: SubscribePayload) {
        let principal = self.principal.as_ref();
        let caller = Caller {
            principal: principal.map(|(principal, _)| principal.clone()),
            trace: TraceContext::root(),
        };
        let request = GraphqlRequest {
            query: request.query,
            operation_name: request.operation_name,
            variables: Some(request.variables),
        };

        let executor = self.sockets.executor.clone();
        let rules = RequestRules {
            streams: true,
            ..RequestRules::default()
        };
        let execution = async move { executor.execute(request, caller, rules).await };

        self.operations.start(id, execution.boxed());
    }

    async fn write(&mut self, batch: Batch) -> Result<(), Ended> {
        if batch.is_empty() {
            return Ok(());
        }

        self.sockets.frames.inc_by(batch.len() as u64);
        self.sockets.writes.inc();

        let written = {
            let mut writing = std::pin::pin!(send(&mut self.socket, batch));
            // The kernel nearly always takes the bytes at once, and then no timer need be created.
            match poll_immediate(&mut writing).await {
                Some(written) => Ok(written),
                None => timeout(WRITE_TIMEOUT, writing).await,
            }
        };

        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended),
            Err(_) => {
                // Closing takes up to two more timeouts. The operations go first, so that the socket holds no results
                // and wakes for no change meanwhile.
                self.operations.clear();
                let _closed = self.protocol.close(CloseCode::TooSlow);
                self.close_socket(CloseCode::TooSlow, CloseCode::TooSlow.reason())
                    .await;
                Err(Ended)
            }
        }
    }

    /// Pings the client, with its position if it is caught up, or closes the socket if too many pings went unanswered.
    async fn ping(&mut self) -> Result<(), Ended> {
        // Any message counts as an answer: a client that sends one is there.
        self.pings_missed = if std::mem::take(&mut self.heard_since_ping) {
            0
        } else {
            self.pings_missed + 1
        };
        if self.pings_missed >= MAX_PINGS_MISSED {
            let action = self.protocol.pong_missed();
            return self.perform(action).await;
        }

        // The tip before the question: an operation that is caught up after the tip was read has seen all up to it.
        let tip = self.sockets.feed.tip();
        let position = tip.filter(|tip| self.operations.are_caught_up_with(*tip) == Some(true));
        let payload = position.map(|position| {
            let payload = serde_json::json!({ "position": position });
            to_raw_value(&payload).expect("a JSON value is always valid JSON")
        });

        let action = self.protocol.ping_due(payload.as_deref());
        self.perform(action).await
    }

    async fn close(&mut self, code: CloseCode) -> Result<(), Ended> {
        let action = self.protocol.close(code);
        self.perform(action).await
    }

    /// Sends a close frame and waits for the client's end of the connection.
    async fn close_socket(&mut self, code: CloseCode, reason: &str) {
        self.sockets
            .closed
            .get_or_create(&[("code", code.code())])
            .inc();

        let frame = CloseFrame {
            code: code.code(),
            reason: reason.into(),
        };
        let stopping = self.sockets.connections.stopping();
        let _sent = timeout(WRITE_TIMEOUT, self.socket.send(Message::Close(Some(frame)))).await;

        // Dropping the socket now could lose the frame: whatever the client sends to a closed connection is answered
        // with a reset, which discards what is still on its way. So everything is read, and ignored, until the client
        // has closed, too, or the time is up.
        let answered = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _answered = stopping
            .run_until_cancelled(timeout(WRITE_TIMEOUT, answered))
            .await;
    }
}
