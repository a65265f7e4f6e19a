//! Progress of the fan-out, as the metrics of its process and of the buyer projection's show it.
//!
//! Connections are opened for each question: servers close those that are idle for the length of a
//! run.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Bench;
use crate::client::RESPONSE_TIMEOUT;
use crate::error::BoxError;
use crate::metrics::Metrics;

/// Time between two reads of the metrics, which cost the fan-out's process CPU time.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Metric of the buyer projection: the log sequence of its tables.
const PROJECTED: [&str; 1] = ["dealwire_projection_position{projection=\"buyer\"}"];
/// Metrics of the fan-out: the log sequence up to which all changes have their deliveries, and the
/// number of deliveries that this process inserted.
const FANNED_OUT: [&str; 2] = [
    "dealwire_webhook_fanout_position",
    "dealwire_webhook_fanout_deliveries_total",
];

/// Returns the number of deliveries that the fan-out of the dispatcher's process has inserted.
pub(super) async fn inserted(bench: &Bench<'_>) -> Result<u64, BoxError> {
    let mut fanout = Metrics::open(&bench.dispatcher_metrics).await?;
    let [_, inserted] = fanout.read(FANNED_OUT).await?;
    Ok(inserted)
}

/// Waits until everything that is projected when the wait begins has its deliveries, or until the
/// fan-out has made no progress for [`RESPONSE_TIMEOUT`]; the endpoints' counts then show what is
/// missing.
pub(super) async fn wait_until_complete(bench: &Bench<'_>) -> Result<(), BoxError> {
    let mut projection = Metrics::open(&bench.projection_metrics).await?;
    let mut fanout = Metrics::open(&bench.dispatcher_metrics).await?;

    let [projected] = projection.read(PROJECTED).await?;
    let mut reached = fanout.read(FANNED_OUT).await?;
    let mut last_progress = Instant::now();

    // A change for thousands of endpoints takes several steps, in which only the deliveries grow.
    while reached[0] < projected && last_progress.elapsed() < RESPONSE_TIMEOUT {
        sleep(POLL_INTERVAL).await;

        let now = fanout.read(FANNED_OUT).await?;
        if now != reached {
            reached = now;
            last_progress = Instant::now();
        }
    }

    Ok(())
}
