//! Events of a test's market, appended one by one as the seller side would append them, and
//! projected on demand.

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

/// A deal's seller and id.
pub type DealRef = (SellerId, DealId);

/// State of a deal as far as a test chooses it.
#[derive(Clone, Copy, Debug)]
pub struct DealState<'a> {
    /// Name of the deal.
    pub name: &'a str,
    /// Total price in pence; `None` for one that differs with every version.
    pub price: Option<i64>,
    /// Status of the deal.
    pub status: DealStatus,
}

impl Market {
    /// Grants access. Returns the sequence of the event, as the other methods do.
    pub async fn grant(&self, seller: SellerId, buyer: BuyerId) -> Sequence {
        self.set_access(seller, buyer, true).await
    }

    /// Grants access that does not hold, and revokes access that does.
    pub async fn toggle_access(&self, seller: SellerId, buyer: BuyerId) -> Sequence {
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
                mutation: None,
                operator: None,
            })
        })
        .await
    }

    /// Creates a deal of a seller.
    pub async fn create(&self, seller: SellerId) -> DealRef {
        let deal = (seller, DealId(backbone::random::random_id()));
        self.change(deal).await;

        deal
    }

    /// Updates a deal; the first update creates it.
    pub async fn change(&self, deal: DealRef) -> Sequence {
        self.rename(deal, "a deal").await
    }

    /// Updates a deal and gives it a name.
    pub async fn rename(&self, deal: DealRef, name: &str) -> Sequence {
        let state = DealState {
            name,
            price: None,
            status: DealStatus::Available,
        };

        self.write(deal, state).await
    }

    /// Updates a deal; the first update creates it.
    pub async fn write(&self, (seller_id, id): DealRef, state: DealState<'_>) -> Sequence {
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
                let price = MinorUnits::new(state.price.unwrap_or(100 + revision as i64))
                    .expect("the market's log and database work");
                let deal = Deal {
                    id,
                    seller_id,
                    name: state.name.to_owned(),
                    total_price: price,
                    currency: "GBP".parse().expect("the market's log and database work"),
                    status: state.status,
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
                    mutation: None,
                    operator: None,
                })
            },
        )
        .await
    }

    /// Runs the projection up to the head of the log, in as few batches as the log's tail allows.
    /// Returns the head.
    pub async fn project(&self) -> Sequence {
        let head = self
            .log
            .head()
            .await
            .expect("the market's log and database work");

        let (mut checkpoint, mut tail) = self
            .worker
            .open()
            .await
            .expect("the market's log and database work");
        while checkpoint.position < head {
            checkpoint = self
                .worker
                .run_once(checkpoint, &mut tail)
                .await
                .expect("the market's log and database work");
        }
        head
    }

    async fn last(&self, subject: &Subject) -> Option<(Sequence, Fact)> {
        let record = self
            .log
            .last(subject)
            .await
            .expect("the market's log and database work")?;
        Some((
            record.sequence,
            record
                .event
                .expect("the market's log and database work")
                .fact,
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
            AppendAnswer::Stored(end) => end.sequence,
            answer => panic!("the test is the only writer: {answer:?}"),
        }
    }
}
