//! One event of each type.

use backbone::contract::{
    AccessCause, AccessFact, Applied, Deal, DealCause, DealFact, DealField, DealStatus,
    DecisionKind, Event, EventDecision, Fact, Fingerprint, Item, OperatorNote, Previous,
    RECENT_EVENTS, Recent, Subject,
};
use backbone::ids::{BuyerId, EventId, ItemId};
use backbone::money::{BasisPoints, Discount};
use uuid::Uuid;

use super::EPOCH;
use crate::deals::{NOW, SELLER, deal, renamed, subject, units};

/// An event of each type, as the golden files hold them. Never changed: a new type adds one.
pub(super) fn one_of_each_type() -> Vec<Event> {
    let [created, updated, deal_repaired] = deal_facts();
    let [granted, revoked, access_repaired] = access_facts();
    let access = Subject::Access {
        seller: SELLER,
        buyer: BuyerId(Uuid::from_u128(0xb0e7)),
    };

    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .ok();

    let event = |subject, fact| Event {
        id: EventId(Uuid::from_u128(77)),
        subject,
        time: NOW,
        trace,
        fact,
    };

    let opened = Event {
        trace: None,
        ..event(Subject::Opened, Fact::MarketOpened { epoch: EPOCH })
    };

    vec![
        opened,
        event(subject(7), Fact::Deal(created)),
        event(subject(7), Fact::Deal(updated)),
        event(subject(7), Fact::Deal(deal_repaired)),
        event(access, Fact::Access(granted)),
        event(access, Fact::Access(revoked)),
        event(access, Fact::Access(access_repaired)),
        event(Subject::Opened, Fact::MarketReopened { epoch: EPOCH }),
        event(
            Subject::Decision { sequence: 17 },
            Fact::Decision(decision(DecisionKind::Skip)),
        ),
        event(
            Subject::Decision { sequence: 17 },
            Fact::Decision(decision(DecisionKind::Discard)),
        ),
    ]
}

fn decision(kind: DecisionKind) -> EventDecision {
    EventDecision {
        kind,
        revision: 1,
        sequence: 17,
        subject: subject(7).to_string(),
        operator: note(),
        recent: Recent::first(with_key(1)),
    }
}

fn note() -> OperatorNote {
    OperatorNote {
        by: "ann".to_owned(),
        why: "the host's disk was damaged".to_owned(),
    }
}

/// Facts of a deal that is created, updated and repaired. The last has a full list of recent
/// mutations.
fn deal_facts() -> [DealFact; 3] {
    let created = DealFact {
        cause: DealCause::Created,
        revision: 1,
        deal: deal(7),
        changed: DealField::ALL.to_vec(),
        previous: None,
        recent: Recent::first(with_key(1)),
        mutation: Some(with_key(1)),
        operator: None,
    };

    let updated = DealFact {
        deal: Deal {
            status: DealStatus::Reserved,
            discount: Some(Discount::Percentage {
                basis_points: BasisPoints::from_percentage(12.5).expect("two decimals at most"),
            }),
            version: 2,
            ..deal(7)
        },
        changed: vec![DealField::Status, DealField::Discount],
        ..renamed(&created, "deal 7", with_key(2))
    };

    let many = (3..=20).fold(updated.clone(), |last, number| {
        renamed(&last, "deal 7", with_key(number))
    });

    let repaired = DealFact {
        cause: DealCause::Repaired,
        deal: Deal {
            name: "naïve \"déal\" 💥".to_owned(),
            discount: Some(Discount::Flat { amount: units(1) }),
            items: (1..=2).map(item).collect(),
            ..many.deal.clone()
        },
        changed: vec![],
        previous: Some(Previous {
            status: DealStatus::Sold,
            total_price: units(5),
        }),
        operator: Some(note()),
        ..many
    };

    assert_eq!(repaired.recent.latest.len(), RECENT_EVENTS);
    [created, updated, repaired]
}

/// Facts of an access that is granted, revoked and repaired.
fn access_facts() -> [AccessFact; 3] {
    let granted = AccessFact {
        cause: AccessCause::Granted,
        revision: 1,
        granted: true,
        since: NOW,
        recent: Recent::first(with_key(1)),
        mutation: Some(with_key(1)),
        operator: None,
    };

    let revoked = AccessFact {
        cause: AccessCause::Revoked,
        revision: 2,
        granted: false,
        recent: granted.recent.then(Applied {
            key: None,
            ..with_key(2)
        }),
        mutation: Some(Applied {
            key: None,
            ..with_key(2)
        }),
        ..granted.clone()
    };

    let repaired = AccessFact {
        cause: AccessCause::Repaired,
        revision: 9,
        ..revoked.clone()
    };

    [granted, revoked, repaired]
}

fn with_key(number: u32) -> Applied {
    Applied {
        event: EventId(Uuid::from_u128(number.into())),
        key: Some(Fingerprint::of(&number.to_be_bytes())),
        request: Fingerprint::of(b"request"),
        version: number,
    }
}

fn item(number: u32) -> Item {
    Item {
        id: ItemId(Uuid::from_u128(number.into())),
        name: format!("item {number}"),
        price: units(50),
    }
}
