//! Bytes that wait to be written to one socket, in order. Frames never interleave: everything that a socket is sent goes
//! through here, or goes out while this is empty.

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use bytes::{Buf, Bytes};

use crate::link::WriteHalf;

/// Whole frames, of which the first may be written in part.
pub(super) struct Outgoing<P> {
    queue: VecDeque<Queued<P>>,
    bytes: usize,
}

struct Queued<P> {
    rest: Bytes,
    /// Held until the frame is written.
    _permit: Option<P>,
}

impl<P> Default for Outgoing<P> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<P> Outgoing<P> {
    /// Returns whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds frames at the end.
    pub(super) fn push(&mut self, frames: impl Into<Bytes>, permit: Option<P>) {
        let rest = frames.into();

        self.bytes += rest.len();
        self.queue.push_back(Queued {
            rest,
            _permit: permit,
        });
    }

    /// Writes as much as the connection takes and returns how much that is. `waker` is woken when it takes more.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) fn write(
        &mut self,
        connection: &mut WriteHalf,
        waker: impl Fn() -> Waker,
    ) -> io::Result<usize> {
        let mut total = 0;

        // Frames are written one by one: there is nearly always one, and joining them would copy large results.
        while let Some(first) = self.queue.front_mut() {
            let written = connection.write(&first.rest, &waker)?;
            first.rest.advance(written);
            self.bytes -= written;
            total += written;

            if !first.rest.is_empty() {
                break;
            }
            // With it goes the permit of its operation.
            self.queue.pop_front();
        }

        // The rest of a burst is not kept allocated for the quiet days after it.
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Ok(total)
    }
}
