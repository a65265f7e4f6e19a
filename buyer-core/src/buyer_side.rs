//! The handle on the buyer side: its database, what it answers, and the workers that keep it.

use backbone::Error;
use backbone::accounts::Accounts;
use backbone::clock::Clock;
use backbone::contract::Deal;
use backbone::db::{Db, Migrations};
use backbone::deal_table::{self, DealFilter, DealOrder, Page, PageRequest, Scope, Window};
use backbone::event_log::EventLog;
use backbone::health::Part;
use backbone::ids::{BuyerId, DealId, SellerId};
use backbone::live_bus::LiveBus;
use backbone::position::Sequence;
use backbone::projection::{Checkpoint, Worker};
use backbone::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::access::Interval;
use crate::feed::{self, FeedPage, FeedRange, Retention};
use crate::notification;
use crate::projection::BuyerProjection;
use crate::store::{self, AccessPage};

/// The buyer database and what it answers.
#[derive(Clone)]
pub struct BuyerSide {
    db: Db,
    clock: Clock,
    retention: Retention,
    accounts: Accounts,
}

impl BuyerSide {
    /// Over the buyer database.
    pub fn new(db: Db, clock: Clock, retention: Retention) -> Self {
        Self {
            accounts: Accounts::new(db.clone(), clock.clone()),
            db,
            clock,
            retention,
        }
    }

    /// Brings the tables up to this binary.
    pub async fn migrate(&self) -> Result<(), Error> {
        let migrations = Migrations {
            postgres: sqlx::migrate!("../migrations/postgres/buyer"),
            sqlite: sqlx::migrate!("../migrations/sqlite/buyer"),
        };
        self.db.migrate(&migrations).await
    }

    /// Buyers and their keys.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the buyer database, for what is kept beside the buyer's tables (webhooks).
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Returns the clock that the buyer side runs on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the tables are, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        self.db.describe().await
    }

    /// A worker that keeps the tables and tells gateways.
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

    /// Where the tables stand in the log.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::read(&self.db, store::PROJECTION).await
    }

    /// A deal of a seller that grants this buyer access now.
    pub async fn deal(&self, buyer: BuyerId, id: DealId) -> Result<Option<Deal>, Error> {
        deal_table::find(&self.db, visible_to(buyer), id).await
    }

    /// Deals of every seller that grants this buyer access now.
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

    /// Who grants this buyer access now, by seller id: at most `limit`, after one seller.
    pub async fn grants(
        &self,
        buyer: BuyerId,
        limit: u32,
        after: Option<SellerId>,
    ) -> Result<AccessPage, Error> {
        store::grants(&self.db, buyer, limit, after).await
    }

    /// Every interval of this buyer's access, past ones included, with the place that they show.
    pub async fn intervals(&self, buyer: BuyerId) -> Result<(Vec<Interval>, Checkpoint), Error> {
        store::intervals(&self.db, buyer).await
    }

    /// The changes of a range, oldest first.
    pub async fn feed(&self, range: FeedRange) -> Result<FeedPage, Error> {
        feed::table::after(&self.db, range).await
    }

    /// The changes of a range that are these sellers', oldest first: however much lies between them.
    pub async fn feed_of(&self, range: FeedRange, sellers: &[SellerId]) -> Result<FeedPage, Error> {
        feed::table::of_sellers(&self.db, range, sellers).await
    }

    /// Publishes the tables' checkpoint on the live bus every [`notification::HEARTBEAT`] until told to stop.
    pub async fn run_heartbeat(&self, bus: LiveBus, stop: CancellationToken) {
        notification::heartbeat(&self.db, &bus, stop).await;
    }

    /// Drops old changes again and again until told to stop.
    pub async fn run_retention(&self, metrics: Metrics, stop: CancellationToken) {
        feed::retention::run(&self.db, &self.clock, self.retention, &metrics, stop).await;
    }

    /// Drops what the feed need not keep any longer. Returns the horizon: up to which event changes are gone.
    pub async fn forget_old_changes(&self) -> Result<Sequence, Error> {
        feed::retention::forget(&self.db, &self.clock, self.retention).await
    }
}

fn visible_to(buyer: BuyerId) -> Scope {
    Scope::Sellers {
        before: "SELECT seller_id FROM access WHERE revoked_at IS NULL AND buyer_id = ",
        of: buyer.0,
        after: "",
    }
}
