//! Retention: the loop that drops what has been finished for a month.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use crate::cleanup::KEEP;
use crate::service::Webhooks;

/// Time between two cleanups.
const INTERVAL: Duration = Duration::from_secs(60);

/// Drops old deliveries every minute until told to stop. Any number of processes may run this loop
/// at the same time.
pub async fn run(webhooks: Webhooks, stop: CancellationToken) {
    loop {
        // An error needs no backoff and no alarm: the next round does the same work, and the parts
        // that need the database to go on report its absence themselves.
        if let Err(error) = webhooks.forget_old().await {
            tracing::debug!(%error, "old webhook deliveries could not be dropped; trying again in a minute");
        }

        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(INTERVAL) => {}
        }
    }
}
