//! The event contract: what the log holds, and what both sides agree on.
//!
//! An event carries the full state after the change, so a reader needs only the last event of a
//! subject. [`wire`] defines how events are stored; the rules that decide which events happen
//! belong to the seller and buyer sides.

mod deal;
mod decision;
mod recent;
pub mod wire;

pub use deal::{Deal, DealField, DealStatus, Item};
pub use decision::{DecisionKind, EventDecision, OperatorNote};
pub use recent::{Applied, Fingerprint, RECENT_EVENTS, Recent};

use serde::{Deserialize, Serialize};

use crate::ids::{BuyerId, DealId, EventId, SellerId};
use crate::money::MinorUnits;
use crate::position::{Epoch, Sequence};
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// An immutable fact of the market.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Id, the same in every attempt of one mutation.
    pub id: EventId,
    /// Subject of the event. The `revision` of its fact gives the order of one subject's events.
    pub subject: Subject,
    /// Time of the decision. It never goes back within a subject.
    pub time: Timestamp,
    /// W3C trace context of the request behind the event.
    pub trace: Option<TraceContext>,
    /// The fact itself.
    pub fact: Fact,
}

/// Subject of an event, and the unit of optimistic concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The market itself: subject of a log's first event, and of its reopenings.
    Opened,
    /// Decisions of operators about one event of the log that readers cannot apply.
    Decision {
        /// Sequence of that event.
        sequence: Sequence,
    },
    /// One deal.
    Deal {
        /// Seller of the deal. The same deal id of a different seller is a different subject.
        seller: SellerId,
        /// Id of the deal.
        deal: DealId,
    },
    /// Permission for one buyer to see the deals of one seller.
    Access {
        /// Seller that grants and revokes access.
        seller: SellerId,
        /// Buyer that has or had access.
        buyer: BuyerId,
    },
}

impl std::fmt::Display for Subject {
    /// Writes the subject without the market's name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened => f.write_str("opened"),
            Self::Decision { sequence } => write!(f, "decision.{sequence}"),
            Self::Deal { seller, deal } => write!(f, "deal.{seller}.{deal}"),
            Self::Access { seller, buyer } => write!(f, "access.{seller}.{buyer}"),
        }
    }
}

impl Subject {
    /// Parses a subject without the market's name; `None` for any other text, such as a subject of
    /// a newer version.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "opened" {
            return Some(Self::Opened);
        }

        // UUIDs contain no dots, so the parts are unambiguous.
        let (kind, ids) = text.split_once('.')?;
        if kind == "decision" {
            let sequence = ids.parse().ok()?;
            return Some(Self::Decision { sequence });
        }

        let (first, second) = ids.split_once('.')?;
        let seller = first.parse().ok()?;

        match kind {
            "deal" => Some(Self::Deal {
                seller,
                deal: second.parse().ok()?,
            }),
            "access" => Some(Self::Access {
                seller,
                buyer: second.parse().ok()?,
            }),
            _ => None,
        }
    }
}

/// A fact of the market.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The log was opened.
    MarketOpened {
        /// Identity of the log.
        epoch: Epoch,
    },
    /// The log was opened again after it had lost its end.
    MarketReopened {
        /// Identity of the log from here on.
        epoch: Epoch,
    },
    /// An operator decided about an event that readers cannot apply.
    Decision(EventDecision),
    /// A deal was created, changed, or repaired by an operator.
    Deal(DealFact),
    /// Access was granted, revoked, or repaired by an operator.
    Access(AccessFact),
}

/// Reason for the state in a deal event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealCause {
    /// `deal.created`
    Created,
    /// `deal.updated`
    Updated,
    /// `deal.repaired`: readers continue from this state, whatever they had before.
    Repaired,
}

/// Reason for the state in an access event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessCause {
    /// `access.granted`
    Granted,
    /// `access.revoked`
    Revoked,
    /// `access.repaired`: readers continue from this state, whatever they had before.
    Repaired,
}

/// Body of every deal event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DealFact {
    /// Reason for the state. It is part of the event's type, not of its body.
    #[serde(skip, default = "created")]
    pub cause: DealCause,
    /// Number of the event within its subject, from 1.
    pub revision: u64,
    /// State of the deal after the change.
    pub deal: Deal,
    /// Fields that differ from the previous version; every field at creation.
    pub changed: Vec<DealField>,
    /// Filterable fields before the change; `None` at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Recent mutations of the subject.
    pub recent: Recent,
    /// Mutation behind this event. Events of version 0.1.0 have it as the last of `recent` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<Applied>,
    /// Operator who repaired the subject by this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorNote>,
}

fn created() -> DealCause {
    DealCause::Created
}

/// The fields that a subscriber's filter may name, before a change. They show whether the deal left
/// the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// Status before the change.
    pub status: DealStatus,
    /// Total price before the change, in minor units.
    pub total_price: MinorUnits,
}

/// Body of every access event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessFact {
    /// Reason for the state. It is part of the event's type, not of its body.
    #[serde(skip, default = "granted")]
    pub cause: AccessCause,
    /// Number of the event within its subject, from 1.
    pub revision: u64,
    /// Set if the buyer has access after the event.
    pub granted: bool,
    /// Time of the latest grant, whether it still holds or not.
    pub since: Timestamp,
    /// Recent mutations of the subject.
    pub recent: Recent,
    /// Mutation behind this event. Events of version 0.1.0 have it as the last of `recent` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<Applied>,
    /// Operator who repaired the subject by this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorNote>,
}

fn granted() -> AccessCause {
    AccessCause::Granted
}

impl Fact {
    /// Returns the CloudEvents type.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::MarketOpened { .. } => "market.opened",
            Self::MarketReopened { .. } => "market.reopened",
            Self::Decision(fact) => match fact.kind {
                DecisionKind::Skip => "event.skipped",
                DecisionKind::Discard => "event.discarded",
            },
            Self::Deal(fact) => match fact.cause {
                DealCause::Created => "deal.created",
                DealCause::Updated => "deal.updated",
                DealCause::Repaired => "deal.repaired",
            },
            Self::Access(fact) => match fact.cause {
                AccessCause::Granted => "access.granted",
                AccessCause::Revoked => "access.revoked",
                AccessCause::Repaired => "access.repaired",
            },
        }
    }

    /// Returns the number of the event within its subject, from 1.
    pub fn revision(&self) -> u64 {
        match self {
            // Readers apply no state of these, so none of them can be missing.
            Self::MarketOpened { .. } | Self::MarketReopened { .. } => 1,
            Self::Decision(fact) => fact.revision,
            Self::Deal(fact) => fact.revision,
            Self::Access(fact) => fact.revision,
        }
    }

    /// Returns whether readers continue from this event, whatever they had before.
    pub fn is_repair(&self) -> bool {
        match self {
            Self::MarketOpened { .. } | Self::MarketReopened { .. } | Self::Decision(_) => false,
            Self::Deal(fact) => fact.cause == DealCause::Repaired,
            Self::Access(fact) => fact.cause == AccessCause::Repaired,
        }
    }

    /// Returns the recent mutations of the subject; `None` for the events that open a log.
    pub fn recent(&self) -> Option<&Recent> {
        match self {
            Self::MarketOpened { .. } | Self::MarketReopened { .. } => None,
            Self::Decision(fact) => Some(&fact.recent),
            Self::Deal(fact) => Some(&fact.recent),
            Self::Access(fact) => Some(&fact.recent),
        }
    }

    /// Returns the mutation behind the event; `None` for the events that open a log.
    pub fn mutation(&self) -> Option<&Applied> {
        let mutation = match self {
            Self::MarketOpened { .. } | Self::MarketReopened { .. } | Self::Decision(_) => &None,
            Self::Deal(fact) => &fact.mutation,
            Self::Access(fact) => &fact.mutation,
        };

        mutation.as_ref().or_else(|| self.recent()?.latest.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_survives_formatting_and_parsing() {
        let (seller, other) = (SellerId(uuid::Uuid::from_u128(1)), uuid::Uuid::from_u128(2));
        for subject in [
            Subject::Opened,
            Subject::Deal {
                seller,
                deal: DealId(other),
            },
            Subject::Access {
                seller,
                buyer: BuyerId(other),
            },
        ] {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }

        for text in ["", "deal", "deal.x.y", "bid.1.2", &format!("deal.{seller}")] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}
