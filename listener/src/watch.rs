//! State of a connection: which event it waits for, and until when. Its bytes, requests and responses report here; the task of the
//! connection asks for the next deadline.

mod alarm;

use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::frames::Frames;
use crate::metrics::Missed;
use crate::settings::Deadlines;

pub(crate) use alarm::{Alarm, Alert};

/// First bytes of an HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// State of one connection, shared by its task and its requests.
pub(crate) struct Watch {
    limits: Deadlines,
    grace: Duration,
    // Held for a few comparisons, never across an await. Only HTTP/2 has several tasks that take it.
    state: Mutex<State>,
}

struct State {
    protocol: Protocol,
    /// Requests whose body or response is not complete.
    requests: usize,
    /// Beginning of the connection, or the moment when its last request was over.
    quiet_since: Instant,
    /// Beginning of a request head, in HTTP/2 of a frame, that is not complete.
    head_since: Option<Instant>,
    /// HTTP/2 responses with bytes that the client's windows do not admit yet, with the moment when they were given
    /// to the connection. In HTTP/1 the socket itself says that the client does not read.
    unread: HashMap<u64, Instant>,
    last_response: u64,
    close: Close,
    /// Task of the connection while it sleeps. HTTP/2 requests have tasks of their own, which must wake it when they
    /// change what it is to wait for.
    sleeper: Option<Waker>,
}

enum Protocol {
    /// So many bytes of the HTTP/2 preface have arrived, and nothing else.
    Unknown(usize),
    Http1,
    Http2(Frames),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Close {
    No,
    /// A request asks for the end of its connection.
    Wanted,
    /// The client has been told, and no further requests are expected.
    Announced(Instant),
}

/// Event that the task of a connection waits for.
enum Next {
    Nothing,
    /// The client is to be told now that the connection will close.
    Announce,
    Late(Instant, Missed),
}

impl Watch {
    /// Returns the watch of a connection that begins now.
    pub(crate) fn new(limits: Deadlines, grace: Duration) -> Self {
        let now = Instant::now();
        Self {
            limits,
            grace,
            state: Mutex::new(State {
                protocol: Protocol::Unknown(0),
                requests: 0,
                quiet_since: now,
                head_since: Some(now),
                unread: HashMap::new(),
                last_response: 0,
                close: Close::No,
                sleeper: None,
            }),
        }
    }

    /// Takes note of bytes from the client.
    pub(crate) fn bytes_read(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.state.lock().read(bytes);
        }
    }

    /// Takes note of a complete request head.
    pub(crate) fn request_begins(&self) {
        let mut state = self.state.lock();
        state.requests += 1;
        // HTTP/2 goes on with frames of other requests, which have their own deadline.
        if matches!(state.protocol, Protocol::Http1) {
            state.head_since = None;
        }
    }

    /// Takes note that a request and its response are over.
    pub(crate) fn request_ends(&self) {
        let mut state = self.state.lock();
        state.requests -= 1;
        if state.requests == 0 {
            state.quiet_since = Instant::now();
            state.wake();
        }
    }

    /// Returns the number of a new HTTP/2 response, for [`response_waits`](Self::response_waits).
    pub(crate) fn response_begins(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_response += 1;
        state.last_response
    }

    /// Takes note that bytes of a response wait for the client to read.
    pub(crate) fn response_waits(&self, number: u64) {
        let mut state = self.state.lock();
        state.unread.insert(number, Instant::now());
        // Later ones have later deadlines.
        if state.unread.len() == 1 {
            state.wake();
        }
    }

    /// Takes note that all bytes of a response that were given to the connection are on their way.
    pub(crate) fn response_moves(&self, number: u64) {
        self.state.lock().unread.remove(&number);
    }

    /// Asks for the end of the connection after the requests that are under way.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if state.close == Close::No {
            state.close = Close::Wanted;
            state.wake();
        }
    }

    /// Takes note that the client has been told that the connection will close.
    pub(crate) fn close_announced(&self) {
        self.state.lock().close = Close::Announced(Instant::now());
    }

    /// Returns whether the client has not been told yet that the connection will close.
    pub(crate) fn may_announce(&self) -> bool {
        !matches!(self.state.lock().close, Close::Announced(_))
    }

    /// Returns the limits that the connection is watched by.
    pub(crate) fn limits(&self) -> &Deadlines {
        &self.limits
    }

    /// Takes note that the task of the connection runs. It need not be woken before it asks for the next alert.
    pub(crate) fn task_runs(&self) {
        self.state.lock().sleeper = None;
    }

    /// Returns what comes next. A change from now on wakes the task.
    fn next(&self, task: &Waker) -> Next {
        let mut state = self.state.lock();
        if state.close == Close::Wanted {
            return Next::Announce;
        }

        // Kept under the same lock as the look at the state, so that no change falls in between.
        state.sleeper = Some(task.clone());
        self.due(&state)
            .map_or(Next::Nothing, |(due, missed)| Next::Late(due, missed))
    }

    /// Returns the next moment at which the connection is late, and with what.
    fn due(&self, state: &State) -> Option<(Instant, Missed)> {
        let head = state
            .head_since
            .map(|since| (since + self.limits.request_head, Missed::RequestHead));

        let unread = state.unread.values().min();
        let unread = unread.map(|&since| (since + self.limits.write, Missed::Write));

        [head, unread, self.quiet_due(state)]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }

    /// Returns the end of the time that a connection may spend without requests.
    fn quiet_due(&self, state: &State) -> Option<(Instant, Missed)> {
        let waits = match state.protocol {
            // A head that has begun has its own deadline.
            Protocol::Unknown(_) | Protocol::Http1 => state.head_since.is_none(),
            // Frames need not be requests.
            Protocol::Http2(_) => true,
        };
        if state.requests > 0 || !waits {
            return None;
        }

        let due = match state.close {
            Close::Announced(at) => at.max(state.quiet_since) + self.grace,
            Close::No | Close::Wanted => state.quiet_since + self.limits.idle,
        };
        Some((due, Missed::Idle))
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake();
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        match &mut self.protocol {
            Protocol::Unknown(matched) => {
                let preface = &PREFACE[*matched..];
                let common = preface.len().min(bytes.len());
                if bytes[..common] != preface[..common] {
                    self.protocol = Protocol::Http1;
                } else if common < preface.len() {
                    *matched += common;
                } else {
                    self.protocol = Protocol::Http2(Frames::default());
                    self.quiet_since = now;
                    self.head_since = None;
                    self.read(&bytes[common..]);
                }
            }
            // Bytes that arrive during a request are its body, or requests that the client sent ahead. Half a head
            // sent ahead therefore counts as none until more of it arrives.
            Protocol::Http1 if self.requests == 0 => {
                self.head_since.get_or_insert(now);
            }
            Protocol::Http1 => {}
            Protocol::Http2(frames) => {
                let ended = frames.feed(bytes);
                let unfinished = frames.is_unfinished();
                let since = self.head_since.filter(|_| !ended).unwrap_or(now);
                self.head_since = unfinished.then_some(since);
            }
        }
    }
}
