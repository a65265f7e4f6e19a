//! Events into the buyer's tables: deals, access, feed, what webhooks are owed, in the transaction that moves the place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use backbone::Error;
use backbone::clock::Clock;
use backbone::contract::{DealCause, Event, Fact, Subject};
use backbone::db::Tx;
use backbone::deal_table::{self, Write};
use backbone::ids::{BuyerId, DealId, SellerId, WebhookId};
use backbone::live_bus::LiveBus;
use backbone::position::{Epoch, Sequence};
use backbone::projection::{Checkpoint, Entry, Projection};

use crate::access::Ledger;
use crate::feed::{self, ChangeBody, FeedRow};
use crate::notification::{self, OutgoingChange};
use crate::outbox::{self, DealChange};
use crate::store;

/// What the buyer side makes of the log.
pub struct BuyerProjection {
    bus: LiveBus,
    clock: Clock,
    /// Sequences in a block of the feed.
    block: u64,
    /// Up to where blocks were last seen to go.
    blocks_made: AtomicU64,
}

impl BuyerProjection {
    pub(crate) fn new(bus: LiveBus, clock: Clock, block: u64) -> Self {
        Self {
            bus,
            clock,
            block,
            blocks_made: AtomicU64::new(0),
        }
    }

    /// Blocks go ahead of the place by more than one, so that a batch hardly ever waits for one to be made.
    async fn make_room(&self, tx: &mut Tx, last: Sequence) -> Result<Sequence, Error> {
        let wanted = last + self.block;
        match self.blocks_made.load(Ordering::Relaxed) {
            made if made >= wanted => Ok(made),
            _ => feed::table::extend(tx, wanted, self.block).await,
        }
    }
}

/// What a batch has left behind.
pub struct Written {
    feed: Vec<FeedRow>,
    blocks_made: Sequence,
    webhooks: Vec<WebhookId>,
}

impl Projection for BuyerProjection {
    type Effect = Written;

    const NAME: &'static str = store::PROJECTION;

    async fn revisions(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, u64>, Error> {
        let deals: HashMap<DealId, SellerId> = subjects
            .iter()
            .filter_map(|subject| match subject {
                Subject::Deal { seller, deal } => Some((*deal, *seller)),
                _ => None,
            })
            .collect();
        let ids: Vec<DealId> = deals.keys().copied().collect();
        let of_deals = deal_table::revisions(tx, &ids).await?;
        let of_deals = of_deals.into_iter().map(|(deal, revision)| {
            (
                Subject::Deal {
                    seller: deals[&deal],
                    deal,
                },
                revision,
            )
        });
        let newest = store::newest_grants(tx, &pairs(subjects)).await?;
        let of_pairs = newest
            .into_iter()
            .map(|((seller, buyer), grant)| (Subject::Access { seller, buyer }, grant.revision));
        Ok(of_deals.chain(of_pairs).collect())
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        epoch: Epoch,
        entries: &[Entry<'_>],
    ) -> Result<Written, Error> {
        let named: Vec<Subject> = entries.iter().filter_map(subject).collect();
        let mut ledger = Ledger::new(store::newest_grants(tx, &pairs(&named)).await?);
        let mut deals: HashMap<DealId, Write<'_>> = HashMap::new();
        let mut feed = Vec::with_capacity(entries.len());
        for entry in entries {
            let change = match entry {
                Entry::Event { sequence, event } => {
                    if let Fact::Deal(fact) = &event.fact {
                        let write = Write {
                            deal: &fact.deal,
                            revision: fact.revision,
                            sequence: *sequence,
                        };
                        deals.insert(fact.deal.id, write);
                    }
                    change_of(&mut ledger, *sequence, event)
                }
                Entry::Dead {
                    sequence,
                    subject: Some(Subject::Access { seller, buyer }),
                } => ledger.close((*seller, *buyer), *sequence).then(|| {
                    FeedRow::new(*sequence, *seller, self.clock.now(), &access(*buyer, false))
                }),
                Entry::Dead { .. } => None,
            };
            feed.extend(change);
        }
        let deals: Vec<Write<'_>> = deals.into_values().collect();
        deal_table::upsert(tx, &deals).await?;
        store::write_grants(tx, &ledger.rows()).await?;
        let last = entries.last().map_or(0, Entry::sequence);
        let blocks_made = self.make_room(tx, last).await?;
        feed::table::write(tx, &feed).await?;
        let changes: Vec<DealChange<'_>> = entries.iter().filter_map(deal_change).collect();
        let webhooks = outbox::write(tx, epoch, self.clock.now(), &changes).await?;
        Ok(Written {
            feed,
            blocks_made,
            webhooks,
        })
    }

    async fn committed(&self, from: Checkpoint, to: Checkpoint, written: Written) {
        let Written {
            feed,
            blocks_made,
            webhooks,
        } = written;
        self.blocks_made.store(blocks_made, Ordering::Relaxed);
        let changes: Vec<OutgoingChange<'_>> = feed.iter().map(FeedRow::outgoing).collect();
        let message = notification::encode(from.position, to, &changes, &webhooks);
        // A lost message is healed by the next one's `prev`, by the heartbeat or by the gateway's own look.
        if let Err(error) = self.bus.publish(message).await {
            tracing::debug!(%error, position = to.position, "a batch was not announced");
        }
    }
}

/// What subscribers see of an event. Every event makes at most one change as yet; the index leaves room.
fn change_of(ledger: &mut Ledger, sequence: Sequence, event: &Event) -> Option<FeedRow> {
    match (&event.fact, event.subject) {
        (Fact::Deal(fact), _) => {
            let body = ChangeBody::Deal {
                created: fact.cause == DealCause::Created,
                deal: fact.deal.clone().into(),
                changed: fact.changed.clone(),
                previous: fact.previous,
            };
            Some(FeedRow::new(
                sequence,
                fact.deal.seller_id,
                event.time,
                &body,
            ))
        }
        (Fact::Access(fact), Subject::Access { seller, buyer }) => ledger
            .take((seller, buyer), sequence, fact)
            .then(|| FeedRow::new(sequence, seller, event.time, &access(buyer, fact.granted))),
        _ => None,
    }
}

/// What endpoints are told of an entry: what [`change_of`] makes of a deal's, with the same index.
fn deal_change<'a>(entry: &Entry<'a>) -> Option<DealChange<'a>> {
    let Entry::Event { sequence, event } = *entry else {
        return None;
    };
    let Fact::Deal(fact) = &event.fact else {
        return None;
    };
    let created = fact.cause == DealCause::Created;
    let (at, trace) = (event.time, event.trace);
    Some(DealChange {
        sequence,
        index: 0,
        created,
        at,
        trace,
        deal: &fact.deal,
    })
}

fn access(buyer: BuyerId, granted: bool) -> ChangeBody {
    ChangeBody::Access { buyer, granted }
}

fn subject(entry: &Entry<'_>) -> Option<Subject> {
    match entry {
        Entry::Event { event, .. } => Some(event.subject),
        Entry::Dead { subject, .. } => *subject,
    }
}

fn pairs(subjects: &[Subject]) -> Vec<(SellerId, BuyerId)> {
    let pairs = subjects.iter().filter_map(|subject| match subject {
        Subject::Access { seller, buyer } => Some((*seller, *buyer)),
        _ => None,
    });
    let distinct: std::collections::HashSet<_> = pairs.collect();
    distinct.into_iter().collect()
}
