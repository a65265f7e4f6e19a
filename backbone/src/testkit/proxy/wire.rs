//! Shared state of a proxy: the faults in force and what has been forwarded.

use std::time::Duration;

use tokio::sync::watch;

/// Direction of bytes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Bytes that the client sends.
    ToServer,
    /// Bytes that the server sends.
    ToClient,
}

/// State that the tasks of one proxy share.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) rules: watch::Sender<Rules>,
    pub(super) status: watch::Sender<Status>,
}

/// Faults in force.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) open: bool,
    /// Number of cuts so far; connections that were accepted under an earlier number are reset.
    pub(super) cuts: u64,
    pub(super) to_server: Flow,
    pub(super) to_client: Flow,
    pub(super) delay: Duration,
    pub(super) limit: Option<Limit>,
    pub(super) swallowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Pass,
    Hold,
    Swallow,
}

#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) direction: Direction,
    pub(super) left: u64,
    /// Set to keep accepting connections once the limit is reached.
    pub(super) reopen: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    pub(super) listening: bool,
    pub(super) connections: usize,
    pub(super) accepted: u64,
    pub(super) to_server: u64,
    pub(super) to_client: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            open: true,
            cuts: 0,
            to_server: Flow::Pass,
            to_client: Flow::Pass,
            delay: Duration::ZERO,
            limit: None,
            swallowed: false,
        }
    }
}

impl Rules {
    pub(super) fn flow(&mut self, direction: Direction) -> &mut Flow {
        if direction == Direction::ToServer {
            &mut self.to_server
        } else {
            &mut self.to_client
        }
    }
}

impl Wire {
    pub(super) fn count(&self, direction: Direction, bytes: usize) {
        self.status.send_modify(|status| {
            let counter = if direction == Direction::ToServer {
                &mut status.to_server
            } else {
                &mut status.to_client
            };
            *counter += bytes as u64;
        });
    }

    /// Carries out a used-up limit, once: connections that find it used up at the same time do not
    /// cut again.
    pub(super) fn spend_limit(&self) {
        self.rules.send_if_modified(|rules| {
            let Some(limit) = rules.limit.take_if(|limit| limit.left == 0) else {
                return false;
            };

            rules.open &= limit.reopen;
            rules.cuts += 1;
            true
        });
    }
}
