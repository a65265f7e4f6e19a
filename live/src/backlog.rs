//! What lies behind the ring: blocks of the feed's table that readers share, and, for one that is far behind, its own
//! sellers' changes alone.
//!
//! A block begins and ends at the same sequences for everybody, so a thousand readers that come back from about the
//! same offset cost one read. Only what the table holds for good is kept: a block that has ended before the tip.

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

use crate::error::SubscribeError;
use crate::ring::FeedOffset;
use crate::ring::{Changes, SLICE, weight};

/// Sequences in a block.
pub(crate) const BLOCK: u64 = 1_024;
/// A reader that is more blocks than this behind the ring reads for itself, if it has few sellers.
const FAR: u64 = 32;
/// With more sellers than this, nearly every block holds something of concern.
const FEW: usize = 64;
/// Memory for blocks, beside the ring.
const BYTES: u64 = 64 << 20;
/// Reads of the table at a time: however many readers come back at once, the database answers others too.
const READS: usize = 4;

/// The feed's past.
pub(crate) struct Backlog {
    buyers: BuyerSide,
    blocks: Cache<Key, Arc<Block>, ByChanges>,
    reads: Semaphore,
    table_reads: Counter,
}

/// Of which build of the tables, and which block.
type Key = (i32, u64);

/// All that the feed holds of a range.
struct Block {
    /// After this offset: later than the block's beginning when the horizon lies in it.
    after: FeedOffset,
    up_to: u64,
    changes: Vec<Arc<Change>>,
}

/// Changes, and the offset that they lead to.
pub(crate) type Found = (Changes, FeedOffset);

/// Who asks, and how far.
pub(crate) struct ReadRequest {
    /// After this offset.
    pub(crate) offset: FeedOffset,
    /// Up to here the ring has taken over.
    pub(crate) floor: u64,
    /// Nothing later may be shown yet.
    pub(crate) tip: u64,
    /// Of which build the tables should be.
    pub(crate) generation: i32,
}

/// Why there is nothing to read.
pub(crate) enum Stopped {
    /// The reader's offset is older than what is kept.
    Expired,
    /// The table is away: the offset stands, ask again.
    Away(Error),
}

impl From<Stopped> for SubscribeError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Expired => Self::Expired,
            Stopped::Away(error) => Self::Store(error),
        }
    }
}

impl Backlog {
    pub(crate) fn new(buyers: BuyerSide, metrics: &Metrics) -> Self {
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

    /// The changes after a offset, and the offset that they lead to. `sellers`: whose changes the reader may want, if
    /// they are known.
    pub(crate) async fn after(
        &self,
        asked: ReadRequest,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, Stopped> {
        if asked.floor.saturating_sub(asked.offset.0) > FAR * BLOCK
            && let Some(sellers) = sellers().filter(|sellers| sellers.len() <= FEW)
        {
            return self.of_sellers(asked, &sellers).await;
        }
        let block = self.block(&asked).await?;
        if asked.offset < block.after {
            return Err(Stopped::Expired);
        }
        let start = block
            .changes
            .partition_point(|change| change.order() <= asked.offset);
        let found: Changes = block.changes[start..].iter().take(SLICE).cloned().collect();
        let reached = match found.last() {
            Some(last) if start + found.len() < block.changes.len() => last.order(),
            _ => (block.up_to, Position::END),
        };
        Ok((found, reached.max(asked.offset)))
    }

    /// The block that holds what comes after a offset.
    async fn block(&self, asked: &ReadRequest) -> Result<Arc<Block>, Stopped> {
        // The end of a block's last event belongs to the next one.
        let ended = asked.offset.1 == Position::END;
        let number = if ended {
            asked.offset.0 / BLOCK
        } else {
            asked.offset.0.saturating_sub(1) / BLOCK
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

    async fn of_sellers(&self, asked: ReadRequest, sellers: &[SellerId]) -> Result<Found, Stopped> {
        let range = FeedRange {
            after: asked.offset,
            up_to: asked.floor,
            limit: SLICE as u32,
        };
        let _turn = self.turn().await;
        let page = self
            .buyers
            .feed_of(range, sellers)
            .await
            .map_err(Stopped::Away)?;
        if asked.offset < (page.horizon, Position::END) {
            return Err(Stopped::Expired);
        }
        let reached = match page.changes.last() {
            Some(last) if page.more => last.order(),
            _ => (asked.floor, Position::END),
        };
        Ok((
            page.changes.into_iter().map(Arc::new).collect(),
            reached.max(asked.offset),
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
