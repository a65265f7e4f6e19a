//! The seller tables as a reader of the log: deals and access as their last events left them.
//!
//! These are state tables, so of several events of one subject in a batch only the last is written.

use std::collections::HashMap;

use backbone::Error;
use backbone::contract::{Fact, Subject};
use backbone::db::Tx;
use backbone::deal_table::Write;
use backbone::ids::DealId;
use backbone::position::Epoch;
use backbone::projection::{Checkpoint, Entry, Projection};

use crate::store::{AccessRow, Pair, Store};

/// What the seller database does with events.
pub struct SellerProjection {
    store: Store,
}

impl SellerProjection {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Projection for SellerProjection {
    type Effect = ();

    const NAME: &'static str = "seller";

    async fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, u64>, Error> {
        let mut deals = HashMap::new();
        let mut pairs = Vec::new();
        for subject in subjects {
            match *subject {
                Subject::Opened => {}
                Subject::Deal { deal, .. } => {
                    deals.insert(deal, *subject);
                }
                Subject::Access { seller, buyer } => pairs.push((seller, buyer)),
            }
        }
        let ids: Vec<DealId> = deals.keys().copied().collect();
        let deal_revisions = self.store.deal_revisions(tx, &ids).await?;
        let mut revisions: HashMap<Subject, u64> = deal_revisions
            .into_iter()
            .map(|(id, revision)| (deals[&id], revision))
            .collect();
        for (seller, buyer, revision) in self.store.access_revisions(tx, &pairs).await? {
            revisions.insert(Subject::Access { seller, buyer }, revision as u64);
        }
        Ok(revisions)
    }

    async fn apply(&self, tx: &mut Tx, _: Epoch, entries: &[Entry<'_>]) -> Result<(), Error> {
        let last = Last::of(entries);
        self.store
            .upsert_deals(tx, &last.deals.into_values().collect::<Vec<_>>())
            .await?;
        let (mut rows, mut closed) = (Vec::new(), Vec::new());
        for (pair, row) in last.access {
            match row {
                Some(row) => rows.push((pair, row)),
                None => closed.push(pair),
            }
        }
        self.store.upsert_access(tx, &rows).await?;
        self.store.close_access(tx, &closed).await
    }

    async fn committed(&self, _: Checkpoint, _: Checkpoint, (): ()) {
        // Nobody is told of the seller tables: who waits for a position reads their place.
    }
}

/// What a batch leaves of each subject.
struct Last<'a> {
    deals: HashMap<DealId, Write<'a>>,
    /// `None`: closed, with nothing before it in the batch to say at which revision.
    access: HashMap<Pair, Option<AccessRow>>,
}

impl<'a> Last<'a> {
    fn of(entries: &[Entry<'a>]) -> Self {
        let mut last = Self {
            deals: HashMap::new(),
            access: HashMap::new(),
        };
        for entry in entries {
            match *entry {
                Entry::Event { sequence, event } => match (&event.fact, event.subject) {
                    (Fact::Deal(fact), _) => {
                        let write = Write {
                            deal: &fact.deal,
                            revision: fact.revision,
                            sequence,
                        };
                        last.deals.insert(fact.deal.id, write);
                    }
                    (Fact::Access(fact), Subject::Access { seller, buyer }) => {
                        let (granted, since, revision) = (fact.granted, fact.since, fact.revision);
                        last.access.insert(
                            (seller, buyer),
                            Some(AccessRow {
                                granted,
                                since,
                                revision,
                            }),
                        );
                    }
                    _ => {}
                },
                // Nobody may see more than what is known to be granted; a deal stays at its last good state.
                Entry::Dead {
                    subject: Some(Subject::Access { seller, buyer }),
                    ..
                } => {
                    let row = last.access.entry((seller, buyer)).or_default();
                    *row = row.map(|row| AccessRow {
                        granted: false,
                        ..row
                    });
                }
                Entry::Dead { .. } => {}
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use backbone::contract::{AccessCause, AccessFact, Applied, Event, Fingerprint, Recent};
    use backbone::ids::{BuyerId, EventId, SellerId};
    use backbone::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1);

    /// What is left of a pair may not depend on where one batch ends and the next begins.
    #[test]
    fn a_pair_that_dies_in_the_batch_of_its_grant_keeps_the_grants_revision() {
        let (seller, buyer) = (SellerId(Uuid::from_u128(1)), BuyerId(Uuid::from_u128(2)));
        let (id, subject) = (
            EventId(Uuid::from_u128(3)),
            Subject::Access { seller, buyer },
        );
        let applied = Applied {
            event: id,
            key: None,
            request: Fingerprint::of(b""),
            version: 4,
        };
        let cause = AccessCause::Granted;
        let recent = Recent::first(applied);
        let fact = Fact::Access(AccessFact {
            cause,
            revision: 4,
            granted: true,
            since: NOW,
            recent,
        });
        let event = Event {
            id,
            subject,
            time: NOW,
            trace: None,
            fact,
        };
        let alive = Entry::Event {
            sequence: 7,
            event: &event,
        };
        let dead = Entry::Dead {
            sequence: 8,
            subject: Some(subject),
        };
        let left = |entries: &[Entry<'_>]| Last::of(entries).access[&(seller, buyer)];
        let row = |granted| {
            Some(AccessRow {
                granted,
                since: NOW,
                revision: 4,
            })
        };
        assert_eq!(left(&[alive]), row(true));
        assert_eq!(left(&[alive, dead, dead]), row(false));
        assert_eq!(left(&[dead]), None);
    }
}
