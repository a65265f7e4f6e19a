//! State of one socket.

use std::any::Any;

use backbone::lifecycle::OwnedTask;

use super::SubscriptionKey;
use super::outgoing::Outgoing;
use super::reader::Reader;
use super::timers::{KINDS, TimerKey};
use crate::link::WriteHalf;
use crate::protocol::{OperationId, Protocol};
use crate::service::Service;
use crate::stagger::Stagger;

/// One websocket or event stream.
pub(super) struct Socket<S: Service> {
    pub(super) kind: Kind,
    pub(super) writes: WriteHalf,
    pub(super) reader: Reader,
    /// True while the reader waits until less is to be written.
    pub(super) reader_waits: bool,
    /// Credentials of the request, until the client is authenticated.
    pub(super) credentials: Option<S::Credentials>,
    /// Task that authenticates the client.
    pub(super) authentication: Option<OwnedTask>,
    pub(super) caller: Option<S::Caller>,
    /// True if results are compressed.
    pub(super) compresses: bool,
    /// True while the caller's key is confirmed.
    pub(super) is_trusted: bool,
    pub(super) operations: Vec<Operation>,
    /// Number of the next operation.
    pub(super) next_operation: u64,
    /// Index of the operation that is filled first the next time.
    pub(super) next_filled: usize,
    pub(super) outgoing: Outgoing<S::Permit>,
    /// True while the connection takes no bytes.
    pub(super) is_blocked: bool,
    /// True while the shard's list of turns has the socket.
    pub(super) has_turn: bool,
    /// True while the shard's list of touched sockets has it.
    pub(super) is_touched: bool,
    pub(super) phase: Phase,
    pub(super) timers: [Option<TimerKey>; KINDS],
    pub(super) stagger: Stagger,
    /// True if a message has come since the last ping.
    pub(super) is_heard: bool,
    /// Number of pings in a row that no message has answered.
    pub(super) pings_missed: u8,
    /// Place of the connection among all, dropped with the socket.
    pub(super) held: Box<dyn Any + Send>,
}

/// Kind of a socket.
pub(super) enum Kind {
    WebSocket(Protocol),
    EventStream,
}

/// Phase of a socket's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The process drains. The socket closes when its queries and mutations are done.
    Draining,
    /// A close frame is written, and the client's is awaited.
    Closing,
    /// The client has sent its close frame, which is answered, and nothing else is to come.
    Closed,
}

impl<S: Service> Socket<S> {
    pub(super) fn new(kind: Kind, writes: WriteHalf, reader: Reader, stagger: Stagger) -> Self {
        Self {
            kind,
            writes,
            reader,
            reader_waits: false,
            credentials: None,
            authentication: None,
            caller: None,
            compresses: false,
            is_trusted: true,
            operations: Vec::new(),
            next_operation: 0,
            next_filled: 0,
            outgoing: Outgoing::default(),
            is_blocked: false,
            has_turn: false,
            is_touched: false,
            phase: Phase::Open,
            timers: [None; KINDS],
            stagger,
            is_heard: true,
            pings_missed: 0,
            held: Box::new(()),
        }
    }

    /// Returns whether the socket is to get nothing but its end.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }
}

/// One operation of a socket.
pub(super) struct Operation {
    pub(super) id: OperationId,
    /// Number within the socket. An id may be used again while the end of its first operation is on its way here.
    pub(super) number: u64,
    /// True if each result tells the position of the one before it.
    pub(super) positions: bool,
    pub(super) state: OperationState,
}

pub(super) enum OperationState {
    /// A query or mutation executes, or a subscription begins. Dropping the task gives it up.
    Executing {
        _task: OwnedTask,
    },
    Subscribed(SubscriptionKey),
}
