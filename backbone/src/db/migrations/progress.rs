//! State of a running migration: what it does or waits for.

use std::sync::Arc;

use parking_lot::Mutex;

/// State of the migration of one database, for readiness and the log. Clones share it.
#[derive(Clone)]
pub(in crate::db) struct Progress {
    what: &'static str,
    // Held for a few instructions and never across an await.
    state: Arc<Mutex<Option<String>>>,
}

impl Progress {
    pub(in crate::db) fn new(what: &'static str) -> Self {
        Self {
            what,
            state: Arc::default(),
        }
    }

    /// Returns what is going on; `None` while no migration runs.
    pub(in crate::db) fn state(&self) -> Option<String> {
        self.state.lock().clone()
    }

    /// Notes what is going on, and logs every change once.
    pub(super) fn tell(&self, now: String) {
        let mut state = self.state.lock();
        if state.as_ref() != Some(&now) {
            tracing::info!(database = self.what, "{}: {now}", self.what);
            *state = Some(now);
        }
    }

    /// Returns a value whose end is the end of the migration.
    pub(super) fn running(&self) -> Running<'_> {
        Running(self)
    }
}

/// A migration that runs until this is dropped.
pub(super) struct Running<'a>(&'a Progress);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.state.lock() = None;
    }
}
