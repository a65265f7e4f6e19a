//! The task that reads one websocket: it decodes what the client sends, so that a shard only decides what follows.

use std::sync::Arc;

use backbone::lifecycle::OwnedTask;
use bytes::Bytes;
use tokio::sync::Notify;

use super::SocketKey;
use super::inbox::{Command, Inbox, Received};
use crate::link::ReadHalf;
use crate::protocol::{Limits, Message};
use crate::service::Service;
use crate::websocket::decoder::{Decoder, Incoming};

/// Rules for what a client sends.
#[derive(Clone, Copy)]
pub(super) struct Decoding {
    pub(super) limits: Limits,
    /// True if messages may be compressed.
    pub(super) inflates: bool,
}

/// The reader of a socket. Dropping it ends the reading.
pub(super) struct Reader {
    handled: Arc<Notify>,
    _task: OwnedTask,
}

impl Reader {
    /// Starts to read. `first` was read before.
    pub(super) fn start<S: Service>(
        reads: ReadHalf,
        first: Bytes,
        decoding: Decoding,
        socket: SocketKey,
        inbox: Inbox<S>,
    ) -> Self {
        let handled = Arc::new(Notify::new());
        let task = read(reads, first, decoding, socket, inbox, Arc::clone(&handled));

        Self {
            handled,
            _task: OwnedTask::start(task),
        }
    }

    /// Waits for nothing but the end of something else, which it reports as the client's.
    pub(super) fn until<S: Service>(
        end: impl Future<Output = ()> + Send + 'static,
        socket: SocketKey,
        inbox: Inbox<S>,
    ) -> Self {
        let task = async move {
            end.await;
            inbox.send(Command::Gone(socket));
        };

        Self {
            handled: Arc::default(),
            _task: OwnedTask::start(task),
        }
    }

    /// Lets the reader go on after what it sent last.
    pub(super) fn go_on(&self) {
        self.handled.notify_one();
    }
}

async fn read<S: Service>(
    mut reads: ReadHalf,
    first: Bytes,
    decoding: Decoding,
    socket: SocketKey,
    inbox: Inbox<S>,
    handled: Arc<Notify>,
) {
    let Decoding { limits, inflates } = decoding;
    // `None` once nothing that comes can be of interest. It is still read: a connection that is closed with bytes unread is
    // reset, which would discard a close frame that is on its way.
    let mut decoder = Some(Decoder::new(limits.max_message_bytes, inflates));
    let mut received = decode(&mut decoder, &first, limits);
    drop(first);

    loop {
        if !received.is_empty() {
            inbox.send(Command::Received(socket, received));
            // A client that sends faster than it is answered waits here, and its bytes in the kernel.
            handled.notified().await;
        }

        let read = reads
            .read(|bytes| decode(&mut decoder, bytes, limits))
            .await;
        match read {
            Ok(Some(next)) => received = next,
            // A reset is an end as any other.
            Ok(None) | Err(_) => break,
        }
    }

    // Ends this task, too, as the shard drops its reader.
    inbox.send(Command::Gone(socket));
}

/// Decodes bytes of a client. After what cannot be read, and after its close frame, everything is ignored.
fn decode(decoder: &mut Option<Decoder>, bytes: &[u8], limits: Limits) -> Vec<Received> {
    let mut received = Vec::new();
    let Some(open) = decoder else { return received };

    let mut has_closed = false;
    let result = open.feed(bytes, |incoming| {
        if has_closed {
            return;
        }
        has_closed = matches!(incoming, Incoming::Close(_));

        received.push(match incoming {
            Incoming::Text(text) => Received::Message(Message::decode(&text, limits.max_id_bytes)),
            Incoming::Binary => Received::Binary,
            Incoming::Ping(payload) => Received::Ping(payload),
            Incoming::Pong => Received::Pong,
            Incoming::Close(code) => Received::Close(code),
        });
    });

    // A violation after the close frame is of no interest.
    if let Err(violation) = result
        && !has_closed
    {
        received.push(Received::Violation(violation));
        has_closed = true;
    }
    if has_closed {
        *decoder = None;
    }
    received
}
