//! The read side: who may see what, the deals they see, the feed of changes that subscribers read, and the webhooks
//! that are called with the same changes.
//!
//! Everything here is made from the log by one projection, in one transaction a batch, and told to gateways after
//! the commit. HTTP in and GraphQL are the gateway's; what a deal may become is the seller side's.

pub mod access;
pub mod announce;
pub mod feed;
pub mod webhooks;

mod projection;
mod store;

pub use projection::BuyerProjection;
pub use store::{AccessPage, Grant};

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
use backbone::projection::{Place, Worker};
use backbone::telemetry::Metrics;
use backbone::time::Timestamp;

use access::Interval;
use feed::{FeedPage, FeedRange, Retention};
use webhooks::Webhooks;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

/// The row of table `projection`.
pub(crate) const PROJECTION: &str = "buyer";

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

    /// The buyers' webhooks: which URLs they may have, and the key that seals their secrets, are the caller's to say.
    pub fn webhooks(&self, bus: LiveBus, egress: Egress, seal: SealKey) -> Webhooks {
        Webhooks::new(self.db.clone(), self.clock.clone(), bus, egress, seal)
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
        let projection = BuyerProjection::new(
            self.db.clone(),
            bus,
            self.clock.clone(),
            self.retention.block,
        );
        Worker::new(projection, log, self.db.clone(), health, metrics)
    }

    /// Where the tables stand in the log.
    pub async fn place(&self) -> Result<Place, Error> {
        Place::read(&self.db, PROJECTION).await
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
        deal_table::page(&self.db, PROJECTION, &request).await
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
    pub async fn intervals(&self, buyer: BuyerId) -> Result<(Vec<Interval>, Place), Error> {
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

    /// Drops what the feed need not keep any longer. Returns the horizon: up to which event changes are gone.
    pub async fn forget_old_changes(&self) -> Result<Sequence, Error> {
        let kept = i64::try_from(self.retention.keep.as_micros()).unwrap_or(i64::MAX);
        let older_than = Timestamp::from_micros(self.clock.now_micros().saturating_sub(kept));
        feed::retention::run_once(&self.db, self.retention.block, older_than).await
    }
}

fn visible_to(buyer: BuyerId) -> Scope {
    Scope::Sellers {
        before: "SELECT seller_id FROM access WHERE revoked_at IS NULL AND buyer_id = ",
        of: buyer.0,
        after: "",
    }
}
