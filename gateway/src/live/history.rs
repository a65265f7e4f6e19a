//! What lies behind the ring: blocks of the feed's table that readers share, and, for one that is far behind, its own
//! sellers' changes alone.
//!
//! A block begins and ends at the same sequences for everybody, so a thousand readers that come back from about the
//! same place cost one read. Only what the table holds for good is kept: a block that has ended before the tip.

use std::sync::Arc;

use backbone::Error;
use backbone::ids::SellerId;
use backbone::position::Position;
use backbone::telemetry::{Counter, Metrics};
use buyer_core::BuyerSide;
use buyer_core::feed::{Change, FeedRange};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::Place;
use super::ring::{Changes, SLICE, weight};
use crate::error::{Code, Problem};

/// Sequences in a block.
pub(super) const BLOCK: u64 = 1_024;
/// A reader that is more blocks than this behind the ring reads for itself, if it has few sellers.
const FAR: u64 = 32;
/// With more sellers than this, nearly every block holds something of concern.
const FEW: usize = 64;
/// Memory for blocks, beside the ring.
const BYTES: u64 = 64 << 20;
/// Reads of the table at a time: however many readers come back at once, the database answers others too.
const READS: usize = 4;

/// The feed's past.
pub(super) struct History {
    buyers: BuyerSide,
    blocks: Cache<Key, Arc<Block>, ByChanges>,
    reads: Semaphore,
    table_reads: Counter,
}

/// Of which build of the tables, and which block.
type Key = (i32, u64);

/// All that the feed holds of a range.
struct Block {
    /// After this place: later than the block's beginning when the horizon lies in it.
    after: Place,
    up_to: u64,
    changes: Vec<Arc<Change>>,
}

/// Changes, and the place that they lead to.
pub(super) type Found = (Changes, Place);

/// Who asks, and how far.
pub(super) struct Asked {
    /// After this place.
    pub(super) place: Place,
    /// Up to here the ring has taken over.
    pub(super) floor: u64,
    /// Nothing later may be shown yet.
    pub(super) tip: u64,
    /// Of which build the tables should be.
    pub(super) generation: i32,
}

/// Why there is nothing to read.
pub(super) enum Stopped {
    /// The reader's place is older than what is kept.
    Expired,
    /// The table is away: the place stands, ask again.
    Away(Error),
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Expired => Self::new(
                Code::PositionExpired,
                "changes since that position are no longer kept: query again, then subscribe from the answer's position",
            ),
            Stopped::Away(error) => error.into(),
        }
    }
}

impl History {
    pub(super) fn new(buyers: BuyerSide, metrics: &Metrics) -> Self {
        Self {
            buyers,
            blocks: Cache::with_weighter(256, BYTES, ByChanges),
            reads: Semaphore::new(READS),
            table_reads: metrics.counter(
                "feed_table_reads",
                "Reads of the feed's table by readers behind the ring",
            ),
        }
    }

    /// The changes after a place, and the place that they lead to. `sellers`: whose changes the reader may want, if
    /// they are known.
    pub(super) async fn after(
        &self,
        asked: Asked,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, Stopped> {
        if asked.floor.saturating_sub(asked.place.0) > FAR * BLOCK
            && let Some(sellers) = sellers().filter(|sellers| sellers.len() <= FEW)
        {
            return self.of_sellers(asked, &sellers).await;
        }
        let block = self.block(&asked).await?;
        if asked.place < block.after {
            return Err(Stopped::Expired);
        }
        let start = block
            .changes
            .partition_point(|change| change.order() <= asked.place);
        let found: Changes = block.changes[start..].iter().take(SLICE).cloned().collect();
        let reached = match found.last() {
            Some(last) if start + found.len() < block.changes.len() => last.order(),
            _ => (block.up_to, Position::END),
        };
        Ok((found, reached.max(asked.place)))
    }

    /// The block that holds what comes after a place.
    async fn block(&self, asked: &Asked) -> Result<Arc<Block>, Stopped> {
        // The end of a block's last event belongs to the next one.
        let ended = asked.place.1 == Position::END;
        let number = if ended {
            asked.place.0 / BLOCK
        } else {
            asked.place.0.saturating_sub(1) / BLOCK
        };
        let (first, last) = (number * BLOCK, (number + 1) * BLOCK);
        if last > asked.tip {
            return self.read(first, asked.tip).await.map(Arc::new);
        }
        self.blocks
            .get_or_insert_async(&(asked.generation, number), async {
                self.read(first, last).await.map(Arc::new)
            })
            .await
    }

    async fn read(&self, first: u64, up_to: u64) -> Result<Block, Stopped> {
        let range = FeedRange {
            after: (first, Position::END),
            up_to,
            limit: u32::MAX,
        };
        let _turn = self.turn().await;
        let page = self.buyers.feed(range).await.map_err(Stopped::Away)?;
        let after = (first.max(page.horizon), Position::END);
        Ok(Block {
            after,
            up_to,
            changes: page.changes.into_iter().map(Arc::new).collect(),
        })
    }

    async fn of_sellers(&self, asked: Asked, sellers: &[SellerId]) -> Result<Found, Stopped> {
        let range = FeedRange {
            after: asked.place,
            up_to: asked.floor,
            limit: SLICE as u32,
        };
        let _turn = self.turn().await;
        let page = self
            .buyers
            .feed_of(range, sellers)
            .await
            .map_err(Stopped::Away)?;
        if asked.place < (page.horizon, Position::END) {
            return Err(Stopped::Expired);
        }
        let reached = match page.changes.last() {
            Some(last) if page.more => last.order(),
            _ => (asked.floor, Position::END),
        };
        Ok((
            page.changes.into_iter().map(Arc::new).collect(),
            reached.max(asked.place),
        ))
    }

    async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        let turn = self.reads.acquire().await.expect("it is never closed");
        self.table_reads.inc();
        turn
    }
}

#[derive(Clone)]
struct ByChanges;

impl Weighter<Key, Arc<Block>> for ByChanges {
    fn weight(&self, _key: &Key, block: &Arc<Block>) -> u64 {
        256 + block
            .changes
            .iter()
            .map(|change| weight(change) as u64)
            .sum::<u64>()
    }
}
