//! A change, and the JSON that the feed's table, the live bus and subscribers' selections share.

use std::sync::Arc;

use backbone::contract::{Deal, DealField, Previous};
use backbone::ids::{BuyerId, SellerId};
use backbone::position::{Epoch, Position, Sequence};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One visible effect of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Sequence of the event.
    pub sequence: Sequence,
    /// Number of the change within its event, from 0.
    pub index: u16,
    /// Seller of the deal, or seller who granted or revoked the access.
    pub seller_id: SellerId,
    /// The effect.
    pub body: ChangeBody,
}

impl Change {
    /// Returns the key by which changes of one log are ordered: sequence, then index.
    pub fn order(&self) -> (Sequence, u16) {
        (self.sequence, self.index)
    }

    /// Returns the change's position in the log of this epoch.
    pub fn position(&self, epoch: Epoch) -> Position {
        Position {
            epoch,
            sequence: self.sequence,
            index: self.index,
        }
    }
}

/// The effect of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    try_from = "ChangeBodyFields"
)]
pub enum ChangeBody {
    /// A deal was created or changed.
    Deal {
        /// True for the deal's creation.
        created: bool,
        /// The deal after the change, behind an `Arc` because every subscriber gets it.
        deal: Arc<Deal>,
        /// Fields that differ from the version before; all fields for a creation.
        changed: Vec<DealField>,
        /// The filterable fields before the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Previous>,
    },
    /// A buyer's access to a seller's deals began or ended.
    Access {
        /// Buyer whose access changed.
        buyer: BuyerId,
        /// True when the buyer has access after the change.
        granted: bool,
    },
}

/// The fields of every kind of [`ChangeBody`], as it is read.
///
/// Every gateway reads every change. Serde would read an internally tagged enum twice, first into a
/// tree of values; this struct is read once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangeBodyFields {
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
    /// A kind that a newer version writes.
    #[serde(other)]
    Unknown,
}

/// The part of a body that every version writes.
#[derive(Deserialize)]
struct KindOnly {
    kind: Kind,
}

impl ChangeBody {
    /// Decodes a body. Returns `None` for one of a kind that this version does not know: a newer
    /// version writes it for readers of its own, and those of this one go on without it.
    pub(crate) fn decode(text: &str) -> Result<Option<Self>, serde_json::Error> {
        serde_json::from_str(text).map(Some).or_else(|error| {
            // Looked at only now, so that the kinds that are known are read once.
            match serde_json::from_str(text) {
                Ok(KindOnly {
                    kind: Kind::Unknown,
                }) => Ok(None),
                _ => Err(error),
            }
        })
    }
}

impl TryFrom<ChangeBodyFields> for ChangeBody {
    type Error = &'static str;

    fn try_from(fields: ChangeBodyFields) -> Result<Self, Self::Error> {
        // A body that lacks a field is an error rather than a default: it comes from a broken
        // writer, and a subscriber must not be shown half a change.
        match fields.kind {
            Kind::Deal => {
                let (Some(created), Some(deal), Some(changed)) =
                    (fields.created, fields.deal, fields.changed)
                else {
                    return Err("a change of a deal must have created, deal and changed");
                };

                Ok(Self::Deal {
                    created,
                    deal,
                    changed,
                    previous: fields.previous,
                })
            }
            Kind::Access => {
                let (Some(buyer), Some(granted)) = (fields.buyer, fields.granted) else {
                    return Err("a change of access must have buyer and granted");
                };

                Ok(Self::Access { buyer, granted })
            }
            Kind::Unknown => Err("this version does not know the kind of the change"),
        }
    }
}

/// A [`Change`] whose body is JSON already, for writing the same JSON to the table and to the live
/// bus.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EncodedChange<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) index: u16,
    pub(crate) seller_id: SellerId,
    pub(crate) body: &'a RawValue,
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
    fn change_is_read_as_it_was_written_or_not_at_all() {
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
                serde_json::from_value::<ChangeBody>(written.clone()).expect("a change body"),
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
