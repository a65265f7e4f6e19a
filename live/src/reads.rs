//! Reads of buyers: pages from Views where possible, everything else from the tables, and none older than it must be.
//!
//! An answer shows a position, and that is never older than what the caller names (`minPosition`, or the page that a
//! cursor is of) nor than what this gateway answered before the request came. Tables or a ring that are not so far yet
//! are waited for, for a second at most.

mod required;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::deal_table::{DealFilter, DealOrder, Page, StoredDeal, Window};
use backbone::ids::{BuyerId, DealId};
use backbone::position::Position;
use backbone::telemetry::{Counter, Family, Metrics};
use buyer_core::BuyerSide;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ReadError;
use crate::feed::Feed;
use crate::views::{Found, Slot, ViewKey, ViewSettings, Views};
use required::{Required, Seen};

/// Time that a read waits for a position altogether.
const POSITION_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that a read waits for the ring before it asks the tables. While the feed is live, a change reaches the ring
/// within milliseconds of the tables, and a View then saves the statement.
const TIP_TIMEOUT: Duration = Duration::from_millis(50);

/// Reads of buyers at one gateway. Clones are the same.
#[derive(Clone)]
pub struct Reads(Arc<Inner>);

struct Inner {
    buyers: BuyerSide,
    feed: Arc<Feed>,
    views: Views,
    // Read and raised once for each request; held for a comparison only.
    seen: Mutex<Seen>,
    metrics: ReadMetrics,
    waits: Waits,
}

struct ReadMetrics {
    hits: Counter,
    loads: Counter,
    sql: Family<[(&'static str, &'static str); 1], Counter>,
}

/// Times that reads wait.
#[derive(Clone, Copy)]
struct Waits {
    tip: Duration,
    position: Duration,
}

/// Reason why a page was read from the tables, as the metric's label shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SqlReason {
    /// Pages from memory are switched off.
    Off,
    /// The feed does not follow the tables closely enough.
    NotLive,
    /// The page was not requested often enough for a View.
    NotAdmitted,
    /// The ring has not reached the position that the page must show.
    Old,
    /// The page lies beyond what the View holds.
    Window,
}

impl Reads {
    /// Creates the reads of a gateway, whose Views are kept exact by its feed. Tables are read through `buyers`.
    pub fn new(
        buyers: BuyerSide,
        feed: Arc<Feed>,
        settings: ViewSettings,
        metrics: &Metrics,
    ) -> Self {
        let waits = Waits {
            tip: TIP_TIMEOUT,
            position: POSITION_TIMEOUT,
        };

        Self::with_waits(buyers, feed, settings, metrics, waits)
    }

    fn with_waits(
        buyers: BuyerSide,
        feed: Arc<Feed>,
        settings: ViewSettings,
        metrics: &Metrics,
        waits: Waits,
    ) -> Self {
        let views = Views::new(settings, metrics);
        let metrics = ReadMetrics {
            hits: metrics.counter("view_hits", "Pages answered from memory"),
            loads: metrics.counter("view_loads", "Pages loaded into memory"),
            sql: metrics.counter_family(
                "view_sql",
                "Pages read from the tables without loading them, by reason",
            ),
        };

        Self(Arc::new(Inner {
            buyers,
            feed,
            views,
            seen: Mutex::default(),
            metrics,
            waits,
        }))
    }

    /// Reads a page of the deals of every seller that grants the buyer access, with the position that it shows.
    ///
    /// # Errors
    /// [`ReadError::OtherLog`] for a position or cursor of another epoch, [`ReadError::NotReached`] if neither ring nor
    /// tables reach it within a second, and [`ReadError::Store`] when the tables cannot be read.
    pub async fn page(
        &self,
        buyer: BuyerId,
        filter: DealFilter,
        order: DealOrder,
        window: Window,
        min_position: Option<Position>,
    ) -> Result<Page, ReadError> {
        let reads = &*self.0;
        let required = reads.required(min_position, Some(&window));
        let mut wait = reads.begin(&required).await?;

        let key = ViewKey::new(buyer, filter, order);
        // Once for each request, whatever it waits for: a View is for pages that are requested again.
        let slot = reads.slot(&key);

        loop {
            let page = reads.read_page(&key, &slot, &window, &required).await?;
            if reads.is_answer(&required, page.position)? {
                return Ok(page);
            }

            reads.wait_once(&mut wait, &required).await?;
        }
    }

    /// Reads a deal; `None` when there is none or its seller grants the buyer no access.
    ///
    /// # Errors
    /// Those of [`page`](Self::page).
    pub async fn deal(
        &self,
        buyer: BuyerId,
        id: DealId,
        min_position: Option<Position>,
    ) -> Result<Option<StoredDeal>, ReadError> {
        let reads = &*self.0;
        let required = reads.required(min_position, None);
        let mut wait = reads.begin(&required).await?;

        loop {
            let (deal, position) = reads.buyers.deal_at(buyer, id).await?;
            if reads.is_answer(&required, position)? {
                return Ok(deal);
            }

            reads.wait_once(&mut wait, &required).await?;
        }
    }

    /// Waits until the buyer tables include a position.
    ///
    /// # Errors
    /// Those of [`page`](Self::page).
    pub async fn reach(&self, min_position: Position) -> Result<(), ReadError> {
        let reads = &*self.0;
        let required = reads.required(Some(min_position), None);
        let mut wait = reads.begin(&required).await?;

        // The ring holds only what was committed, so tables that it was filled from need not be asked.
        if let Some(tip) = reads.feed.tip()
            && required.admits(tip)?
        {
            return Ok(());
        }

        loop {
            let checkpoint = reads.buyers.checkpoint().await?;
            let position = Position::end_of(checkpoint.epoch, checkpoint.position);
            if reads.is_answer(&required, position)? {
                return Ok(());
            }

            reads.wait_once(&mut wait, &required).await?;
        }
    }

    /// Waits until the feed has reached a position, which may be never: a hint for readers of other tables that follow the
    /// same log.
    pub async fn await_feed(&self, position: Position) {
        self.0.feed.reaches(position.sequence).await;
    }
}

/// Time until which a read waits, and whether it has waited.
struct Wait {
    until: Instant,
    is_over: bool,
}

impl Inner {
    fn required(&self, min_position: Option<Position>, window: Option<&Window>) -> Required {
        // What was answered before the request came. A later answer to another request may be newer than this one's.
        let seen = *self.seen.lock();

        Required::new(min_position, window, seen)
    }

    fn is_live(&self) -> bool {
        let now = self.buyers.clock().now();

        self.feed.liveness.is_live(now)
    }

    /// Begins a read: waits a moment for a ring that is about to reach the required position.
    async fn begin(&self, required: &Required) -> Result<Wait, ReadError> {
        let wait = Wait {
            until: Instant::now() + self.waits.position,
            is_over: false,
        };

        if let Some(tip) = self.feed.tip()
            && !required.admits(tip)?
            && self.is_live()
        {
            // Whether it has reached the position shows in what is read next.
            let _ = timeout(
                self.waits.tip,
                self.feed.reaches(required.sequence(tip.epoch)),
            )
            .await;
        }

        Ok(wait)
    }

    /// Waits, once for each read, until the ring has reached the required position or the time is over. The tables are asked again
    /// after it in either case: they may be ahead of a ring that hears nothing.
    async fn wait_once(&self, wait: &mut Wait, required: &Required) -> Result<(), ReadError> {
        if wait.is_over {
            return Err(ReadError::NotReached);
        }

        wait.is_over = true;
        let reached = self.feed.reaches(required.highest());
        let _ = timeout_at(wait.until, reached).await;
        Ok(())
    }

    /// Returns whether an answer that shows a position may be given, and takes note of it if so.
    fn is_answer(&self, required: &Required, position: Position) -> Result<bool, ReadError> {
        let admitted = required.admits(position)?;
        if admitted {
            self.seen.lock().raise(position);
        }

        Ok(admitted)
    }

    fn slot(&self, key: &ViewKey) -> Result<Arc<Slot>, SqlReason> {
        if !self.views.is_enabled() {
            return Err(SqlReason::Off);
        }

        let now = self.buyers.clock().now();
        self.views.admit(key, now).ok_or(SqlReason::NotAdmitted)
    }

    /// Reads a page from its View if that can show the required position, and otherwise from the tables, wherever they are.
    async fn read_page(
        &self,
        key: &ViewKey,
        slot: &Result<Arc<Slot>, SqlReason>,
        window: &Window,
        required: &Required,
    ) -> Result<Page, Error> {
        let reason = match slot {
            Err(reason) => *reason,
            Ok(_) if !self.is_live() => SqlReason::NotLive,
            Ok(slot) => match self.read_or_load(slot, window, required).await? {
                Ok(page) => return Ok(page),
                Err(reason) => reason,
            },
        };

        let labels = [("reason", reason.as_str())];
        self.metrics.sql.get_or_create(&labels).inc();

        self.buyers
            .deals(key.buyer, key.filter.clone(), key.order, *window)
            .await
    }

    async fn read_or_load(
        &self,
        slot: &Slot,
        window: &Window,
        required: &Required,
    ) -> Result<Result<Page, SqlReason>, Error> {
        match self.read_view(slot, window, required) {
            Next::Answer(answer) => return Ok(answer),
            Next::Load => {}
        }

        // Whoever had the turn before may have loaded what this request wants.
        let _turn = slot.turn().await;
        match self.read_view(slot, window, required) {
            Next::Answer(answer) => return Ok(answer),
            Next::Load => {}
        }

        let view = slot.fetch(&self.buyers, &self.feed, window.limit).await?;
        let (page, weight) = slot.put(view, window);
        self.metrics.loads.inc();
        self.views.weigh(slot, weight);

        Ok(page.map_err(|_| SqlReason::Window))
    }

    fn read_view(&self, slot: &Slot, window: &Window, required: &Required) -> Next {
        let (found, weight) = slot.read(&self.feed, window, required.highest());
        if let Some(weight) = weight {
            self.views.weigh(slot, weight);
        }

        // Only the beginning of an order is loaded: a page behind a cursor costs the same statement either way.
        let begins = window.after.is_none() && window.before.is_none();
        match found {
            Found::Page(page) => {
                self.metrics.hits.inc();
                Next::Answer(Ok(page))
            }
            Found::Old => Next::Answer(Err(SqlReason::Old)),
            Found::Missing if begins => Next::Load,
            // More rows than the View has room for were requested, or too many have left it.
            Found::Beyond if begins && !window.backwards => Next::Load,
            Found::Missing | Found::Beyond => Next::Answer(Err(SqlReason::Window)),
        }
    }
}

/// Step that follows the reading of a View.
enum Next {
    /// Answer with the page, or read it from the tables.
    Answer(Result<Page, SqlReason>),
    /// Load the View.
    Load,
}

impl SqlReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::NotLive => "not_live",
            Self::NotAdmitted => "not_admitted",
            Self::Old => "old",
            Self::Window => "window",
        }
    }
}
