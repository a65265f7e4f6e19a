//! Networks that have sent too many keys which were not accepted, and the turns in which their further keys are looked up.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::origin::ClientNetwork;

/// Look-ups for all suspect networks that are under way at a time: fewer than a database has connections for keys, so that
/// one is left for the keys of everybody else.
const TURNS: usize = 2;

/// Time after which a look-up goes on without a turn: a database that hangs must not lock anybody out.
const PATIENCE: Duration = Duration::from_millis(250);

/// Networks that are remembered.
const MAX_NETWORKS: usize = 50_000;

/// Turn of one look-up, which ends when this is dropped.
pub type Turn = OwnedSemaphorePermit;

/// Suspect networks.
pub(super) struct Suspects {
    until: Cache<ClientNetwork, Instant>,
    turns: Arc<Semaphore>,
}

impl Suspects {
    pub(super) fn new() -> Self {
        Self {
            until: Cache::new(MAX_NETWORKS),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// Makes a network suspect for a time.
    pub(super) fn add(&self, network: ClientNetwork, time: Duration) {
        self.until.insert(network, Instant::now() + time);
    }

    /// Returns whether a network is suspect now.
    pub(super) fn contains(&self, network: ClientNetwork) -> bool {
        let until = self.until.get(&network);

        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits for a turn, for a quarter of a second at most.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let turn = Arc::clone(&self.turns).acquire_owned();

        timeout(PATIENCE, turn).await.ok()?.ok()
    }
}
