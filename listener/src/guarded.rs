//! Link as hyper gets it: tells its watch what the client sends, and ends when the client does not read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::link::Link;
use crate::metrics::{Counters, Missed};
use crate::slots::Slot;
use crate::watch::Watch;

/// Link of a connection that speaks HTTP, with the slot that it occupies.
pub(crate) struct Guarded {
    link: Link,
    slot: Slot,
    watch: Arc<Watch>,
    stall: Stall,
}

/// Time for which a write has been waiting.
struct Stall {
    limit: Duration,
    counters: Counters,
    /// Made for the first write that has to wait; most connections never need it.
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Guarded {
    pub(crate) fn new(
        link: Link,
        slot: Slot,
        watch: Arc<Watch>,
        limit: Duration,
        counters: Counters,
    ) -> Self {
        Self {
            link,
            slot,
            watch,
            stall: Stall {
                limit,
                counters,
                sleep: None,
                running: false,
            },
        }
    }

    /// Returns the bare link and its slot.
    pub(crate) fn into_parts(self) -> (Link, Slot) {
        (self.link, self.slot)
    }
}

impl Stall {
    /// Passes the result of an attempt to write on, unless attempts have been without progress for too long.
    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.running = false;
            return attempt;
        }

        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.running {
            sleep.as_mut().reset(Instant::now() + limit);
            self.running = true;
        }

        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.running = false;
        self.counters.miss(Missed::Write);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let result = Pin::new(&mut this.link).poll_read(cx, into);
        this.watch.bytes_read(&into.filled()[before..]);
        result
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.link).poll_write(cx, bytes);
        this.stall.check(cx, attempt)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.link).poll_write_vectored(cx, parts);
        this.stall.check(cx, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.link).poll_flush(cx);
        this.stall.check(cx, attempt)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.link).poll_shutdown(cx);
        this.stall.check(cx, attempt)
    }
}
