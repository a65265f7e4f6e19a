//! The seller tables as a projection of the log: deals and access as their last events left them.
//!
//! The tables hold only current states, so of several events of one subject in a batch the last one
//! is written.

use std::collections::HashMap;

use backbone::Error;
use backbone::contract::{Event, Fact, Subject};
use backbone::db::Tx;
use backbone::deal_table::{self, Write};
use backbone::ids::DealId;
use backbone::position::{Epoch, Sequence};
use backbone::projection::{Checkpoint, Entry, Projection};

use crate::store::{self, AccessRow, Pair};

/// Name of the projection, as in table `projection`.
pub const PROJECTION: &str = "seller";

/// The projection that keeps the seller tables.
pub struct SellerProjection;

impl Projection for SellerProjection {
    type Effect = ();

    const NAME: &'static str = PROJECTION;

    async fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, u64>, Error> {
        let mut deals = HashMap::new();
        let mut pairs = Vec::new();
        for subject in subjects {
            match *subject {
                Subject::Opened | Subject::Decision { .. } => {}
                Subject::Deal { deal, .. } => {
                    deals.insert(deal, *subject);
                }
                Subject::Access { seller, buyer } => pairs.push((seller, buyer)),
            }
        }

        // The tables know a deal by its id alone; the map leads back to the subject, which includes
        // its seller.
        let ids: Vec<DealId> = deals.keys().copied().collect();
        let mut revisions: HashMap<Subject, u64> = deal_table::revisions(tx, &ids)
            .await?
            .into_iter()
            .map(|(id, revision)| (deals[&id], revision))
            .collect();

        for (seller, buyer, revision) in store::access_revisions(tx, &pairs).await? {
            revisions.insert(Subject::Access { seller, buyer }, revision as u64);
        }

        Ok(revisions)
    }

    async fn apply(&self, tx: &mut Tx, _: Epoch, entries: &[Entry<'_>]) -> Result<(), Error> {
        let states = LastStates::of(entries);

        let deals: Vec<Write<'_>> = states.deals.into_values().collect();
        deal_table::upsert(tx, &deals).await?;

        // A pair whose revision the batch knows is written whole; of the others the row, which may
        // not even exist, keeps the revision that it has.
        let mut rows = Vec::new();
        let mut closed = Vec::new();
        for (pair, row) in states.access {
            match row {
                Some(row) => rows.push((pair, row)),
                None => closed.push(pair),
            }
        }
        store::upsert_access(tx, &rows).await?;
        store::close_access(tx, &closed).await
    }

    async fn committed(&self, _: Checkpoint, _: Checkpoint, (): ()) {
        // No one is notified of the seller tables: a read that must show a position polls the
        // checkpoint.
    }
}

/// The state of each subject after a batch.
struct LastStates<'a> {
    deals: HashMap<DealId, Write<'a>>,
    /// `None` closes the pair: the batch holds no readable event of it that would give a revision.
    access: HashMap<Pair, Option<AccessRow>>,
}

impl<'a> LastStates<'a> {
    fn of(entries: &[Entry<'a>]) -> Self {
        let mut states = Self {
            deals: HashMap::new(),
            access: HashMap::new(),
        };

        for entry in entries {
            match *entry {
                Entry::Event { sequence, event } => states.apply(sequence, event),
                // It is unknown what the event granted or revoked, so access ends: no one may see
                // more than what is known to be granted. A deal with a dead event stays at its last
                // good state instead.
                Entry::Dead {
                    subject: Some(Subject::Access { seller, buyer }),
                    ..
                } => states.close((seller, buyer)),
                Entry::Dead { .. } => {}
            }
        }

        states
    }

    fn apply(&mut self, sequence: Sequence, event: &'a Event) {
        match (&event.fact, event.subject) {
            (Fact::Deal(fact), _) => {
                let write = Write {
                    deal: &fact.deal,
                    revision: fact.revision,
                    sequence,
                };
                self.deals.insert(fact.deal.id, write);
            }
            (Fact::Access(fact), Subject::Access { seller, buyer }) => {
                let row = AccessRow {
                    granted: fact.granted,
                    since: fact.since,
                    revision: fact.revision,
                };
                self.access.insert((seller, buyer), Some(row));
            }
            // The event that opens the log has no row.
            _ => {}
        }
    }

    fn close(&mut self, pair: Pair) {
        // The row of an earlier event of the batch keeps its revision, as if that event had been in
        // a batch before.
        let row = self.access.entry(pair).or_default();
        *row = row.map(|row| AccessRow {
            granted: false,
            ..row
        });
    }
}

#[cfg(test)]
mod tests {
    use backbone::contract::{AccessCause, AccessFact, Applied, Fingerprint, Recent};
    use backbone::ids::{BuyerId, EventId, SellerId};
    use backbone::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1);

    /// The rows that a pair ends with may not depend on where one batch ends and the next begins.
    #[test]
    fn access_closed_by_a_dead_event_in_the_batch_of_its_grant_keeps_the_revision_of_the_grant() {
        let seller = SellerId(Uuid::from_u128(1));
        let buyer = BuyerId(Uuid::from_u128(2));
        let id = EventId(Uuid::from_u128(3));
        let subject = Subject::Access { seller, buyer };

        let recent = Recent::first(Applied {
            event: id,
            key: None,
            request: Fingerprint::of(b""),
            version: 4,
        });
        let event = Event {
            id,
            subject,
            time: NOW,
            trace: None,
            fact: Fact::Access(AccessFact {
                cause: AccessCause::Granted,
                revision: 4,
                granted: true,
                since: NOW,
                recent,
                mutation: None,
                operator: None,
            }),
        };
        let granted = Entry::Event {
            sequence: 7,
            event: &event,
        };
        let dead = Entry::Dead {
            sequence: 8,
            subject: Some(subject),
        };

        let state = |entries: &[Entry<'_>]| LastStates::of(entries).access[&(seller, buyer)];
        let row = |granted| {
            Some(AccessRow {
                granted,
                since: NOW,
                revision: 4,
            })
        };
        assert_eq!(state(&[granted]), row(true));
        assert_eq!(state(&[granted, dead, dead]), row(false));
        assert_eq!(state(&[dead]), None);
    }
}
