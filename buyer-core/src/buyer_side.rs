//! The handle of the buyer side: its database, what it answers, and the workers that keep its
//! tables.

use backbone::Error;
use backbone::accounts::Accounts;
use backbone::clock::Clock;
use backbone::db::{Db, Migrations};
use backbone::dead_events::{self, DeadEvent};
use backbone::deal_table::{
    self, DealFilter, DealOrder, Page, PageRequest, Scope, StoredDeal, TopDeals, Window,
};
use backbone::event_log::EventLog;
use backbone::health::{Health, Part};
use backbone::ids::{BuyerId, DealId, SellerId};
use backbone::live_bus::LiveBus;
use backbone::position::{Position, Sequence};
use backbone::projection::{Checkpoint, Worker};
use backbone::replay::{Replay, Scratch};
use backbone::table_diff::Table;
use backbone::telemetry::Metrics;
use backbone::verify::SideBySide;
use tokio_util::sync::CancellationToken;

use crate::access::Interval;
use crate::feed::{self, FeedPage, FeedRange, FeedRecords, Retention};
use crate::notification;
use crate::projection::BuyerProjection;
use crate::store::{self, AccessPage, PairInterval};
use crate::tables::TABLES;

/// The buyer side of one market: deals that buyers may see, their access, and the feed of changes.
#[derive(Clone)]
pub struct BuyerSide {
    db: Db,
    clock: Clock,
    retention: Retention,
    accounts: Accounts,
}

/// Migrates a buyer database to the schema of this binary.
///
/// # Errors
/// [`Error::Unavailable`] while the database cannot be reached.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    let migrations = Migrations {
        postgres: sqlx::migrate!("../migrations/postgres/buyer"),
        sqlite: sqlx::migrate!("../migrations/sqlite/buyer"),
    };

    db.migrate(&migrations).await
}

impl BuyerSide {
    /// Creates the handle. The database need not be reachable yet.
    pub fn new(db: Db, clock: Clock, retention: Retention) -> Self {
        Self {
            accounts: Accounts::new(db.clone(), clock.clone()),
            db,
            clock,
            retention,
        }
    }

    /// Migrates the buyer database to the schema of this binary, for as long as that takes.
    ///
    /// # Errors
    /// Those of [`Db::migrate`].
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate(&self.db).await
    }

    /// Returns what a migration of the database is doing; `None` while none runs.
    pub fn migration(&self) -> Option<String> {
        self.db.migration()
    }

    /// Returns the accounts of buyers, with their keys.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the buyer database, for tables of other parts that it holds too (webhooks).
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Returns the clock of the buyer side.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the dead events of the tables after the sequence `after`, in their order; those that
    /// have been settled too if `settled` says so.
    pub async fn dead_events(
        &self,
        after: Sequence,
        limit: u32,
        settled: bool,
    ) -> Result<Vec<DeadEvent>, Error> {
        dead_events::list(&self.db, after, limit, settled).await
    }

    /// Returns engine and version of the database, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        self.db.describe().await
    }

    /// Creates a worker that keeps the tables up to date with the log and notifies gateways over
    /// the live bus.
    pub fn worker(
        &self,
        log: EventLog,
        bus: LiveBus,
        health: Part,
        metrics: &Metrics,
    ) -> Worker<BuyerProjection> {
        let projection = BuyerProjection::new(bus, self.clock.clone(), self.retention.block);

        Worker::new(projection, log, self.db.clone(), health, metrics)
    }

    /// Puts the tables beside a replay of `log` in a database of the directory `scratch`: to verify
    /// them, or to rebuild them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log cannot be reached.
    pub async fn beside_replay(
        &self,
        log: &EventLog,
        scratch: &Scratch,
    ) -> Result<SideBySide<BuyerProjection>, Error> {
        let db = Db::sqlite("replay", &scratch.file("buyer.sqlite"));
        let replayed = Self::new(db.clone(), self.clock.clone(), self.retention);
        replayed.migrate().await?;

        // Nobody listens: what is notified are the changes of the market's own tables.
        let metrics = Metrics::new();
        let bus = LiveBus::local(1, &metrics);
        let health = Health::default().part("buyer replay");
        let worker = replayed.worker(log.clone(), bus, health, &metrics);

        let replay = Replay::begin(worker, db).await?;
        Ok(SideBySide::new(
            log.clone(),
            self.db.clone(),
            replay,
            TABLES,
        ))
    }

    /// Returns the tables that are compared with a replay of the log.
    pub fn compared_tables(&self) -> impl Iterator<Item = &'static Table> + use<> {
        let feed = TABLES.feed.map(|feed| feed.table);
        TABLES.tables.iter().chain(feed)
    }

    /// Reads the checkpoint of the tables.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::read(&self.db, store::PROJECTION).await
    }

    /// Reads a deal, with the position that the answer shows; `None` when there is none or its seller grants the buyer no
    /// access now.
    pub async fn deal_at(
        &self,
        buyer: BuyerId,
        id: DealId,
    ) -> Result<(Option<StoredDeal>, Position), Error> {
        deal_table::find_at(&self.db, store::PROJECTION, visible_to(buyer), id).await
    }

    /// Reads a page of the deals of every seller that grants the buyer access now, with the
    /// position that it shows.
    pub async fn deals(
        &self,
        buyer: BuyerId,
        filter: DealFilter,
        order: DealOrder,
        window: Window,
    ) -> Result<Page, Error> {
        let request = PageRequest {
            scope: visible_to(buyer),
            filter,
            order,
            window,
        };

        deal_table::page(&self.db, store::PROJECTION, &request).await
    }

    /// Reads the first deals of an order, at most `limit`, of every seller that grants the buyer
    /// access now, with these sellers and the checkpoint of the same snapshot.
    pub async fn top_deals(
        &self,
        buyer: BuyerId,
        filter: DealFilter,
        order: DealOrder,
        limit: u32,
    ) -> Result<TopDeals, Error> {
        let request = PageRequest {
            scope: visible_to(buyer),
            filter,
            order,
            window: Window {
                limit,
                backwards: false,
                after: None,
                before: None,
            },
        };

        deal_table::top(&self.db, store::PROJECTION, &request).await
    }

    /// Reads the grants to the buyer that hold, in the order of their sellers' ids: at most
    /// `limit`, after one seller.
    pub async fn grants(
        &self,
        buyer: BuyerId,
        limit: u32,
        after: Option<SellerId>,
    ) -> Result<AccessPage, Error> {
        store::grants(&self.db, buyer, limit, after).await
    }

    /// Reads every interval of the buyer's access, past ones included, with the checkpoint that
    /// they are of.
    pub async fn intervals(&self, buyer: BuyerId) -> Result<(Vec<Interval>, Checkpoint), Error> {
        store::intervals(&self.db, buyer).await
    }

    /// Reads the intervals of access between some sellers and some buyers that meet a range of the
    /// log, given by its first and last sequence.
    pub async fn access_among(
        &self,
        sellers: &[SellerId],
        buyers: &[BuyerId],
        range: (Sequence, Sequence),
    ) -> Result<Vec<PairInterval>, Error> {
        store::access_among(&self.db, sellers, buyers, range).await
    }

    /// Reads the changes of a range, oldest first, with the time and the trace of their events.
    pub async fn feed_records(&self, range: FeedRange) -> Result<FeedRecords, Error> {
        feed::table::records_after(&self.db, range).await
    }

    /// Reads the changes of a range, oldest first.
    pub async fn feed(&self, range: FeedRange) -> Result<FeedPage, Error> {
        feed::table::after(&self.db, range).await
    }

    /// Reads the changes of a range that belong to some sellers, oldest first. The cost does not
    /// depend on the number of other sellers' changes between them.
    pub async fn feed_of(&self, range: FeedRange, sellers: &[SellerId]) -> Result<FeedPage, Error> {
        feed::table::of_sellers(&self.db, range, sellers).await
    }

    /// Publishes the checkpoint on the live bus every [`notification::HEARTBEAT`] until it is
    /// stopped.
    pub async fn run_heartbeat(&self, bus: LiveBus, stop: CancellationToken) {
        notification::heartbeat(&self.db, &bus, stop).await;
    }

    /// Drops old changes of the feed periodically until it is stopped. `reader` returns the
    /// sequence up to which the reader that the feed waits for has read it.
    pub async fn run_retention<R>(
        &self,
        reader: impl Fn() -> R + Send,
        metrics: Metrics,
        stop: CancellationToken,
    ) where
        R: Future<Output = Result<Sequence, Error>> + Send,
    {
        let retention = || async {
            let read = reader().await?;
            self.drop_old_changes(read).await
        };

        feed::retention::run(retention, &metrics, stop).await;
    }

    /// Drops the changes that the feed no longer keeps, when the reader that it waits for has read
    /// it up to `read`. Returns the horizon: the sequence up to which changes are gone.
    pub async fn drop_old_changes(&self, read: Sequence) -> Result<Sequence, Error> {
        feed::retention::drop_old(&self.db, &self.clock, self.retention, read).await
    }
}

/// Returns the scope of the deals that a buyer may see.
fn visible_to(buyer: BuyerId) -> Scope {
    // Part of the page's statement, so that access and deals come from one snapshot: a deal is
    // never shown for access that was revoked between two reads.
    Scope::Sellers {
        before: "SELECT seller_id FROM access WHERE revoked_at IS NULL AND buyer_id = ",
        of: buyer.0,
        after: "",
    }
}
