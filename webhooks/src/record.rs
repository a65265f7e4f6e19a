//! Recording: writes the outcomes of completed calls in one transaction for all that are ready, as
//! far as their leases still hold.
//!
//! The outcome of a delivery that another dispatcher has claimed, or that was discarded or reopened
//! meanwhile, is dropped: only the current holder of the lease may decide what becomes of it.

mod rows;
mod settle;
mod summary;
mod write;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::counts;
use backbone::Error;
use backbone::db::Db;
use backbone::ids::WebhookId;
use backbone::time::Timestamp;

use crate::outcome::CompletedCall;
pub(crate) use summary::RecordSummary;

/// Records the outcomes of calls. `jitter` varies a wait.
///
/// # Errors
/// [`Error::Unavailable`]: none of the outcomes is recorded, and all may be tried again.
pub(crate) async fn record(
    db: &Db,
    calls: &[CompletedCall],
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Result<RecordSummary, Error> {
    let webhooks: BTreeSet<WebhookId> = calls.iter().map(|call| call.webhook).collect();
    let webhooks: Vec<WebhookId> = webhooks.into_iter().collect();

    // Everyone who finishes, adds, reopens, discards or drops deliveries locks the counts of their
    // endpoints first, in the order of the ids: without that, two transactions could deadlock on
    // each other's delivery rows, and the counts would not add up at every instant.
    let mut tx = db.begin_by_index().await?;
    counts::lock(&mut tx, &webhooks).await?;

    // The leases are read under that lock: no discard or replay can come between the check and the
    // writes below.
    let leased = write::leased(&mut tx, calls).await?;
    let settlement = settle::settle(leased, calls, now, jitter);

    write::deliveries(&mut tx, &settlement.deliveries, now).await?;
    write::attempts(&mut tx, &settlement.attempts).await?;
    settlement.deltas.write(&mut tx).await?;
    write::endpoints(&mut tx, &settlement.endpoints).await?;

    // Last, because the next delivery of a lane is the first one still pending after the writes.
    let advanced = write::advance_lanes(&mut tx, &settlement.lanes, now).await?;
    tx.commit().await?;

    let mut summary = settlement.summary;
    summary.due.extend(advanced);
    Ok(summary)
}
