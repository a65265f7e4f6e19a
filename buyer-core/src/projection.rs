//! The projection of the buyer side: each batch of events into deals, access and feed, in the
//! transaction that moves the checkpoint.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use backbone::Error;
use backbone::clock::Clock;
use backbone::contract::{DealCause, Event, Fact, Subject};
use backbone::db::Tx;
use backbone::deal_table::{self, Write};
use backbone::ids::{BuyerId, DealId};
use backbone::live_bus::LiveBus;
use backbone::position::{Epoch, Sequence};
use backbone::projection::{Checkpoint, Entry, Projection};

use crate::access::state::{AccessRow, AccessState, Pair};
use crate::feed::{self, ChangeBody, EncodedChange, FeedRow};
use crate::notification;
use crate::store;

/// The projection that keeps the buyer tables.
pub struct BuyerProjection {
    bus: LiveBus,
    clock: Clock,
    /// Number of sequences in a block of the feed.
    block: u64,
    /// Last sequence that the blocks of the feed were last seen to hold.
    blocks_end: AtomicU64,
}

impl BuyerProjection {
    pub(crate) fn new(bus: LiveBus, clock: Clock, block: u64) -> Self {
        Self {
            bus,
            clock,
            block,
            blocks_end: AtomicU64::new(0),
        }
    }

    /// Creates the feed's blocks up to one block beyond `last`. Returns the last sequence that the
    /// blocks hold.
    async fn extend_blocks(&self, tx: &mut Tx, last: Sequence) -> Result<Sequence, Error> {
        let wanted = last + self.block;

        // Relaxed is enough: only this worker's batches, one after the other, read and write the
        // value. It is a memo of what the table says and saves asking it in every batch.
        let end = self.blocks_end.load(Ordering::Relaxed);
        if end >= wanted {
            return Ok(end);
        }

        feed::blocks::extend(tx, wanted, self.block).await
    }
}

/// The outcome of a batch that is reported after its commit.
pub struct Written {
    feed: Vec<FeedRow>,
    blocks_end: Sequence,
}

impl Projection for BuyerProjection {
    type Effect = Written;

    const NAME: &'static str = store::PROJECTION;

    async fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, u64>, Error> {
        let deals: HashMap<DealId, Subject> = subjects
            .iter()
            .filter_map(|subject| match subject {
                Subject::Deal { deal, .. } => Some((*deal, *subject)),
                _ => None,
            })
            .collect();
        // The tables know a deal by its id alone; the map leads back to the subject, which includes
        // its seller.
        let ids: Vec<DealId> = deals.keys().copied().collect();
        let mut revisions: HashMap<Subject, u64> = deal_table::revisions(tx, &ids)
            .await?
            .into_iter()
            .map(|(deal, revision)| (deals[&deal], revision))
            .collect();

        for ((seller, buyer), row) in store::newest_grants(tx, &pairs(subjects)).await? {
            revisions.insert(Subject::Access { seller, buyer }, row.revision);
        }

        Ok(revisions)
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        _epoch: Epoch,
        entries: &[Entry<'_>],
    ) -> Result<Written, Error> {
        // Access must be known before the batch is folded: whether an event is a change depends on
        // what held before.
        let subjects: Vec<Subject> = entries.iter().filter_map(subject).collect();
        let newest = store::newest_grants(tx, &pairs(&subjects)).await?;

        // Decided in memory first and written in a few statements after: the cost of a batch is in
        // its round trips.
        let batch = Batch::fold(newest, entries, &self.clock);

        let deals: Vec<Write<'_>> = batch.deals.into_values().collect();
        deal_table::upsert(tx, &deals).await?;
        store::write_access(tx, &batch.access.rows()).await?;

        // Blocks come before the changes that go into them; PostgreSQL rejects a row that no
        // partition holds.
        let last = entries.last().map_or(0, Entry::sequence);
        let blocks_end = self.extend_blocks(tx, last).await?;
        feed::table::write(tx, &batch.feed).await?;

        Ok(Written {
            feed: batch.feed,
            blocks_end,
        })
    }

    async fn committed(&self, from: Checkpoint, to: Checkpoint, written: Written) {
        // Only now: a batch that was rolled back has created no blocks.
        self.blocks_end.store(written.blocks_end, Ordering::Relaxed);

        let changes: Vec<EncodedChange<'_>> = written.feed.iter().map(FeedRow::encoded).collect();
        let message = notification::encode(from.position, to, &changes, &[]);

        // Nothing is retried: a gateway notices a lost message by the `prev` of the next one, by
        // the heartbeat, or by its own reading of the tables.
        if let Err(error) = self.bus.publish(message).await {
            let position = to.position;
            tracing::debug!(%error, position, "the notification of a batch could not be published");
        }
    }
}

/// The effects of a batch, before they are written.
struct Batch<'a> {
    /// The last state of each deal.
    deals: HashMap<DealId, Write<'a>>,
    access: AccessState,
    feed: Vec<FeedRow>,
}

impl<'a> Batch<'a> {
    fn fold(newest: HashMap<Pair, AccessRow>, entries: &[Entry<'a>], clock: &Clock) -> Self {
        let mut batch = Self {
            deals: HashMap::new(),
            access: AccessState::new(newest),
            feed: Vec::with_capacity(entries.len()),
        };

        for entry in entries {
            match *entry {
                Entry::Event { sequence, event } => batch.apply(sequence, event),
                Entry::Dead {
                    sequence,
                    subject: Some(Subject::Access { seller, buyer }),
                } => {
                    // The time of an event that cannot be read is unknown, so the change has the
                    // time of its reading.
                    if batch.access.close((seller, buyer), sequence) {
                        let body = access_change(buyer, false);
                        let row = FeedRow::new(sequence, seller, clock.now(), None, &body);
                        batch.feed.push(row);
                    }
                }
                // A deal with a dead event stays at its last good state, which is no change.
                Entry::Dead { .. } => {}
            }
        }

        batch
    }

    /// Applies an event. No event has more than one change as yet; the index of a change leaves
    /// room for more.
    fn apply(&mut self, sequence: Sequence, event: &'a Event) {
        match (&event.fact, event.subject) {
            (Fact::Deal(fact), _) => {
                let write = Write {
                    deal: &fact.deal,
                    revision: fact.revision,
                    sequence,
                };
                self.deals.insert(fact.deal.id, write);

                let body = ChangeBody::Deal {
                    created: fact.cause == DealCause::Created,
                    deal: fact.deal.clone().into(),
                    changed: fact.changed.clone(),
                    previous: fact.previous,
                };
                let row = FeedRow::new(
                    sequence,
                    fact.deal.seller_id,
                    event.time,
                    event.trace,
                    &body,
                );
                self.feed.push(row);
            }
            (Fact::Access(fact), Subject::Access { seller, buyer }) => {
                let changed = self.access.apply((seller, buyer), sequence, fact);

                // A repair that confirms the access as it is shows subscribers nothing new.
                if changed {
                    let body = access_change(buyer, fact.granted);
                    let row = FeedRow::new(sequence, seller, event.time, event.trace, &body);
                    self.feed.push(row);
                }
            }
            _ => {}
        }
    }
}

fn access_change(buyer: BuyerId, granted: bool) -> ChangeBody {
    ChangeBody::Access { buyer, granted }
}

fn subject(entry: &Entry<'_>) -> Option<Subject> {
    match entry {
        Entry::Event { event, .. } => Some(event.subject),
        Entry::Dead { subject, .. } => *subject,
    }
}

/// Returns the distinct pairs among subjects.
fn pairs(subjects: &[Subject]) -> Vec<Pair> {
    let pairs = subjects.iter().filter_map(|subject| match subject {
        Subject::Access { seller, buyer } => Some((*seller, *buyer)),
        _ => None,
    });
    let distinct: HashSet<Pair> = pairs.collect();

    distinct.into_iter().collect()
}
