//! The handle of the seller side: its database, what it answers, and the worker that keeps its
//! tables.

use backbone::Error;
use backbone::accounts::Accounts;
use backbone::clock::Clock;
use backbone::db::{Db, Migrations};
use backbone::dead_events::{self, DeadEvent};
use backbone::deal_table::{
    self, DealFilter, DealOrder, Page, PageRequest, Scope, StoredDeal, Window,
};
use backbone::event_log::EventLog;
use backbone::health::{Health, Part};
use backbone::ids::{DealId, SellerId};
use backbone::position::Sequence;
use backbone::projection::{Checkpoint, Projection, Worker};
use backbone::replay::{Replay, Scratch};
use backbone::telemetry::Metrics;
use backbone::verify::SideBySide;
use backbone::write_path::WritePath;

use crate::projection::SellerProjection;
use crate::store::{self, AccessPage, AccessWindow};
use crate::tables::TABLES;

/// The seller side of one market: mutations of deals and access, and the seller's view of both.
///
/// Mutations of one subject take turns in lanes that all clones share; a process creates one handle
/// and clones it.
#[derive(Clone)]
pub struct SellerSide {
    log: EventLog,
    db: Db,
    accounts: Accounts,
    pub(crate) clock: Clock,
    pub(crate) write_path: WritePath,
}

/// Migrates a seller database to the schema of this binary.
///
/// # Errors
/// [`Error::Unavailable`] while the database cannot be reached.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    let migrations = Migrations {
        postgres: sqlx::migrate!("../migrations/postgres/seller"),
        sqlite: sqlx::migrate!("../migrations/sqlite/seller"),
    };

    db.migrate(&migrations).await
}

impl SellerSide {
    /// Creates the handle. Neither the log nor the database needs to be reachable yet.
    pub fn new(log: EventLog, db: Db, clock: Clock) -> Self {
        // Clones share this write path, and with it the lanes: with lanes of their own they would
        // only race each other.
        Self {
            accounts: Accounts::new(db.clone(), clock.clone()),
            write_path: WritePath::new(log.clone(), clock.clone()),
            log,
            db,
            clock,
        }
    }

    /// Returns the accounts of sellers and admins, with their keys.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Migrates the seller database to the schema of this binary, for as long as that takes.
    ///
    /// # Errors
    /// Those of [`Db::migrate`].
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate(&self.db).await
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

    /// Returns what a migration of the database is doing; `None` while none runs.
    pub fn migration(&self) -> Option<String> {
        self.db.migration()
    }

    /// Returns engine and version of the database, for operators.
    pub async fn describe(&self) -> Result<String, Error> {
        self.db.describe().await
    }

    /// Creates a worker that keeps the seller tables up to date with the log.
    pub fn worker(&self, health: Part, metrics: &Metrics) -> Worker<SellerProjection> {
        let log = self.log.clone();
        let db = self.db.clone();

        // Any number of processes may run one: the checkpoint lets a single worker advance.
        Worker::new(SellerProjection, log, db, health, metrics)
    }

    /// Puts the tables beside a replay of the log in a database of the directory `scratch`: to
    /// verify them, or to rebuild them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log cannot be reached.
    pub async fn beside_replay(
        &self,
        scratch: &Scratch,
    ) -> Result<SideBySide<SellerProjection>, Error> {
        let db = Db::sqlite("replay", &scratch.file("seller.sqlite"));
        let replayed = Self::new(self.log.clone(), db.clone(), self.clock.clone());
        replayed.migrate().await?;

        let health = Health::default().part("seller replay");
        let worker = replayed.worker(health, &Metrics::new());
        let replay = Replay::begin(worker, db).await?;
        Ok(SideBySide::new(
            self.log.clone(),
            self.db.clone(),
            replay,
            TABLES,
        ))
    }

    /// Reads one of the seller's deals from the tables; `None` when there is none or it is another
    /// seller's.
    pub async fn deal(&self, seller: SellerId, id: DealId) -> Result<Option<StoredDeal>, Error> {
        deal_table::find(&self.db, Scope::Seller(seller), id).await
    }

    /// Reads a page of the seller's deals, with the position that it shows.
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

    /// Reads a page of the buyers to whom the seller grants access now, in the order of their ids.
    pub async fn grants(
        &self,
        seller: SellerId,
        window: AccessWindow,
    ) -> Result<AccessPage, Error> {
        store::grants(&self.db, seller, window).await
    }

    /// Reads the checkpoint of the tables: a read that must show a position waits until the
    /// checkpoint has reached it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::read(&self.db, SellerProjection::NAME).await
    }

    /// Reads whether the example market `name` is complete; `None` when it was never begun in this
    /// database.
    pub async fn seeding(&self, name: &str) -> Result<Option<bool>, Error> {
        store::seeding(&self.db, name).await
    }

    /// Marks an example market as begun. An example that was begun before keeps its mark.
    pub async fn begin_seeding(&self, name: &str) -> Result<(), Error> {
        store::begin_seeding(&self.db, name).await
    }

    /// Marks an example market that was begun as complete.
    pub async fn end_seeding(&self, name: &str) -> Result<(), Error> {
        store::end_seeding(&self.db, name).await
    }
}
