//! The write side: what a seller may do with deals and with buyers' access, and the seller's own view of both.
//!
//! Read in this order: the rules of a deal (`deal.rs`) and of access (`access.rs`), both pure; the mutations that put
//! what the rules say into the log (`mutation.rs`); the projection that follows the log (`projection.rs`), and the
//! tables that it keeps (`store.rs`). No HTTP, no GraphQL and no server's driver is known here, and nothing of the
//! buyers' side: the two meet in the log.

mod access;
mod check;
mod deal;
mod identity;
mod input;
mod mutation;
mod projection;
mod refusal;
mod store;

pub use check::text;
pub use input::{DealUpdate, MutationContext, NewDeal, NewDiscount, NewItem, Patch};
pub use mutation::{AccessWritten, DealWritten};
pub use projection::SellerProjection;
pub use refusal::Refusal;
pub use store::{AccessPage, AccessWindow, Granted};

use backbone::Error;
use backbone::accounts::Accounts;
use backbone::clock::Clock;
use backbone::contract::Deal;
use backbone::db::{Db, Migrations};
use backbone::deal_table::{self, DealFilter, DealOrder, Page, PageRequest, Scope, Window};
use backbone::event_log::EventLog;
use backbone::health::Part;
use backbone::ids::{DealId, SellerId};
use backbone::projection::{Checkpoint, Projection, Worker};
use backbone::telemetry::Metrics;
use backbone::write_path::WritePath;
use store::Store;

/// The seller side of one market. Clones share the lanes in which mutations of one subject take turns, so a process
/// makes one and clones it.
#[derive(Clone)]
pub struct SellerSide {
    log: EventLog,
    db: Db,
    clock: Clock,
    write_path: WritePath,
    accounts: Accounts,
    store: Store,
}

impl SellerSide {
    /// Over the market's log and the seller database.
    pub fn new(log: EventLog, db: Db, clock: Clock) -> Self {
        Self {
            write_path: WritePath::new(log.clone(), clock.clone()),
            accounts: Accounts::new(db.clone(), clock.clone()),
            store: Store::new(db.clone()),
            log,
            db,
            clock,
        }
    }

    /// Sellers and admins, and their keys.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Brings the seller database up to this binary's tables.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the database is away.
    pub async fn migrate(&self) -> Result<(), Error> {
        let migrations = Migrations {
            postgres: sqlx::migrate!("../migrations/postgres/seller"),
            sqlite: sqlx::migrate!("../migrations/sqlite/seller"),
        };
        self.db.migrate(&migrations).await
    }

    /// Where the tables are, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        self.db.describe().await
    }

    /// A worker that keeps the seller tables up with the log.
    pub fn worker(&self, health: Part, metrics: &Metrics) -> Worker<SellerProjection> {
        let projection = SellerProjection::new(self.store.clone());
        Worker::new(
            projection,
            self.log.clone(),
            self.db.clone(),
            health,
            metrics,
        )
    }

    /// One of the seller's deals, as the tables have it; `None` for another seller's.
    pub async fn deal(&self, seller: SellerId, id: DealId) -> Result<Option<Deal>, Error> {
        deal_table::find(&self.db, Scope::Seller(seller), id).await
    }

    /// A page of the seller's deals.
    pub async fn deals(
        &self,
        seller: SellerId,
        filter: DealFilter,
        order: DealOrder,
        window: Window,
    ) -> Result<Page, Error> {
        let request = PageRequest {
            scope: Scope::Seller(seller),
            filter,
            order,
            window,
        };
        deal_table::page(&self.db, SellerProjection::NAME, &request).await
    }

    /// A page of the buyers to whom the seller grants access now, by their ids.
    pub async fn grants(
        &self,
        seller: SellerId,
        window: AccessWindow,
    ) -> Result<AccessPage, Error> {
        self.store.grants(seller, window).await
    }

    /// How far the tables are: what a read that must show a position waits for.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::read(&self.db, SellerProjection::NAME).await
    }

    /// Whether the example of this name is complete; `None` when it was never begun here.
    pub async fn seeding(&self, name: &str) -> Result<Option<bool>, Error> {
        self.store.seeding(name).await
    }

    /// Marks an example as begun. One that was begun before stays as it is marked.
    pub async fn begin_seeding(&self, name: &str) -> Result<(), Error> {
        self.store.begin_seeding(name).await
    }

    /// Marks an example that was begun as complete.
    pub async fn end_seeding(&self, name: &str) -> Result<(), Error> {
        self.store.end_seeding(name).await
    }
}
