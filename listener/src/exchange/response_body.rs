//! Response body that reports when its client does not read it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::Exchange;

/// Longest part of a response that is given to an HTTP/2 connection at once. hyper keeps a part whole as soon as the
/// client's window admits one byte of it, so this bounds what a client can make the process keep.
const LONGEST_PART: usize = 16 << 10;

/// Response body on its way to the connection.
pub(crate) struct ResponseBody {
    inner: Body,
    exchange: Arc<Exchange>,
    framed: Option<Framed>,
}

/// State of an HTTP/2 response.
struct Framed {
    number: u64,
    /// Rest of a part that was too long.
    rest: Bytes,
}

impl ResponseBody {
    /// Wraps the body of a response. `framed` is true in HTTP/2.
    pub(crate) fn new(inner: Body, exchange: Arc<Exchange>, framed: bool) -> Self {
        let framed = framed.then(|| Framed {
            number: exchange.watch.response_begins(),
            rest: Bytes::new(),
        });
        Self {
            inner,
            exchange,
            framed,
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(framed) = &mut this.framed else {
            return Pin::new(&mut this.inner).poll_frame(cx);
        };

        // hyper asks for the next part when the client's window has admitted the last one.
        this.exchange.watch.response_moves(framed.number);
        if framed.rest.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => framed.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }

        let part = framed.rest.len().min(LONGEST_PART);
        let part = framed.rest.split_to(part);
        this.exchange.watch.response_waits(framed.number);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.framed.as_ref().is_some_and(|f| !f.rest.is_empty());
        !rest && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.framed.as_ref().map_or(0, |f| f.rest.len() as u64);
        let inner = self.inner.size_hint();

        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(framed) = &self.framed {
            self.exchange.watch.response_moves(framed.number);
        }
    }
}
