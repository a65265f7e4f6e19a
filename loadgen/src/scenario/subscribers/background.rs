//! Sockets that are read but not measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use crate::client::Socket;

/// Sockets that are kept open and read in the background; dropping them closes them.
pub(in crate::scenario) struct BackgroundSockets {
    readers: JoinSet<()>,
    received: Arc<AtomicU64>,
    count: usize,
}

impl BackgroundSockets {
    /// Reads the sockets from now on. A socket must be read even if nothing is expected, since the
    /// gateway closes sockets that do not answer its pings.
    pub(in crate::scenario) fn read(sockets: Vec<Socket>) -> Self {
        let mut readers = JoinSet::new();
        let received = Arc::new(AtomicU64::new(0));
        let count = sockets.len();

        for mut socket in sockets {
            let received = Arc::clone(&received);
            readers.spawn(async move {
                while socket.next_text().await.is_ok() {
                    // Relaxed is enough: the count is read when the run is over.
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        }

        Self {
            readers,
            received,
            count,
        }
    }

    /// Returns the number of messages received so far on all sockets, without pings.
    pub(in crate::scenario) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns the number of sockets that were closed or failed.
    pub(in crate::scenario) fn closed(&mut self) -> u64 {
        // A reader ends with its socket, but stays in the set until it is joined.
        while self.readers.try_join_next().is_some() {}

        (self.count - self.readers.len()) as u64
    }
}
