//! Server-sent events of one subscription (graphql-sse, PROTOCOL.md, distinct connections): the bytes that its shard
//! writes, as a stream for an HTTP body.
//!
//! The id of each event is the position of its result, so a client that reconnects with `Last-Event-ID` resumes where it
//! stopped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

/// Bytes that a stream holds for a connection that does not take them. Beyond it the subscription waits.
pub(crate) const BUFFER: usize = 32 << 10;

/// Events of one subscription. Dropping the stream ends the subscription.
pub struct EventStream {
    bytes: ReaderStream<DuplexStream>,
    /// Completes, by being dropped, when nobody reads the stream any more.
    _closed: oneshot::Sender<()>,
}

impl EventStream {
    pub(crate) fn new(bytes: DuplexStream, closed: oneshot::Sender<()>) -> Self {
        Self {
            bytes: ReaderStream::new(bytes),
            _closed: closed,
        }
    }
}

impl Stream for EventStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.bytes).poll_next(context)
    }
}

/// Appends an event with the result of a subscription.
pub(crate) fn push_next(out: &mut Vec<u8>, position: &str, parts: [&str; 2]) {
    for part in ["id: ", position, "\nevent: next\ndata: "] {
        out.extend_from_slice(part.as_bytes());
    }
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\n\n");
}

/// Returns the events that end a stream with errors, a JSON array.
pub(crate) fn failed(errors: &str) -> Vec<u8> {
    let next = format!("event: next\ndata: {{\"errors\":{errors}}}\n\n");

    (next + "event: complete\ndata:\n\n").into_bytes()
}

/// Returns what keeps a quiet connection open: an event that only sets the id if the client has seen everything up to a
/// position (HTML, section 9.2.6), and a comment otherwise.
pub(crate) fn heartbeat(position: Option<&str>) -> Vec<u8> {
    match position {
        Some(position) => format!("id: {position}\n\n").into_bytes(),
        None => b":\n\n".to_vec(),
    }
}
