//! Worker that takes the steps of replays.

use std::time::Duration;

use backbone::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::service::Webhooks;

/// Time between two looks for steps that are due.
const POLL: Duration = Duration::from_millis(250);

/// Takes steps of replays until told to stop. Any number of processes may run this loop at the same
/// time: each step is one transaction of one of them.
pub async fn run(webhooks: Webhooks, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // An error needs no backoff and no alarm: the next round takes the same step, and the parts
        // that need the database to go on report its absence themselves.
        if let Err(error) = take_due_steps(&webhooks, &stop).await {
            tracing::debug!(%error, "a step of a replay of webhook deliveries failed; trying again");
        }

        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(POLL) => {}
        }
    }
}

async fn take_due_steps(webhooks: &Webhooks, stop: &CancellationToken) -> Result<(), Error> {
    while !stop.is_cancelled() && webhooks.step_replay().await? {}
    Ok(())
}
