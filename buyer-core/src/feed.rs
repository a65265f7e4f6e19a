//! The feed: every change that a subscriber may be shown, by its place in the log.

pub mod retention;
pub(crate) mod table;

pub use retention::Retention;
pub use table::{FeedRange, FeedRow};

use std::sync::Arc;

use backbone::contract::{Deal, DealField, Previous};
use backbone::ids::{BuyerId, SellerId};
use backbone::position::{Epoch, Position, Sequence};
use backbone::projection::Checkpoint;
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

    /// Where it stands in this log.
    pub fn position(&self, epoch: Epoch) -> Position {
        Position {
            epoch,
            sequence: self.sequence,
            index: self.index,
        }
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    try_from = "FlatBody"
)]
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

/// [`ChangeBody`] as it is read. Every gateway reads every change, and an enum with a tag inside would be read twice:
/// first into a tree of values, then from that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatBody {
    kind: Kind,
    created: Option<bool>,
    deal: Option<Arc<Deal>>,
    changed: Option<Vec<DealField>>,
    previous: Option<Previous>,
    buyer: Option<BuyerId>,
    granted: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Deal,
    Access,
}

impl TryFrom<FlatBody> for ChangeBody {
    type Error = &'static str;

    fn try_from(flat: FlatBody) -> Result<Self, Self::Error> {
        let FlatBody {
            kind,
            created,
            deal,
            changed,
            previous,
            buyer,
            granted,
        } = flat;
        let body = match kind {
            Kind::Deal => created
                .zip(deal)
                .zip(changed)
                .map(|((created, deal), changed)| Self::Deal {
                    created,
                    deal,
                    changed,
                    previous,
                }),
            Kind::Access => buyer
                .zip(granted)
                .map(|(buyer, granted)| Self::Access { buyer, granted }),
        };
        body.ok_or("a change lacks what its kind has")
    }
}

/// A range of the feed with the place that the tables had in the same snapshot.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// In order.
    pub changes: Vec<Change>,
    /// Where the tables stand.
    pub checkpoint: Checkpoint,
    /// Up to and including this event, changes are no longer kept.
    pub horizon: Sequence,
    /// More changes lie between the last one here and `place`.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use backbone::contract::DealStatus;
    use backbone::ids::DealId;
    use backbone::money::MinorUnits;
    use backbone::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written_or_not_at_all() {
        let deal = Deal {
            id: DealId(Uuid::from_u128(1)),
            seller_id: SellerId(Uuid::from_u128(2)),
            name: "deal".to_owned(),
            total_price: MinorUnits::MAX,
            currency: "GBP".parse().expect("a currency"),
            status: DealStatus::Available,
            discount: None,
            items: Vec::new(),
            version: 2,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(1),
        };
        let previous = Some(Previous {
            status: DealStatus::Sold,
            total_price: MinorUnits::MAX,
        });
        let bodies = [
            ChangeBody::Deal {
                created: false,
                deal: Arc::new(deal),
                changed: vec![DealField::Name, DealField::Status],
                previous,
            },
            ChangeBody::Access {
                buyer: BuyerId(Uuid::from_u128(3)),
                granted: true,
            },
        ];
        for body in bodies {
            let written = serde_json::to_value(&body).expect("a change is JSON");
            assert_eq!(
                serde_json::from_value::<ChangeBody>(written.clone()).expect("it is one"),
                body
            );
            let fields: Vec<String> = written
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect();
            for field in fields.iter().filter(|field| *field != "previous") {
                let mut less = written.clone();
                less.as_object_mut().expect("an object").remove(field);
                assert!(
                    serde_json::from_value::<ChangeBody>(less).is_err(),
                    "without {field}"
                );
            }
        }
    }
}
