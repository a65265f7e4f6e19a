//! The event contract: what the log holds and both sides agree on.
//!
//! An event carries the full state after the change, so that a reader needs the last event of a subject and no
//! more. How events look on the wire is [`wire`]'s; the rules that decide which events come to be are the slices'.

mod deal;
mod recent;
pub mod wire;

pub use deal::{Deal, DealField, DealStatus, Item};
pub use recent::{Applied, Fingerprint, RECENT_EVENTS, Recent};

use serde::{Deserialize, Serialize};

use crate::ids::{BuyerId, DealId, EventId, SellerId};
use crate::money::MinorUnits;
use crate::position::Epoch;
use crate::telemetry::TraceContext;
use crate::time::Timestamp;

/// An immutable fact of the market.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same through every attempt of one mutation.
    pub id: EventId,
    /// What it is about; the order of one subject's events is their `revision`.
    pub subject: Subject,
    /// When it was decided.
    pub time: Timestamp,
    /// The W3C trace that led to it.
    pub trace: Option<TraceContext>,
    /// What happened.
    pub fact: Fact,
}

/// What an event is about. Optimistic concurrency is per subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The market itself: the first event of a log.
    Opened,
    /// One deal, its bids included.
    Deal {
        /// Whose deal: another seller's deal is another subject.
        seller: SellerId,
        /// Which deal.
        deal: DealId,
    },
    /// What one seller lets one buyer see.
    Access {
        /// Who grants.
        seller: SellerId,
        /// To whom.
        buyer: BuyerId,
    },
}

impl std::fmt::Display for Subject {
    /// The subject without its market.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened => f.write_str("opened"),
            Self::Deal { seller, deal } => write!(f, "deal.{seller}.{deal}"),
            Self::Access { seller, buyer } => write!(f, "access.{seller}.{buyer}"),
        }
    }
}

impl Subject {
    /// Reads a subject without its market; `None` when a newer version made it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "opened" {
            return Some(Self::Opened);
        }
        let (kind, ids) = text.split_once('.')?;
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

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The log began.
    MarketOpened {
        /// Its identity.
        epoch: Epoch,
    },
    /// A deal began, changed, or was put right by an operator.
    Deal(DealFact),
    /// A seller's grant to a buyer began, ended, or was put right.
    Access(AccessFact),
}

/// Why a subject's state is what the event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealCause {
    /// `deal.created`
    Created,
    /// `deal.updated`
    Updated,
    /// `deal.repaired`: readers go on from this state whatever they held.
    Repaired,
}

/// Why a pair's access is what the event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessCause {
    /// `access.granted`
    Granted,
    /// `access.revoked`
    Revoked,
    /// `access.repaired`: readers go on from this state whatever they held.
    Repaired,
}

/// The body of every deal event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DealFact {
    /// In the event's type, not its body.
    #[serde(skip, default = "created")]
    pub cause: DealCause,
    /// +1 with every event of the subject, 1 for the first.
    pub revision: u64,
    /// The deal after the change.
    pub deal: Deal,
    /// What differs from the version before; all of them at creation.
    pub changed: Vec<DealField>,
    /// The filterable fields before the change; none at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Which mutations have happened already.
    pub recent: Recent,
}

fn created() -> DealCause {
    DealCause::Created
}

/// The fields that a subscriber's filter may name, before a change: enough to say whether the deal left the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// The status before.
    pub status: DealStatus,
    /// The price before, in minor units.
    pub total_price: MinorUnits,
}

/// The body of every access event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessFact {
    /// In the event's type, not its body.
    #[serde(skip, default = "granted")]
    pub cause: AccessCause,
    /// +1 with every event of the subject, 1 for the first.
    pub revision: u64,
    /// Whether the buyer has access after the event.
    pub granted: bool,
    /// When the grant that holds, or held last, was made.
    pub since: Timestamp,
    /// Which mutations have happened already.
    pub recent: Recent,
}

fn granted() -> AccessCause {
    AccessCause::Granted
}

impl Fact {
    /// The CloudEvents type.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::MarketOpened { .. } => "market.opened",
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

    /// The event's number within its subject.
    pub fn revision(&self) -> u64 {
        match self {
            Self::MarketOpened { .. } => 1,
            Self::Deal(fact) => fact.revision,
            Self::Access(fact) => fact.revision,
        }
    }

    /// Whether readers go on from this event whatever they held before.
    pub fn is_repair(&self) -> bool {
        match self {
            Self::MarketOpened { .. } => false,
            Self::Deal(fact) => fact.cause == DealCause::Repaired,
            Self::Access(fact) => fact.cause == AccessCause::Repaired,
        }
    }

    /// Which mutations this event's subject remembers.
    pub fn recent(&self) -> Option<&Recent> {
        match self {
            Self::MarketOpened { .. } => None,
            Self::Deal(fact) => Some(&fact.recent),
            Self::Access(fact) => Some(&fact.recent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_survive_their_text() {
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
