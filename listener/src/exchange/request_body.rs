//! Request body that must arrive in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::Exchange;

/// Error of a request body, as its handler sees it.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client did not send the whole body within the deadline.
    #[error("the request body did not arrive within {0:?}")]
    Late(Duration),
    /// The connection broke, or the body's framing is malformed.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// Request body with a deadline.
pub(crate) struct RequestBody {
    inner: Incoming,
    exchange: Arc<Exchange>,
    limit: Duration,
    /// Begins when the handler first has to wait, so that a handler which reads late finds what has arrived.
    deadline: Option<Pin<Box<Sleep>>>,
    failed: bool,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, exchange: Arc<Exchange>, limit: Duration) -> Self {
        Self {
            inner,
            exchange,
            limit,
            deadline: None,
            failed: false,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }

        let limit = this.limit;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(cx));

        this.failed = true;
        this.exchange.body_is_late();
        Poll::Ready(Some(Err(BodyError::Late(limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
