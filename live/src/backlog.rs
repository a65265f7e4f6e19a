//! Changes behind the ring, read from the feed's table.
//!
//! Readers share blocks: a block begins and ends at the same sequences for everybody, so a thousand readers that
//! reconnect with about the same offset cost one read. Only what can no longer change is cached: blocks that ended before
//! the tip. A reader that is far behind and follows few sellers reads the changes of these sellers alone.

use std::sync::Arc;

use backbone::Error;
use backbone::ids::SellerId;
use backbone::position::Position;
use backbone::telemetry::{Counter, Metrics};
use buyer_core::BuyerSide;
use buyer_core::feed::{Change, FeedRange};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::SubscribeError;
use crate::ring::{Changes, FeedOffset, SLICE, weight};

/// Sequences in a block.
pub(crate) const BLOCK: u64 = 1_024;

/// Distance behind the ring, in blocks, beyond which a reader of few sellers reads their changes alone.
const MAX_SHARED_BLOCKS: u64 = 32;

/// Number of sellers above which a reader always reads blocks: nearly every block then holds something for it.
const MAX_OWN_SELLERS: usize = 64;

/// Memory for cached blocks, in bytes, beside the ring.
const CACHE_BYTES: u64 = 64 << 20;

/// Reads of the table at a time. However many readers reconnect at once, the database keeps answering others too.
const CONCURRENT_READS: usize = 4;

/// The part of the feed that the ring no longer holds.
pub(crate) struct Backlog {
    buyers: BuyerSide,
    blocks: Cache<BlockKey, Arc<Block>, ByChanges>,
    permits: Semaphore,
    table_reads: Counter,
}

/// Generation of the tables, and number of the block within the feed.
type BlockKey = (i32, u64);

/// Everything that the feed holds of a range.
struct Block {
    /// Offset after which the block is complete: later than its beginning if the horizon lies within it.
    after: FeedOffset,
    up_to: u64,
    changes: Vec<Arc<Change>>,
}

/// Changes, and the offset to which they lead.
pub type Found = (Changes, FeedOffset);

/// Request of one reader.
pub(crate) struct ReadRequest {
    /// Offset after which to read.
    pub(crate) offset: FeedOffset,
    /// Sequence after which the ring has the changes.
    pub(crate) floor: u64,
    /// Sequence beyond which nothing may be shown yet.
    pub(crate) tip: u64,
    /// Generation of the tables that the ring comes from.
    pub(crate) generation: i32,
}

/// Reason why nothing could be read.
pub(crate) enum BacklogError {
    /// The offset is older than what is kept.
    Expired,
    /// The table cannot be read now. The offset stays valid, and the reader tries again.
    Unavailable(Error),
}

impl From<BacklogError> for SubscribeError {
    fn from(error: BacklogError) -> Self {
        match error {
            BacklogError::Expired => Self::Expired,
            BacklogError::Unavailable(error) => Self::Store(error),
        }
    }
}

impl Backlog {
    /// Creates a backlog with an empty cache.
    pub(crate) fn new(buyers: BuyerSide, metrics: &Metrics) -> Self {
        // One shard: a block heavier than a shard's share would never be kept, and each of its readers would read the
        // whole of it for each slice.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(256)
            .weight_capacity(CACHE_BYTES)
            .shards(1)
            .build()
            .expect("all options are given");

        Self {
            buyers,
            blocks: Cache::with_options(
                options,
                ByChanges,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            permits: Semaphore::new(CONCURRENT_READS),
            table_reads: metrics.counter(
                "feed_table_reads",
                "Reads of the feed's table by readers behind the ring",
            ),
        }
    }

    /// Returns changes after the requested offset, and the offset to which they lead. `sellers` returns those whose
    /// changes the reader may want, if they are known.
    ///
    /// # Errors
    /// As [`BacklogError`] says.
    pub(crate) async fn after(
        &self,
        request: ReadRequest,
        sellers: impl FnOnce() -> Option<Vec<SellerId>>,
    ) -> Result<Found, BacklogError> {
        // Reading every block on the way would cost a far reader most of the feed for the few changes it wants.
        if request.floor.saturating_sub(request.offset.0) > MAX_SHARED_BLOCKS * BLOCK
            && let Some(sellers) = sellers().filter(|sellers| sellers.len() <= MAX_OWN_SELLERS)
        {
            return self.read_sellers(request, &sellers).await;
        }

        let block = self.block(&request).await?;
        if request.offset < block.after {
            return Err(BacklogError::Expired);
        }

        let start = block
            .changes
            .partition_point(|change| change.order() <= request.offset);
        let found: Changes = block.changes[start..].iter().take(SLICE).cloned().collect();

        let reached = match found.last() {
            Some(last) if start + found.len() < block.changes.len() => last.order(),
            _ => (block.up_to, Position::END),
        };

        Ok((found, reached.max(request.offset)))
    }

    /// Returns the block that holds what follows the requested offset.
    async fn block(&self, request: &ReadRequest) -> Result<Arc<Block>, BacklogError> {
        // Block n holds the sequences n * BLOCK + 1 to (n + 1) * BLOCK. An offset at the end of a block's last event
        // therefore belongs to the next block, and one within that event still to this.
        let at_end_of_event = request.offset.1 == Position::END;
        let number = if at_end_of_event {
            request.offset.0 / BLOCK
        } else {
            request.offset.0.saturating_sub(1) / BLOCK
        };

        let first = number * BLOCK;
        let last = (number + 1) * BLOCK;
        // A block that reaches beyond the tip will hold more later: it is read for this reader only.
        if last > request.tip {
            return self.read_block(first, request.tip).await.map(Arc::new);
        }

        // Readers that miss the same block wait for the first one's read instead of adding their own.
        self.blocks
            .get_or_insert_async(&(request.generation, number), async {
                self.read_block(first, last).await.map(Arc::new)
            })
            .await
    }

    async fn read_block(&self, first: u64, up_to: u64) -> Result<Block, BacklogError> {
        let range = FeedRange {
            after: (first, Position::END),
            up_to,
            limit: u32::MAX,
        };

        let _permit = self.read_permit().await;
        let page = self
            .buyers
            .feed(range)
            .await
            .map_err(BacklogError::Unavailable)?;

        // Tables that fell back behind the tip, as after a failover that lost commits, do not have the whole block yet.
        if page.checkpoint.position < up_to {
            let fell_back =
                Error::unavailable("feed", "its tables are behind what was read before");
            return Err(BacklogError::Unavailable(fell_back));
        }

        let after = (first.max(page.horizon), Position::END);

        Ok(Block {
            after,
            up_to,
            changes: page.changes.into_iter().map(Arc::new).collect(),
        })
    }

    async fn read_sellers(
        &self,
        request: ReadRequest,
        sellers: &[SellerId],
    ) -> Result<Found, BacklogError> {
        let range = FeedRange {
            after: request.offset,
            up_to: request.floor,
            limit: SLICE as u32,
        };

        let _permit = self.read_permit().await;
        let page = self
            .buyers
            .feed_of(range, sellers)
            .await
            .map_err(BacklogError::Unavailable)?;

        if request.offset < (page.horizon, Position::END) {
            return Err(BacklogError::Expired);
        }

        let reached = match page.changes.last() {
            Some(last) if page.more => last.order(),
            // Nothing else of these sellers up to the floor, where the ring takes over.
            _ => (request.floor, Position::END),
        };
        let changes = page.changes.into_iter().map(Arc::new).collect();

        Ok((changes, reached.max(request.offset)))
    }

    async fn read_permit(&self) -> SemaphorePermit<'_> {
        let permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");

        self.table_reads.inc();
        permit
    }
}

/// Weighs a block by its changes.
#[derive(Clone)]
struct ByChanges;

impl Weighter<BlockKey, Arc<Block>> for ByChanges {
    fn weight(&self, _key: &BlockKey, block: &Arc<Block>) -> u64 {
        let changes: u64 = block
            .changes
            .iter()
            .map(|change| weight(change) as u64)
            .sum();
        256 + changes
    }
}
