//! Position of the seller tables, for reads that must show at least a certain one.
//!
//! The tables tell nobody when they move. So reads wait for the feed, which follows the same log, and then look; and all
//! reads of a gateway share their looks, however many root fields wait.

use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::position::Position;
use backbone::projection::Checkpoint;
use backbone::telemetry::{Counter, Metrics};
use live::ReadError;
use parking_lot::Mutex;
use seller_core::SellerSide;
use tokio::time::{Instant, sleep, timeout_at};

/// Pause between two looks while the feed has not reached the position either: it may lag behind the seller tables, or
/// not move at all.
const WITHOUT_FEED: Duration = Duration::from_millis(100);

/// Shortest and longest pause between two looks once the feed has reached the position. Doubled each time: tables that
/// are late by more than a moment are late for long.
const BEHIND_FEED: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(80));

/// Age up to which a look serves others as well that are behind the feed.
const FRESH: Duration = Duration::from_millis(5);

/// The same while the feed has not reached the position either, so that reads whose pauses drift apart go on sharing.
const FRESH_WITHOUT_FEED: Duration = Duration::from_millis(50);

/// Position of the seller tables as a gateway knows it. Clones are the same.
#[derive(Clone)]
pub struct SellerPosition(Arc<Inner>);

struct Inner {
    sellers: SellerSide,
    // Held for a copy only.
    known: Mutex<Option<Checkpoint>>,
    /// Time at which the last look began. Held while one is under way, so that there is one at a time.
    last_look: tokio::sync::Mutex<Option<Instant>>,
    looks: Counter,
}

impl SellerPosition {
    /// Time that a read waits for a position.
    pub const TIMEOUT: Duration = Duration::from_secs(1);

    /// Builds the position of the tables of a seller side.
    pub fn new(sellers: SellerSide, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            sellers,
            known: Mutex::default(),
            last_look: tokio::sync::Mutex::default(),
            looks: metrics.counter(
                "seller_position_looks",
                "Reads of the seller tables' position for requests that wait for one",
            ),
        }))
    }

    /// Waits until the tables include a position. `feed_reaches` ends once the feed does.
    ///
    /// # Errors
    /// [`ReadError::NotReached`] after a second, [`ReadError::OtherLog`] for a position of another epoch, and
    /// [`ReadError::Store`] when the tables cannot be read.
    pub async fn reach(
        &self,
        position: Position,
        feed_reaches: impl Future<Output = ()>,
    ) -> Result<(), ReadError> {
        // The position of one epoch never steps back, so what is known from before is enough.
        let known = *self.0.known.lock();
        if known.is_some_and(|known| includes(&known, position) == Ok(true)) {
            return Ok(());
        }

        let deadline = Instant::now() + Self::TIMEOUT;
        let reached = timeout_at(deadline, self.wait(position, feed_reaches)).await;
        reached.unwrap_or(Err(ReadError::NotReached))
    }

    async fn wait(
        &self,
        position: Position,
        feed_reaches: impl Future<Output = ()>,
    ) -> Result<(), ReadError> {
        let mut feed_reaches = std::pin::pin!(feed_reaches);
        let mut is_behind_feed = false;
        let (mut pause, longest) = BEHIND_FEED;

        loop {
            if !is_behind_feed {
                tokio::select! {
                    () = &mut feed_reaches => is_behind_feed = true,
                    () = sleep(WITHOUT_FEED) => {}
                }
            }

            let fresh = if is_behind_feed {
                FRESH
            } else {
                FRESH_WITHOUT_FEED
            };
            let checkpoint = self.0.look(Instant::now(), fresh).await?;
            let is_included = includes(&checkpoint, position);
            if is_included.map_err(|OtherEpoch| ReadError::OtherLog {
                argument: "minPosition",
            })? {
                return Ok(());
            }

            if is_behind_feed {
                sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

impl Inner {
    /// Reads the checkpoint of the tables, or takes over what another read has found no longer ago than `fresh`.
    async fn look(&self, asked: Instant, fresh: Duration) -> Result<Checkpoint, Error> {
        let mut last_look = self.last_look.lock().await;
        let is_fresh = last_look.is_some_and(|began| began + fresh >= asked);
        let known = *self.known.lock();
        if let (true, Some(known)) = (is_fresh, known) {
            return Ok(known);
        }

        let began = Instant::now();
        self.looks.inc();
        let checkpoint = self.sellers.checkpoint().await?;

        *self.known.lock() = Some(checkpoint);
        *last_look = Some(began);
        Ok(checkpoint)
    }
}

/// A position that belongs to another epoch than the tables.
#[derive(Debug, PartialEq, Eq)]
struct OtherEpoch;

fn includes(checkpoint: &Checkpoint, position: Position) -> Result<bool, OtherEpoch> {
    // Epoch 0: the projection has read nothing yet, so it cannot tell whether the position is of its market.
    if checkpoint.epoch.0 != 0 && checkpoint.epoch != position.epoch {
        return Err(OtherEpoch);
    }

    Ok(checkpoint.position >= position.sequence)
}
