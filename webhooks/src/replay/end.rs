//! End of a replay before it is done.

use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId};
use backbone::time::Timestamp;
use uuid::Uuid;

use super::job::{self, Replay, ReplayState};
use super::{queue, tracked};
use crate::counts::{self, CountDeltas};
use crate::kinds::DeliveryState;
use crate::refusal::Refusal;

/// Ends a replay: what it has opened and nobody has called yet goes back into its earlier state. A
/// replay that has ended already stays as it is.
pub(crate) async fn cancel(
    db: &Db,
    buyer: BuyerId,
    id: Uuid,
    now: Timestamp,
) -> Result<Replay, Refusal> {
    let mut tx = db.begin_by_index().await?;
    let job = job::lock(&mut tx, buyer, id).await?;
    let mut job = job.ok_or(Refusal::NotFound)?;
    if job.state != ReplayState::Running {
        return Ok(job.shown());
    }

    // A recording must not finish deliveries between the look at them and the update.
    counts::lock(&mut tx, &[job.webhook_id]).await?;
    let mut tracked = tracked::read(&mut tx, id).await?;
    job.sent += queue::progress(&mut tracked).newly_sent;

    // A delivery under a lease may be at the receiver at this moment, so it stays open.
    let unsent = tracked.iter().filter(|delivery| delivery.is_unsent(now));
    let unsent: Vec<DeliveryId> = unsent.map(|delivery| delivery.delivery_id).collect();
    let closed = tracked::close(&mut tx, &job, &unsent).await?;

    let mut deltas = CountDeltas::default();
    let count = closed as i64;
    deltas.transfer(
        job.webhook_id,
        DeliveryState::Pending,
        job.delivery_state,
        count,
    );
    deltas.write(&mut tx).await?;

    job.state = ReplayState::Cancelled;
    tracked::remove_all(&mut tx, id).await?;
    job.save(&mut tx, now, now).await?;
    tx.commit_with_outcome().await?;

    Ok(job.shown())
}
