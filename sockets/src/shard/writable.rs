//! Sockets that have become writable, noted by the wakers that their connections hold.

use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::SocketKey;

/// Sockets of one shard that take bytes again.
#[derive(Default)]
pub(super) struct WritableSockets {
    sockets: Mutex<Vec<SocketKey>>,
    // Keeps one notification for a shard that is busy when it comes.
    noted: Notify,
}

struct SocketWaker {
    writable: Arc<WritableSockets>,
    socket: SocketKey,
}

impl WritableSockets {
    /// Returns a waker that notes this socket.
    pub(super) fn waker(self: &Arc<Self>, socket: SocketKey) -> Waker {
        Waker::from(Arc::new(SocketWaker {
            writable: Arc::clone(self),
            socket,
        }))
    }

    /// Waits for sockets, and returns all that were noted since the last time.
    pub(super) async fn next(&self) -> Vec<SocketKey> {
        loop {
            // One notification may stand for several sockets, and for some that were taken before.
            self.noted.notified().await;

            let sockets = std::mem::take(&mut *self.sockets.lock());
            if !sockets.is_empty() {
                return sockets;
            }
        }
    }
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Noted before the shard is woken, which takes all that it finds.
        self.writable.sockets.lock().push(self.socket);
        self.writable.noted.notify_one();
    }
}
