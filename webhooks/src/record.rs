//! Outcomes into the tables: what calls came to, if their leases still hold, in one transaction for all that are ready.
//!
//! An outcome whose delivery was taken over, discarded or re-opened meanwhile is dropped: whoever has it now decides.

mod settle;
mod write;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use backbone::Error;
use backbone::db::Db;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use uuid::Uuid;

use super::outcome::Outcome;
use buyer_core::outbox::counts;
#[cfg(test)]
pub(super) use write::{DELIVERIES_POSTGRES, HELD_POSTGRES, LANES_POSTGRES};

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) delivery: DeliveryId,
    pub(super) webhook: WebhookId,
    /// Under which it was made.
    pub(super) lease: Uuid,
    /// When it began.
    pub(super) at: Timestamp,
    pub(super) outcome: Outcome,
}

/// What a recording came to.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Outcomes that were recorded, by what became of the delivery.
    pub(super) delivered: u64,
    pub(super) again: u64,
    pub(super) dead: u64,
    pub(super) postponed: u64,
    /// Outcomes that were dropped, for their leases were lost.
    pub(super) lost: u64,
    /// Endpoints of which something else is due now.
    pub(super) due: HashSet<WebhookId>,
}

impl Recorded {
    /// How many outcomes are in the tables now.
    pub(super) fn count(&self) -> usize {
        (self.delivered + self.again + self.dead + self.postponed) as usize
    }
}

/// Records outcomes. `jitter` varies a wait.
///
/// # Errors
/// [`Error::Unavailable`]: none of them is recorded, and all may be tried again.
pub(super) async fn record(
    db: &Db,
    ended: &[Ended],
    now: Timestamp,
    jitter: impl Fn(Duration) -> Duration,
) -> Result<Recorded, Error> {
    let webhooks: BTreeSet<WebhookId> = ended.iter().map(|ended| ended.webhook).collect();
    let webhooks: Vec<WebhookId> = webhooks.into_iter().collect();
    let mut tx = db.begin_by_index().await?;
    counts::lock(&mut tx, &webhooks).await?;
    let held = write::held(&mut tx, ended).await?;
    let settled = settle::settle(held, ended, now, jitter);
    write::deliveries(&mut tx, &settled.deliveries, now).await?;
    write::attempts(&mut tx, &settled.attempts).await?;
    settled.deltas.write(&mut tx).await?;
    write::endpoints(&mut tx, &settled.endpoints).await?;
    let moved_on = write::next_of_lanes(&mut tx, &settled.lanes, now).await?;
    tx.commit().await?;
    let mut recorded = settled.recorded;
    recorded.due.extend(moved_on);
    Ok(recorded)
}
