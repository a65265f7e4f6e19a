//! Choice of the deliveries that a step opens. The module is pure.

use std::collections::HashSet;

use backbone::ids::{DealId, DeliveryId};
use backbone::time::Timestamp;
use sqlx::FromRow;

/// Stage of a delivery in its replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Delivery that is still finished.
    Waiting,
    /// Delivery that is pending and was not called yet.
    Opened,
    /// Delivery that was called, and waits for its next try.
    Sent,
}

impl Stage {
    /// Returns the name that the table uses.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Opened => "OPENED",
            Self::Sent => "SENT",
        }
    }
}

impl TryFrom<String> for Stage {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        [Self::Waiting, Self::Opened, Self::Sent]
            .into_iter()
            .find(|stage| stage.as_str() == name)
            .ok_or_else(|| format!("{name:?} is not a known stage of a replay"))
    }
}

/// Delivery that a replay has selected, with what became of it.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Tracked {
    pub(super) delivery_id: DeliveryId,
    pub(super) deal_id: Option<DealId>,
    #[sqlx(try_from = "String")]
    pub(super) stage: Stage,
    /// `true` while the delivery is pending, in this replay or by other means.
    pub(super) pending: bool,
    /// Tries spent since the delivery was opened.
    pub(super) tries: i32,
    pub(super) leased_until: Option<Timestamp>,
}

impl Tracked {
    /// Returns whether the delivery was opened and no call to it has begun.
    pub(super) fn is_unsent(&self, now: Timestamp) -> bool {
        let leased = self.leased_until.is_some_and(|until| until > now);
        self.stage == Stage::Opened && self.pending && self.tries == 0 && !leased
    }
}

/// Changes to the deliveries that were opened, since the last step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Deliveries that are finished again.
    pub(super) finished: Vec<DeliveryId>,
    /// Deliveries whose first call failed, which will be called again.
    pub(super) sent: Vec<DeliveryId>,
    /// Number of deliveries whose first call has ended since the last step.
    pub(super) newly_sent: i64,
}

/// Takes note of what became of the deliveries that were opened, and removes those that are
/// finished.
pub(super) fn progress(tracked: &mut Vec<Tracked>) -> Progress {
    let mut progress = Progress::default();

    tracked.retain_mut(|delivery| {
        let was_opened = delivery.stage == Stage::Opened;
        if delivery.stage == Stage::Waiting {
            return true;
        }
        if !delivery.pending {
            progress.newly_sent += i64::from(was_opened);
            progress.finished.push(delivery.delivery_id);
            return false;
        }

        if was_opened && delivery.tries > 0 {
            progress.newly_sent += 1;
            progress.sent.push(delivery.delivery_id);
            delivery.stage = Stage::Sent;
        }
        true
    });

    progress
}

/// Returns up to `room` waiting deliveries, none of them behind another one of its deal.
pub(super) fn heads(tracked: &[Tracked], room: usize) -> Vec<DeliveryId> {
    let mut lanes: HashSet<DealId> = HashSet::new();
    let mut heads = Vec::new();

    for delivery in tracked {
        // A delivery occupies its lane in every stage: what is opened must be finished before the
        // next one, and what waits must be opened before it.
        let free = delivery.deal_id.is_none_or(|deal| lanes.insert(deal));
        if free && delivery.stage == Stage::Waiting && heads.len() < room {
            heads.push(delivery.delivery_id);
        }
    }

    heads
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tracked(id: u128, deal: Option<u128>, stage: Stage, pending: bool, tries: i32) -> Tracked {
        Tracked {
            delivery_id: DeliveryId(Uuid::from_u128(id)),
            deal_id: deal.map(|deal| DealId(Uuid::from_u128(deal))),
            stage,
            pending,
            tries,
            leased_until: None,
        }
    }

    fn ids(deliveries: &[DeliveryId]) -> Vec<u128> {
        deliveries.iter().map(|id| id.0.as_u128()).collect()
    }

    #[test]
    fn one_delivery_of_each_deal_is_opened_at_a_time() {
        let queue = [
            tracked(1, Some(1), Stage::Sent, true, 1),
            tracked(2, Some(1), Stage::Waiting, false, 0),
            tracked(3, Some(2), Stage::Waiting, false, 0),
            tracked(4, Some(2), Stage::Waiting, false, 0),
            tracked(5, None, Stage::Waiting, false, 0),
            tracked(6, Some(3), Stage::Waiting, false, 0),
        ];

        assert_eq!(ids(&heads(&queue, 9)), [3, 5, 6]);
        assert_eq!(ids(&heads(&queue, 1)), [3]);
    }

    #[test]
    fn first_call_counts_once_and_a_finished_delivery_leaves() {
        let mut queue = vec![
            tracked(1, Some(1), Stage::Opened, true, 0),
            tracked(2, Some(2), Stage::Opened, true, 1),
            tracked(3, Some(3), Stage::Opened, false, 0),
            tracked(4, Some(4), Stage::Sent, true, 2),
            tracked(5, Some(5), Stage::Sent, false, 3),
        ];
        let progress = progress(&mut queue);

        assert_eq!(ids(&progress.finished), [3, 5]);
        assert_eq!((ids(&progress.sent), progress.newly_sent), (vec![2], 2));
        assert_eq!(queue.len(), 3);
    }
}
