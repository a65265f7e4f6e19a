//! Messages of clients and timers: each becomes an input of the protocol's state machine, whose action follows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use backbone::lifecycle::OwnedTask;
use backbone::position::Position;
use futures_util::FutureExt;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::inbox::{Command, Received};
use super::limits::{MAX_PINGS_MISSED, MAX_UNREAD, WRITE_TIMEOUT};
use super::socket::{Kind, OperationState, Phase};
use super::timers::Timer;
use super::{Shard, SocketKey};
use crate::event_stream;
use crate::protocol::{Action, CloseCode};
use crate::service::{Caller, Refusal, Service};
use crate::websocket::decoder::Violation;
use crate::websocket::frame::{self, Opcode};

impl<S: Service> Shard<S> {
    /// Takes what a client has sent.
    pub(super) fn on_received(&mut self, key: SocketKey, received: Vec<Received>) {
        for item in received {
            self.on_item(key, item);
            if !self.sockets.contains_key(key) {
                return;
            }
        }

        // One write for the answers to all of them.
        self.flush(key);
        let Some(socket) = self.sockets.get_mut(key) else {
            return;
        };
        // A client that asks and does not read is not asked for more.
        if socket.outgoing.bytes() < MAX_UNREAD {
            socket.reader.go_on();
        } else {
            socket.reader_waits = true;
        }
    }

    fn on_item(&mut self, key: SocketKey, item: Received) {
        let socket = &mut self.sockets[key];
        // Any message counts as an answer to a ping: a client that sends one is there.
        socket.is_heard = true;

        if let Received::Close(code) = item {
            return self.on_close(key, code);
        }
        let Kind::WebSocket(protocol) = &mut socket.kind else {
            return;
        };

        let action = match item {
            Received::Message(message) => protocol.on_message(message),
            Received::Binary => protocol.on_binary(),
            Received::Violation(Violation::TooLarge) => protocol.on_oversized(),
            Received::Violation(Violation::Malformed) => protocol.on_malformed(),
            // Pings of the websocket itself carry nothing; only those of the protocol carry positions.
            Received::Ping(payload) if !socket.is_ending() => {
                socket
                    .outgoing
                    .push(frame::frame(Opcode::Pong, &payload), None);
                None
            }
            Received::Ping(_) | Received::Pong | Received::Close(_) => None,
        };
        self.perform(key, action);
    }

    /// Answers the client's close frame, or takes it as the answer to ours.
    fn on_close(&mut self, key: SocketKey, code: Option<u16>) {
        if self.sockets[key].is_ending() {
            return self.remove(key);
        }

        self.stop_all(key);
        let answer = match code {
            Some(code) => frame::close(code, ""),
            None => frame::frame(Opcode::Close, b""),
        };
        self.send_last(key, answer, Phase::Closed);
    }

    /// Queues the last frame of a socket and bounds the time that its end may take.
    fn send_last(&mut self, key: SocketKey, frame: Vec<u8>, phase: Phase) {
        let socket = &mut self.sockets[key];
        if let Kind::WebSocket(protocol) = &mut socket.kind {
            // Nothing may follow it, whatever comes in.
            let _closed = protocol.close(CloseCode::Draining);
        }

        socket.outgoing.push(frame, None);
        socket.phase = phase;
        socket.authentication = None;
        self.clear_timer(key, Timer::Stalled);
        self.clear_timer(key, Timer::Ping);
        self.set_timer(key, Timer::Closed, WRITE_TIMEOUT);
    }

    /// Does what the protocol has decided.
    pub(super) fn perform(&mut self, key: SocketKey, action: Option<Action>) {
        match action {
            None => {}
            Some(Action::Send(message)) => {
                let frame = frame::frame(Opcode::Text, message.as_str().as_bytes());
                self.sockets[key].outgoing.push(frame, None);
                self.shared.metrics.messages.inc();
            }
            Some(Action::Authenticate { payload }) => self.authenticate(key, payload),
            Some(Action::Start { id, request }) => self.start(key, id, request),
            Some(Action::Stop { id }) => self.stop(key, &id),
            Some(Action::Close { code, reason }) => {
                let code = code.code();
                self.shared
                    .metrics
                    .closed
                    .get_or_create(&[("code", code)])
                    .inc();

                self.stop_all(key);
                self.send_last(key, frame::close(code, &reason), Phase::Closing);
            }
        }
    }

    /// Authenticates a client in a task of its own.
    fn authenticate(&mut self, key: SocketKey, payload: Option<Map<String, Value>>) {
        let socket = &mut self.sockets[key];
        // Taken: the protocol asks once, and the key is not kept for as long as the socket lives.
        let Some(credentials) = socket.credentials.take() else {
            return;
        };

        let service = Arc::clone(&self.shared.service);
        let inbox = self.inbox.clone();
        let authentication = OwnedTask::start(async move {
            let caller = AssertUnwindSafe(service.authenticate(payload, credentials));
            // A panic is no rejection: the client may come back.
            let caller = caller
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Refusal::TryLater("Authentication failed".to_owned())));
            inbox.send(Command::Authenticated(key, caller));
        });
        socket.authentication = Some(authentication);
    }

    /// Answers `connection_init`: binds the caller, or closes the socket.
    pub(super) fn on_authenticated(&mut self, key: SocketKey, result: Result<S::Caller, Refusal>) {
        let socket = &mut self.sockets[key];
        let Kind::WebSocket(protocol) = &mut socket.kind else {
            return;
        };

        let action = match result {
            Ok(caller) => {
                socket.is_trusted = caller.is_trusted();
                socket.caller = Some(caller);
                protocol.init_accepted(None)
            }
            // Not a rejection of the key: the code makes the stock client try again later.
            Err(Refusal::TryLater(reason)) => {
                protocol.close_with_reason(CloseCode::Overloaded, reason)
            }
            Err(Refusal::Rejected) => protocol.init_refused(),
        };
        socket.authentication = None;
        self.perform(key, action);

        if !self.sockets[key].is_ending() {
            let first = self.sockets[key]
                .stagger
                .first_ping(self.shared.settings.ping);
            // A key that was revoked while it was looked up is noticed here, since nobody will tell again.
            self.clear_timer(key, Timer::Init);
            self.set_timer(key, Timer::Ping, first);
            self.check_key(key);
        }
        self.flush(key);
    }

    /// Closes a socket whose key was revoked; holds or releases its pushes as the key is trusted or not.
    pub(super) fn check_key(&mut self, key: SocketKey) {
        let socket = &mut self.sockets[key];
        let Some(caller) = &socket.caller else { return };

        // Whatever is ready to be pushed is dropped: from now on the key may see nothing.
        if caller.is_revoked() {
            return self.close(key, CloseCode::Forbidden);
        }

        // Queries go on meanwhile and decide for themselves; what is pushed waits.
        socket.is_trusted = caller.is_trusted();
        if socket.is_trusted {
            self.add_turn(key);
        }
    }

    pub(super) fn on_timer(&mut self, key: SocketKey, timer: Timer) {
        self.sockets[key].timers[timer as usize] = None;

        match timer {
            Timer::Init => {
                if let Kind::WebSocket(protocol) = &mut self.sockets[key].kind {
                    let action = protocol.init_timeout();
                    self.perform(key, action);
                }
            }
            // Set before the ping, which may close the socket and clear it.
            Timer::Ping => {
                self.set_timer(key, Timer::Ping, self.shared.settings.ping);
                self.ping(key);
            }
            Timer::Stalled => self.close(key, CloseCode::TooSlow),
            Timer::Window => self.end_windows(key),
            Timer::Closed => return self.remove(key),
            Timer::Drain => {
                self.sockets[key].phase = match self.sockets[key].phase {
                    Phase::Open => Phase::Draining,
                    ending => ending,
                };
                self.close_if_drained(key);
            }
        }
        self.flush(key);
    }

    /// Pings the client, with its position if it is caught up, or closes the socket if too many pings went unanswered.
    fn ping(&mut self, key: SocketKey) {
        let position = self
            .caught_up_position(key)
            .map(|position| position.encode());
        let socket = &mut self.sockets[key];

        let Kind::WebSocket(protocol) = &mut socket.kind else {
            // A stream that takes nothing now needs no heartbeat to stay open.
            if socket.outgoing.is_empty() {
                let heartbeat = event_stream::heartbeat(position.as_deref());
                socket.outgoing.push(heartbeat, None);
            }
            return;
        };

        socket.pings_missed = if std::mem::take(&mut socket.is_heard) {
            0
        } else {
            socket.pings_missed + 1
        };
        let action = if socket.pings_missed >= MAX_PINGS_MISSED {
            protocol.pong_missed()
        } else {
            let payload = position.map(position_payload);
            protocol.ping_due(payload.as_deref())
        };
        self.perform(key, action);
    }

    /// Returns the position that the client has seen everything up to, if it has and follows anything.
    fn caught_up_position(&self, key: SocketKey) -> Option<Position> {
        let socket = &self.sockets[key];
        if !socket.outgoing.is_empty() || socket.operations.is_empty() {
            return None;
        }

        // A subscription that is still beginning may have to begin before this position.
        let is_caught_up = socket
            .operations
            .iter()
            .all(|operation| match operation.state {
                OperationState::Subscribed(subscription) => {
                    self.subscriptions[subscription].is_caught_up(self.place)
                }
                OperationState::Executing { .. } => false,
            });
        let position = Position {
            epoch: self.shared.feed.tip()?.epoch,
            sequence: self.place.0,
            index: self.place.1,
        };

        is_caught_up.then_some(position)
    }

    /// Closes a socket for a reason of the server.
    pub(super) fn close(&mut self, key: SocketKey, code: CloseCode) {
        self.close_with_reason(key, code, code.reason().to_owned());
    }

    pub(super) fn close_with_reason(&mut self, key: SocketKey, code: CloseCode, reason: String) {
        match &mut self.sockets[key].kind {
            Kind::WebSocket(protocol) => {
                let action = protocol.close_with_reason(code, reason);
                self.perform(key, action);
                self.add_turn(key);
            }
            // A stream ends without a word: its client reconnects with the last id.
            Kind::EventStream => self.remove(key),
        }
    }

    /// Schedules the end of a socket of a process that drains.
    pub(super) fn set_drain_turn(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.get(key) {
            let turn = socket.stagger.drain_turn(self.shared.settings.drain);
            self.set_timer(key, Timer::Drain, turn);
        }
    }

    /// Closes a socket whose turn to end has come, once its queries and mutations are done: a mutation that was cut off
    /// would be sent again by its client.
    pub(super) fn close_if_drained(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get(key) else {
            return;
        };
        let is_executing =
            |state: &OperationState| matches!(state, OperationState::Executing { .. });

        if socket.phase == Phase::Draining
            && !socket.operations.iter().any(|it| is_executing(&it.state))
        {
            self.close(key, CloseCode::Draining);
        }
    }
}

fn position_payload(position: String) -> Box<RawValue> {
    to_raw_value(&json!({ "position": position })).expect("a JSON value is always valid JSON")
}
