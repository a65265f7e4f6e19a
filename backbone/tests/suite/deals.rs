//! Deals, facts and events for tests: small, complete and the same at every run.

use backbone::contract::{
    Applied, Deal, DealCause, DealFact, DealField, DealStatus, Event, Fact, Fingerprint, Item,
    Previous, Recent, Subject,
};
use backbone::ids::{DealId, EventId, ItemId, SellerId};
use backbone::money::MinorUnits;
use backbone::time::Timestamp;
use uuid::Uuid;

/// Whose deals they are, unless a test says otherwise.
pub(crate) const SELLER: SellerId = SellerId(Uuid::from_u128(0x5e11e7));

/// 2024-06-17T05:30:12.520001Z
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_718_602_212_520_001);

/// The subject of the deal of this number.
pub(crate) fn subject(number: u128) -> Subject {
    Subject::Deal {
        seller: SELLER,
        deal: DealId(Uuid::from_u128(number)),
    }
}

/// The deal of this number, in its first version.
pub(crate) fn deal(number: u128) -> Deal {
    Deal {
        id: DealId(Uuid::from_u128(number)),
        seller_id: SELLER,
        name: format!("deal {number}"),
        total_price: units(100),
        currency: "GBP".parse().expect("GBP is a currency"),
        status: DealStatus::Available,
        discount: None,
        items: vec![Item {
            id: ItemId(Uuid::from_u128(1)),
            name: "item".to_owned(),
            price: units(100),
        }],
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn units(amount: i64) -> MinorUnits {
    MinorUnits::new(amount).expect("a small amount")
}

/// What a fact remembers of the mutation of this event, which had no key.
pub(crate) fn applied(event: EventId, version: u32) -> Applied {
    Applied {
        event,
        key: None,
        request: Fingerprint::of(b"request"),
        version,
    }
}

/// The creation of a deal.
pub(crate) fn created(number: u128, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Created,
        revision: 1,
        deal: deal(number),
        changed: DealField::ALL.to_vec(),
        previous: None,
        recent: Recent::first(applied.clone()),
        mutation: Some(applied),
        operator: None,
    }
}

/// The update that follows `last` and names the deal anew.
pub(crate) fn renamed(last: &DealFact, name: &str, applied: Applied) -> DealFact {
    DealFact {
        cause: DealCause::Updated,
        revision: last.revision + 1,
        deal: Deal {
            name: name.to_owned(),
            version: last.deal.version + 1,
            ..last.deal.clone()
        },
        changed: vec![DealField::Name],
        previous: Some(Previous {
            status: last.deal.status,
            total_price: last.deal.total_price,
        }),
        recent: last.recent.then(applied.clone()),
        mutation: Some(applied),
        operator: None,
    }
}

/// The event of this revision in the plain history of a deal: created, then renamed again and
/// again.
pub(crate) fn event(number: u128, revision: u64) -> Event {
    let id = |revision: u64| EventId(Uuid::from_u128(number << 64 | u128::from(revision)));
    let first = created(number, applied(id(1), 1));
    let fact = (2..=revision).fold(first, |last, revision| {
        renamed(
            &last,
            &format!("deal {number}.{revision}"),
            applied(id(revision), revision as u32),
        )
    });
    Event {
        id: id(revision),
        subject: subject(number),
        time: NOW,
        trace: None,
        fact: Fact::Deal(fact),
    }
}

/// The deal that a fact is about.
pub(crate) fn deal_of(fact: &Fact) -> &DealFact {
    match fact {
        Fact::Deal(fact) => fact,
        other => panic!("no fact of a deal: {other:?}"),
    }
}
