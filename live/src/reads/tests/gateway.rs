//! A gateway of the test: its feed moves when the test says so.

use std::time::Duration;

use backbone::position::{Position, Sequence};
use backbone::telemetry::Metrics;
use buyer_core::feed::FeedRange;
use buyer_core::testkit::Market;

use crate::feed::{Feed, SyncState};
use crate::reads::{Reads, Waits};
use crate::views::ViewSettings;

/// A gateway without the task that would move its feed by the clock.
pub(super) struct Gateway {
    pub(super) reads: Reads,
    /// Newest sequence that it has answered with.
    pub(super) answered: Sequence,
}

impl Gateway {
    pub(super) async fn start(market: &Market, settings: ViewSettings) -> Self {
        let metrics = Metrics::new();
        let feed = Feed::new(market.side.clone(), market.log.clone(), &metrics);
        // Nothing moves while a read waits here, so waiting would only cost time.
        let waits = Waits {
            tip: Duration::ZERO,
            position: Duration::ZERO,
        };

        let gateway = Self {
            reads: Reads::with_waits(market.side.clone(), feed, settings, &metrics, waits),
            answered: 0,
        };
        gateway.feed().liveness.set_bus(true);
        gateway.forget(market).await;
        gateway
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.reads.0.feed
    }

    pub(super) fn synced(&self) -> SyncState {
        self.feed().sync_state().expect("the feed is loaded")
    }

    /// Brings the feed up to an event, as a notification of the batches up to there would.
    pub(super) async fn announce(&self, market: &Market, up_to: Sequence) {
        let checkpoint = market.side.checkpoint().await.expect("the tables answer");
        let synced = self.synced();
        if checkpoint.generation != synced.generation {
            let rebuilt = SyncState {
                generation: checkpoint.generation,
                ..synced
            };
            self.feed().reset(rebuilt, synced.tip, Vec::new());
        }

        let range = FeedRange {
            after: (synced.tip, Position::END),
            up_to,
            limit: u32::MAX,
        };
        let page = market.side.feed(range).await.expect("the tables answer");

        self.feed().append(page.changes, up_to);
        self.feed().liveness.complete(market.clock.now());
    }

    /// Starts the ring over at the tables' checkpoint, as one that has dropped what came before.
    pub(super) async fn forget(&self, market: &Market) {
        let checkpoint = market.side.checkpoint().await.expect("the tables answer");
        let synced = SyncState {
            epoch: checkpoint.epoch,
            generation: checkpoint.generation,
            tip: checkpoint.position,
        };

        self.feed().reset(synced, synced.tip, Vec::new());
        self.feed().liveness.complete(market.clock.now());
    }

    /// Returns the number of pages that were answered from memory.
    pub(super) fn hits(&self) -> u64 {
        self.reads.0.metrics.hits.get()
    }
}
