//! Server side of graphql-transport-ws as a pure state machine: messages and events go in, actions come out.
//!
//! The machine keeps the phase of a connection, the ids of its active operations and the close codes. It does no I/O and
//! has no clock: the caller reads and writes, keeps the timers, authenticates and runs the operations. `next` messages do
//! not pass through the machine; the caller builds them with [`frame::next_header`] while [`Protocol::is_active`].
//!
//! Source: PROTOCOL.md of the npm package graphql-ws.

mod close;
pub mod frame;
mod message;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashSet, sync::Arc};

pub use close::CloseCode;
pub use frame::Frame;
pub use message::{Malformed, Message, SubscribePayload};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Name of the only subprotocol that the gateway speaks, as in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Longest reason of a close frame, in bytes: a control frame's 125 less two for the code (RFC 6455, section 5.5).
pub const MAX_REASON_BYTES: usize = 123;

/// Name that the client gave to one operation of one socket.
pub type OperationId = Arc<str>;

/// State of one connection.
#[derive(Debug)]
pub struct Protocol {
    limits: Limits,
    state: State,
}

/// Limits of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations active at a time. One more is answered with `error` and LIMIT_EXCEEDED; the connection stays open.
    pub max_operations: usize,
    /// Bytes of one message. The transport enforces this limit and reports a breach with [`Protocol::on_oversized`].
    pub max_message_bytes: usize,
    /// Bytes of an operation's id, which is kept and repeated in every message of the operation.
    pub max_id_bytes: usize,
}

impl Limits {
    /// Limits of a connection unless they are chosen.
    pub const DEFAULT: Self = Self {
        // Above what any page subscribes to, and few enough that polling all of them is cheap.
        max_operations: 100,
        // Equal to the limit of a document: no valid message is larger.
        max_message_bytes: 64 * 1024,
        // Room for any UUID, counter or path that clients use as ids.
        max_id_bytes: 256,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Action that the caller must perform. Every input has at most one.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Action {
    /// Write this text message.
    Send(Frame),
    /// Authenticate the client, then report [`Protocol::init_accepted`] or [`Protocol::init_refused`].
    Authenticate {
        /// Payload of `connection_init`; `None` if it was absent or null.
        payload: Option<Map<String, Value>>,
    },
    /// Run this request, then report [`Protocol::operation_finished`] or [`Protocol::operation_failed`].
    Start {
        /// Id of the operation to start.
        id: OperationId,
        /// GraphQL request, not yet parsed.
        request: SubscribePayload,
    },
    /// Drop this operation and send nothing more for it.
    Stop {
        /// Id of the operation to drop.
        id: OperationId,
    },
    /// Drop every operation, send a close frame and end the socket. No action follows this one.
    Close {
        /// Code of the frame.
        code: CloseCode,
        /// Reason of the frame, at most [`MAX_REASON_BYTES`] bytes.
        reason: Cow<'static, str>,
    },
}

/// Phase of a connection. Only an acknowledged one can have operations, so only it has a place for them.
#[derive(Debug)]
enum State {
    AwaitingInit,
    Authenticating,
    Acknowledged { active: HashSet<OperationId> },
    Closed,
}

/// Inputs from the client.
impl Protocol {
    /// Creates the state of a connection that was just upgraded with [`SUBPROTOCOL`].
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::AwaitingInit,
        }
    }

    /// Handles a text message, decoded with [`Message::decode`].
    pub fn on_message(&mut self, message: Result<Message, Malformed>) -> Option<Action> {
        if self.is_closed() {
            return None;
        }

        match message {
            Err(reason) => self.close_because(CloseCode::Malformed, reason.into()),
            // Answered in every phase: a client may ping before it has initialised the connection.
            Ok(Message::Ping { payload }) => Some(Action::Send(frame::pong(payload.as_deref()))),
            Ok(Message::Pong) => None,
            Ok(Message::ConnectionInit { payload }) => self.on_init(payload),
            Ok(Message::Subscribe { id, request }) => self.on_subscribe(id, request),
            // An id that is not active is ignored: the server's own `complete` may be on its way to the client.
            Ok(Message::Complete { id }) => self.remove(&id).map(|id| Action::Stop { id }),
        }
    }

    /// Handles a binary message, which the protocol does not know.
    pub fn on_binary(&mut self) -> Option<Action> {
        self.close_because(CloseCode::Malformed, "Invalid message: must be text".into())
    }

    /// Handles a message that the transport rejected as larger than [`Limits::max_message_bytes`].
    pub fn on_oversized(&mut self) -> Option<Action> {
        self.close_because(CloseCode::Malformed, "Invalid message: too large".into())
    }

    /// Handles bytes that are no frames of a websocket client, or a text that is not UTF-8.
    pub fn on_malformed(&mut self) -> Option<Action> {
        self.close(CloseCode::Malformed)
    }

    fn on_init(&mut self, payload: Option<Map<String, Value>>) -> Option<Action> {
        // Whatever the first one came to: a socket is bound to one key, and never to another.
        if !matches!(self.state, State::AwaitingInit) {
            return self.close(CloseCode::TooManyInits);
        }

        self.state = State::Authenticating;
        Some(Action::Authenticate { payload })
    }

    fn on_subscribe(&mut self, id: OperationId, request: SubscribePayload) -> Option<Action> {
        let State::Acknowledged { active } = &mut self.state else {
            return self.close(CloseCode::Unauthorized);
        };

        // Fatal rather than an error of the operation: results of two operations under one id could not be told apart.
        if active.contains(&id) {
            let reason = format!("Subscriber for {id} already exists");
            return self.close_because(CloseCode::DuplicateSubscriber, reason.into());
        }
        // An error of this operation alone: closing would end the others, too, and the client would come back with all
        // of them.
        if active.len() >= self.limits.max_operations {
            return Some(Action::Send(frame::error(
                &id,
                &limit_exceeded(self.limits.max_operations),
            )));
        }

        active.insert(Arc::clone(&id));
        Some(Action::Start { id, request })
    }
}

/// Inputs from the server.
impl Protocol {
    /// Handles the end of the time for `connection_init`, counted from the upgrade. A connection that is authenticating by
    /// then stays open, however long its authentication takes.
    pub fn init_timeout(&mut self) -> Option<Action> {
        match self.state {
            // Only a client that has sent nothing is at fault. While authenticating, the delay is the server's.
            State::AwaitingInit => self.close(CloseCode::InitTimeout),
            _ => None,
        }
    }

    /// Acknowledges the client. `payload` must be a JSON object.
    pub fn init_accepted(&mut self, payload: Option<&RawValue>) -> Option<Action> {
        match self.state {
            State::Authenticating => {
                self.state = State::Acknowledged {
                    active: HashSet::new(),
                };
                Some(Action::Send(frame::connection_ack(payload)))
            }
            // Closed while its key was looked up: nothing may follow the close frame.
            _ => None,
        }
    }

    /// Rejects the client.
    pub fn init_refused(&mut self) -> Option<Action> {
        match self.state {
            State::Authenticating => self.close(CloseCode::Forbidden),
            _ => None,
        }
    }

    /// Sends a ping. `payload` must be a JSON object.
    pub fn ping_due(&mut self, payload: Option<&RawValue>) -> Option<Action> {
        (!self.is_closed()).then(|| Action::Send(frame::ping(payload)))
    }

    /// Closes the connection because the client did not answer its pings. The caller keeps the time, and may take any
    /// message as an answer.
    pub fn pong_missed(&mut self) -> Option<Action> {
        self.close(CloseCode::TooSlow)
    }

    /// Completes an operation that has sent its last `next`. Does nothing if the client completed it meanwhile.
    pub fn operation_finished(&mut self, id: &str) -> Option<Action> {
        // Removing the id tells whether the client was first: it then must not get a `complete` of its own.
        self.remove(id).map(|id| Action::Send(frame::complete(&id)))
    }

    /// Ends an operation with errors. `errors` must be a non-empty JSON array of GraphQL errors. Does nothing if the client
    /// completed the operation meanwhile.
    pub fn operation_failed(&mut self, id: &str, errors: &RawValue) -> Option<Action> {
        self.remove(id)
            .map(|id| Action::Send(frame::error(&id, errors)))
    }

    /// Closes the connection for a reason of the server: a revoked key, a slow reader, a drain or overload.
    pub fn close(&mut self, code: CloseCode) -> Option<Action> {
        self.close_because(code, code.reason().into())
    }

    /// Closes the connection as [`Self::close`] does, with a more exact reason than the code's own.
    pub fn close_with_reason(&mut self, code: CloseCode, reason: String) -> Option<Action> {
        self.close_because(code, reason.into())
    }

    /// Returns whether results may still be sent for the operation `id`.
    #[must_use]
    pub fn is_active(&self, id: &str) -> bool {
        matches!(&self.state, State::Acknowledged { active } if active.contains(id))
    }

    /// Returns the number of active operations.
    #[must_use]
    pub fn active_operations(&self) -> usize {
        match &self.state {
            State::Acknowledged { active } => active.len(),
            _ => 0,
        }
    }

    /// Returns whether the connection is closed, so that no action follows any input.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn remove(&mut self, id: &str) -> Option<OperationId> {
        match &mut self.state {
            State::Acknowledged { active } => active.take(id),
            _ => None,
        }
    }

    fn close_because(&mut self, code: CloseCode, reason: Cow<'static, str>) -> Option<Action> {
        if self.is_closed() {
            return None;
        }

        // Closed at once, though the frame is yet to be written: whatever happens until then has no consequence.
        self.state = State::Closed;
        Some(Action::Close {
            code,
            reason: shortened(reason),
        })
    }
}

/// Returns whether the extensions of a request ask that each result tell the position of the one before it:
/// `{"positions": true}`.
#[must_use]
pub fn wants_positions(extensions: &Map<String, Value>) -> bool {
    extensions.get("positions") == Some(&Value::Bool(true))
}

fn shortened(mut reason: Cow<'static, str>) -> Cow<'static, str> {
    if reason.len() > MAX_REASON_BYTES {
        // Cut between characters: a reason must be valid UTF-8, or clients fail the connection with code 1007.
        let end = reason.floor_char_boundary(MAX_REASON_BYTES);
        reason.to_mut().truncate(end);
    }
    reason
}

fn limit_exceeded(max: usize) -> Box<RawValue> {
    let errors = serde_json::json!([{
        "message": format!("A connection may have at most {max} active operations; complete one first"),
        "extensions": { "code": "LIMIT_EXCEEDED", "retryable": false },
    }]);
    serde_json::value::to_raw_value(&errors).expect("a JSON value is always valid JSON")
}
