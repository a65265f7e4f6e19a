//! The feed: every change that a subscriber may be shown, by its place in the log.

use std::sync::Arc;

use backbone::contract::{Deal, DealField, Previous};
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Sequence;
use backbone::projection::Place;
use serde::{Deserialize, Serialize};

/// One visible effect of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The event's place.
    pub sequence: Sequence,
    /// Which of the event's changes.
    pub index: u16,
    /// Whose deal or grant: what wakes subscribers.
    pub seller_id: SellerId,
    /// What changed.
    pub body: ChangeBody,
}

impl Change {
    /// What orders changes.
    pub fn order(&self) -> (Sequence, u16) {
        (self.sequence, self.index)
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChangeBody {
    /// A deal.
    Deal {
        /// By its creation.
        created: bool,
        /// The deal after the change. Behind an `Arc`, for it goes to every subscriber.
        deal: Arc<Deal>,
        /// What differs from the version before; all fields at creation.
        changed: Vec<DealField>,
        /// The filterable fields before the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Previous>,
    },
    /// A seller's grant to a buyer began or ended.
    Access {
        /// To whom.
        buyer: BuyerId,
        /// Whether the buyer has access after it.
        granted: bool,
    },
}

/// A range of the feed with the place that the tables had in the same snapshot.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// In order.
    pub changes: Vec<Change>,
    /// Where the tables stand.
    pub place: Place,
    /// More changes lie between the last one here and `place`.
    pub more: bool,
}
