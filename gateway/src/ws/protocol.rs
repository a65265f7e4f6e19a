//! graphql-transport-ws, server side, as a pure state machine: what was heard and what happened goes in, what to do
//! comes out.
//!
//! Owns the phases of a connection, the ids that are active on it and the close codes. Refuses I/O, clocks, GraphQL and
//! authentication: the caller reads and writes, keeps the timers, decides who may enter and runs the operations. `next`
//! messages do not pass through here: the caller builds them with [`frame::next_header`] while [`Protocol::is_active`].

mod close;
pub mod frame;
mod message;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashSet, sync::Arc};

pub use close::CloseCode;
pub use frame::Frame;
use message::Message;
pub use message::SubscribePayload;
/// JSON that is rendered and known to be well-formed.
pub use serde_json::value::RawValue as RawJson;
use serde_json::{Map, Value};

/// The only subprotocol spoken, as it stands in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// The most a close frame can carry beside its code (RFC 6455 5.5.1), in bytes.
pub const MAX_REASON_BYTES: usize = 123;

/// The client's name for one operation of one socket.
pub type OperationId = Arc<str>;

/// The state of one connection.
#[derive(Debug)]
pub struct Protocol {
    limits: Limits,
    state: State,
}

/// What one connection may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations active at a time; one more is answered with `error` and LIMIT_EXCEEDED.
    pub max_operations: usize,
    /// Bytes of one message. The transport enforces it and reports a breach with [`Protocol::on_oversized`].
    pub max_message_bytes: usize,
    /// Bytes of an operation's id, which is kept and repeated in every message of the operation.
    pub max_id_bytes: usize,
}

impl Default for Limits {
    /// 100 operations of 64 KiB messages, which is the limit of a document, and ids that hold any UUID or path.
    fn default() -> Self {
        Self {
            max_operations: 100,
            max_message_bytes: 64 * 1024,
            max_id_bytes: 256,
        }
    }
}

/// What the caller has to do. Every input has at most one consequence.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Action {
    /// Write this text message.
    Send(Frame),
    /// Decide on the client by this payload, then report [`Protocol::init_accepted`] or [`Protocol::init_refused`].
    Authenticate {
        /// What `connection_init` carried; null counts as nothing.
        payload: Option<Map<String, Value>>,
    },
    /// Run this request, then report [`Protocol::operation_finished`] or [`Protocol::operation_failed`].
    Start {
        /// Its name on this socket.
        id: OperationId,
        /// The request, unparsed.
        request: SubscribePayload,
    },
    /// Drop this operation and say nothing more about it.
    Stop {
        /// Its name on this socket.
        id: OperationId,
    },
    /// Drop every operation, write a close frame and end the socket. Nothing follows this.
    Close {
        /// The code of the frame.
        code: CloseCode,
        /// Its reason, at most [`MAX_REASON_BYTES`] bytes.
        reason: Cow<'static, str>,
    },
}

/// The phases of a connection; only an acknowledged one can hold operations.
#[derive(Debug)]
enum State {
    AwaitingInit,
    Authenticating,
    Acknowledged { active: HashSet<OperationId> },
    Closed,
}

/// What the client said.
impl Protocol {
    /// A connection that was just upgraded with [`SUBPROTOCOL`].
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::AwaitingInit,
        }
    }

    /// A text message came.
    pub fn on_text(&mut self, text: &str) -> Option<Action> {
        if self.is_closed() {
            return None;
        }
        match Message::decode(text, self.limits.max_id_bytes) {
            Err(reason) => self.close_with(CloseCode::Malformed, reason.into()),
            Ok(Message::Ping { payload }) => Some(Action::Send(frame::pong(payload))),
            Ok(Message::Pong) => None,
            Ok(Message::ConnectionInit { payload }) => self.on_init(payload),
            Ok(Message::Subscribe { id, request }) => self.on_subscribe(&id, request),
            Ok(Message::Complete { id }) => self.take(&id).map(|id| Action::Stop { id }),
        }
    }

    /// A binary message came: the protocol has none.
    pub fn on_binary(&mut self) -> Option<Action> {
        self.close_with(CloseCode::Malformed, "Invalid message: must be text".into())
    }

    /// The transport refused a message over [`Limits::max_message_bytes`].
    pub fn on_oversized(&mut self) -> Option<Action> {
        self.close_with(CloseCode::Malformed, "Invalid message: too large".into())
    }

    fn on_init(&mut self, payload: Option<Map<String, Value>>) -> Option<Action> {
        if !matches!(self.state, State::AwaitingInit) {
            return self.close(CloseCode::TooManyInits);
        }
        self.state = State::Authenticating;
        Some(Action::Authenticate { payload })
    }

    fn on_subscribe(&mut self, id: &str, request: SubscribePayload) -> Option<Action> {
        let State::Acknowledged { active } = &mut self.state else {
            return self.close(CloseCode::Unauthorized);
        };
        if active.contains(id) {
            let reason = format!("Subscriber for {id} already exists");
            return self.close_with(CloseCode::DuplicateSubscriber, reason.into());
        }
        if active.len() >= self.limits.max_operations {
            return Some(Action::Send(frame::error(
                id,
                &limit_exceeded(self.limits.max_operations),
            )));
        }
        let id = OperationId::from(id);
        active.insert(Arc::clone(&id));
        Some(Action::Start { id, request })
    }
}

/// What happened on the server's side.
impl Protocol {
    /// The time for `connection_init` is over, which counts from the upgrade and says nothing about authentication.
    pub fn init_timeout(&mut self) -> Option<Action> {
        match self.state {
            State::AwaitingInit => self.close(CloseCode::InitTimeout),
            _ => None,
        }
    }

    /// The client may enter. `payload` is an object.
    pub fn init_accepted(&mut self, payload: Option<&RawJson>) -> Option<Action> {
        match self.state {
            State::Authenticating => {
                self.state = State::Acknowledged {
                    active: HashSet::new(),
                };
                Some(Action::Send(frame::connection_ack(payload)))
            }
            _ => None,
        }
    }

    /// The client may not enter.
    pub fn init_refused(&mut self) -> Option<Action> {
        match self.state {
            State::Authenticating => self.close(CloseCode::Forbidden),
            _ => None,
        }
    }

    /// It is time for a ping. `payload` is an object.
    pub fn ping_due(&mut self, payload: Option<&RawJson>) -> Option<Action> {
        (!self.is_closed()).then(|| Action::Send(frame::ping(payload)))
    }

    /// The client has not answered a ping in time. The caller keeps that time and may take any message as an answer.
    pub fn pong_missed(&mut self) -> Option<Action> {
        self.close(CloseCode::TooSlow)
    }

    /// The operation has sent its last `next`. Nothing if the client completed it meanwhile.
    pub fn operation_finished(&mut self, id: &str) -> Option<Action> {
        self.take(id).map(|id| Action::Send(frame::complete(&id)))
    }

    /// The operation ended with an error. `errors` is a non-empty array of GraphQL errors. Nothing if the client
    /// completed the operation meanwhile.
    pub fn operation_failed(&mut self, id: &str, errors: &RawJson) -> Option<Action> {
        self.take(id)
            .map(|id| Action::Send(frame::error(&id, errors)))
    }

    /// The server ends the socket for a reason of its own: a revoked key, a slow reader, a drain, overload.
    pub fn close(&mut self, code: CloseCode) -> Option<Action> {
        self.close_with(code, code.reason().into())
    }

    /// As [`Self::close`], with a reason that says more than the code's own.
    pub fn close_saying(&mut self, code: CloseCode, reason: String) -> Option<Action> {
        self.close_with(code, reason.into())
    }

    /// Whether results may still be sent for `id`.
    #[must_use]
    pub fn is_active(&self, id: &str) -> bool {
        matches!(&self.state, State::Acknowledged { active } if active.contains(id))
    }

    /// How many operations are active.
    #[must_use]
    pub fn active_operations(&self) -> usize {
        match &self.state {
            State::Acknowledged { active } => active.len(),
            _ => 0,
        }
    }

    /// Whether the socket is at its end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn take(&mut self, id: &str) -> Option<OperationId> {
        match &mut self.state {
            State::Acknowledged { active } => active.take(id),
            _ => None,
        }
    }

    fn close_with(&mut self, code: CloseCode, reason: Cow<'static, str>) -> Option<Action> {
        if self.is_closed() {
            return None;
        }
        self.state = State::Closed;
        Some(Action::Close {
            code,
            reason: shortened(reason),
        })
    }
}

fn shortened(mut reason: Cow<'static, str>) -> Cow<'static, str> {
    if reason.len() > MAX_REASON_BYTES {
        let end = reason.floor_char_boundary(MAX_REASON_BYTES);
        reason.to_mut().truncate(end);
    }
    reason
}

fn limit_exceeded(max: usize) -> Box<RawJson> {
    let errors = serde_json::json!([{
        "message": format!("at most {max} operations may be active on one connection"),
        "extensions": { "code": "LIMIT_EXCEEDED", "retryable": false },
    }]);
    serde_json::value::to_raw_value(&errors).expect("a JSON value is always valid JSON")
}
