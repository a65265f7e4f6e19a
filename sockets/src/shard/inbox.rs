//! Commands to a shard, from new connections and from the tasks that work for its sockets.

use live::{Found, SubscribeError, Subscriber};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::{Shard, SocketKey, SubscriptionKey, Wire};
use crate::link::WriteHalf;
use crate::opening::Opening;
use crate::protocol::{Malformed, Message};
use crate::service::{Outcome, Refusal, Service};
use crate::websocket::decoder::Violation;

/// Sender of commands to one shard.
///
/// Unbounded: a connection sends nothing more before its last command was handled, and a task sends one.
pub(crate) struct Inbox<S: Service>(UnboundedSender<Command<S>>);

impl<S: Service> Clone for Inbox<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Command to a shard.
pub(crate) enum Command<S: Service> {
    /// Adds a socket.
    Add(Box<Newcomer<S>>),
    /// A client has sent something.
    Received(SocketKey, Vec<Received>),
    /// A client has closed its connection, or it was lost.
    Gone(SocketKey),
    /// A client was authenticated, or not.
    Authenticated(SocketKey, Result<S::Caller, Refusal>),
    /// An operation has come to its end, or its subscription has begun.
    Executed {
        /// Socket of the operation.
        socket: SocketKey,
        /// Number of the operation.
        operation: u64,
        /// Result of its execution.
        outcome: Outcome<S::Permit>,
    },
    /// The feed's table was read for a subscription behind the ring.
    TableRead(SubscriptionKey, Result<Found, SubscribeError>),
}

/// Something that a client has sent.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message of the protocol, or the reason why it is none.
    Message(Result<Message, Malformed>),
    /// A message of bytes.
    Binary,
    /// A ping of the websocket itself.
    Ping(Vec<u8>),
    /// A pong of the websocket itself.
    Pong,
    /// A close frame.
    Close(Option<u16>),
    /// Bytes that cannot be read any further.
    Violation(Violation),
}

/// Connection that a shard gets.
pub(crate) enum Newcomer<S: Service> {
    /// A websocket that was just upgraded.
    WebSocket(Opening<S::Credentials>),
    /// An event stream, with its subscription.
    EventStream {
        writes: WriteHalf,
        /// Completes when nobody reads the stream any more.
        is_closed: oneshot::Receiver<()>,
        caller: S::Caller,
        subscriber: Box<Subscriber>,
        wire: Wire,
    },
}

impl<S: Service> Inbox<S> {
    pub(super) fn new() -> (Self, UnboundedReceiver<Command<S>>) {
        let (sender, commands) = unbounded_channel();
        (Self(sender), commands)
    }

    /// Hands a connection to the shard.
    pub(crate) fn add(&self, newcomer: Newcomer<S>) {
        self.send(Command::Add(Box::new(newcomer)));
    }

    pub(super) fn send(&self, command: Command<S>) {
        // A shard that has ended has closed its sockets, and the process ends.
        let _ended = self.0.send(command);
    }
}

impl<S: Service> Shard<S> {
    pub(super) fn take_command(&mut self, command: Command<S>) {
        match command {
            Command::Add(newcomer) => self.add(*newcomer),
            Command::Received(socket, received) => {
                self.guarded(socket, |shard, socket| shard.on_received(socket, received));
            }
            // Also for a socket that is closing: its client has closed, too, or can take nothing any more.
            Command::Gone(socket) => self.remove(socket),
            Command::Authenticated(socket, caller) => {
                self.guarded(socket, |shard, socket| {
                    shard.on_authenticated(socket, caller)
                });
            }
            Command::Executed {
                socket,
                operation,
                outcome,
            } => self.guarded(socket, |shard, socket| {
                shard.on_executed(socket, operation, outcome);
            }),
            Command::TableRead(subscription, result) => {
                // A command may come late: its subscription may have ended, and its socket with it.
                if let Some(socket) = self.subscriptions.get(subscription).map(|it| it.socket) {
                    self.guarded(socket, |shard, _| shard.on_table_read(subscription, result));
                }
            }
        }
    }
}
