//! What happens in a test's market: events are appended one by one, as the seller side would, and taken in when asked.

use backbone::contract::{
    AccessCause, AccessFact, Applied, Deal, DealCause, DealFact, DealField, DealStatus, Event,
    Fact, Fingerprint, Item, Recent, Subject,
};
use backbone::event_log::AppendAnswer;
use backbone::ids::{BuyerId, DealId, EventId, ItemId, SellerId};
use backbone::money::MinorUnits;
use backbone::position::Sequence;
use backbone::telemetry::TraceContext;

use super::Market;

/// A deal by its seller and id.
pub type Lot = (SellerId, DealId);

impl Market {
    /// Appends a grant.
    pub async fn grant(&self, seller: SellerId, buyer: BuyerId) -> Sequence {
        self.set_access(seller, buyer, true).await
    }

    /// Grants what is not granted, and revokes what is.
    pub async fn turn_access(&self, seller: SellerId, buyer: BuyerId) -> Sequence {
        let last = self.last(&Subject::Access { seller, buyer }).await;
        let granted = matches!(last, Some((_, Fact::Access(fact))) if fact.granted);
        self.set_access(seller, buyer, !granted).await
    }

    async fn set_access(&self, seller: SellerId, buyer: BuyerId, granted: bool) -> Sequence {
        let since = self.clock.now();
        let cause = if granted {
            AccessCause::Granted
        } else {
            AccessCause::Revoked
        };
        self.append(Subject::Access { seller, buyer }, |revision, recent, _| {
            Fact::Access(AccessFact {
                cause,
                revision,
                granted,
                since,
                recent,
            })
        })
        .await
    }

    /// A new deal of a seller.
    pub async fn create(&self, seller: SellerId) -> Lot {
        let lot = (seller, DealId(backbone::random::random_id()));
        self.change(lot).await;
        lot
    }

    /// The next version of a deal; the first makes it.
    pub async fn change(&self, lot: Lot) -> Sequence {
        self.rename(lot, "a deal").await
    }

    /// The next version of a deal, by this name.
    pub async fn rename(&self, (seller_id, id): Lot, name: &str) -> Sequence {
        let now = self.clock.now();
        self.append(
            Subject::Deal {
                seller: seller_id,
                deal: id,
            },
            |revision, recent, before| {
                let cause = if revision == 1 {
                    DealCause::Created
                } else {
                    DealCause::Updated
                };
                let created_at = match before {
                    Some(Fact::Deal(fact)) => fact.deal.created_at,
                    _ => now,
                };
                let price =
                    MinorUnits::new(100 + revision as i64).expect("the test's market works");
                let deal = Deal {
                    id,
                    seller_id,
                    name: name.to_owned(),
                    total_price: price,
                    currency: "GBP".parse().expect("the test's market works"),
                    status: DealStatus::Available,
                    discount: None,
                    items: vec![Item {
                        id: ItemId(id.0),
                        name: "an item".to_owned(),
                        price,
                    }],
                    version: revision as u32,
                    created_at,
                    updated_at: now,
                };
                let changed = vec![DealField::TotalPrice];
                Fact::Deal(DealFact {
                    cause,
                    revision,
                    deal,
                    changed,
                    previous: None,
                    recent,
                })
            },
        )
        .await
    }

    /// Lets the projection take in all that was appended, in as few batches as the log gives it.
    pub async fn project(&self) -> Sequence {
        let head = self.log.head().await.expect("the test's market works");
        let (mut checkpoint, mut tail) = self.worker.open().await.expect("the test's market works");
        while checkpoint.position < head {
            checkpoint = self
                .worker
                .run_once(checkpoint, &mut tail)
                .await
                .expect("the test's market works");
        }
        head
    }

    async fn last(&self, subject: &Subject) -> Option<(Sequence, Fact)> {
        let record = self
            .log
            .last(subject)
            .await
            .expect("the test's market works")?;
        Some((
            record.sequence,
            record.event.expect("the test's market works").fact,
        ))
    }

    async fn append(
        &self,
        subject: Subject,
        fact: impl FnOnce(u64, Recent, Option<&Fact>) -> Fact,
    ) -> Sequence {
        let last = self.last(&subject).await;
        let (expected, before) = last.map_or((0, None), |(sequence, fact)| (sequence, Some(fact)));
        let revision = before.as_ref().map_or(0, Fact::revision) + 1;
        let id = EventId(backbone::random::random_id());
        let applied = Applied {
            event: id,
            key: None,
            request: Fingerprint::of(b""),
            version: revision as u32,
        };
        let fact = fact(revision, Recent::first(applied), before.as_ref());
        let event = Event {
            id,
            subject,
            time: self.clock.now(),
            trace: Some(TraceContext::root()),
            fact,
        };
        match self.log.append(&event, expected).await {
            AppendAnswer::Stored(sequence) => sequence,
            answer => panic!("nobody else writes: {answer:?}"),
        }
    }
}
