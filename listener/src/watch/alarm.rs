//! Timer of a connection's task.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep};

use super::{Next, Watch};
use crate::metrics::Missed;

/// Timer that rings when a connection is late. It is moved only to an earlier moment; when it rings too early, it is
/// set again. So most requests on a connection do not touch it.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    running: bool,
}

/// Action that is due on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// Tell the client that the connection will close.
    Announce,
    /// Close the connection, whose client missed this deadline.
    Late(Missed),
}

impl Alarm {
    pub(crate) fn new(watch: &Watch) -> Self {
        Self {
            sleep: Box::pin(sleep(watch.limits.request_head)),
            running: true,
        }
    }

    /// Waits for something to do.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, watch: &Watch) -> Poll<Alert> {
        loop {
            let (due, missed) = match watch.next(cx.waker()) {
                Next::Nothing => return Poll::Pending,
                Next::Announce => return Poll::Ready(Alert::Announce),
                Next::Late(due, missed) => (due, missed),
            };
            if due <= Instant::now() {
                return Poll::Ready(Alert::Late(missed));
            }

            if !self.running || due < self.sleep.deadline() {
                self.sleep.as_mut().reset(due);
                self.running = true;
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.running = false;
        }
    }
}
