//! Messages that go to a socket in one write.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use smallvec::SmallVec;

use super::protocol::frame::{Frame, NextHeader};

/// Messages of one write, in order. Nearly always there is one, which then needs no heap.
pub(super) type Batch = SmallVec<[Outgoing; 1]>;

/// One message to be written.
///
/// A result stays apart from its header until it is written: the text is shared by all subscribers of the selection, so
/// a socket that does not read holds a reference to it rather than a copy.
pub(super) enum Outgoing {
    /// A complete message.
    Frame(Frame),
    /// A `next` message: the operation's header and the shared result.
    Result(Arc<NextHeader>, Arc<str>),
}

impl Outgoing {
    fn into_message(self) -> Message {
        let frame = match self {
            Self::Frame(frame) => frame,
            Self::Result(header, result) => header.frame(&result),
        };
        Message::text(frame.into_string())
    }
}

/// Writes a batch.
///
/// # Errors
/// Those of the socket, after which it is of no further use.
pub(super) async fn send(socket: &mut WebSocket, batch: Batch) -> Result<(), axum::Error> {
    // Fed one by one and flushed once: the whole batch is one system call when it fits the write buffer.
    for outgoing in batch {
        socket.feed(outgoing.into_message()).await?;
    }
    socket.flush().await
}
