//! A market of its own for each test: embedded on SQLite, or in production shape on JetStream and
//! PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use backbone::checkpoint::Tables;
use backbone::clock::Clock;
use backbone::contract::{Deal, DealStatus, Event, Fact, Subject};
use backbone::db::Db;
use backbone::deal_table::{DealFilter, DealOrder, Page, Window};
use backbone::event_log::{AppendAnswer, EventLog};
use backbone::health::Health;
use backbone::ids::{BuyerId, DealId, EventId, SellerId};
use backbone::lifecycle::Lifecycle;
use backbone::position::{Position, Sequence};
use backbone::projection::{Checkpoint, Worker};
use backbone::telemetry::Metrics;
use backbone::testkit::{Services, wait_until};
use seller_core::{
    AccessWindow, AccessWritten, DealUpdate, Grant, MutationContext, NewDeal, NewItem,
    SellerProjection, SellerSide,
};
use tempfile::TempDir;
use uuid::Uuid;

/// Runs each of these functions, which take a [`Market`], as a test on either backend.
macro_rules! on_both_backends {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $test() {
                super::$test(crate::market::Market::embedded().await).await;
            })+
        }
        mod production {
            $(#[tokio::test] async fn $test() {
                super::$test(crate::market::Market::production().await).await;
            })+
        }
    };
}

pub(crate) const START: i64 = 1_700_000_000_123_456;

/// Ids of two sellers; access and deals of a market are theirs.
pub(crate) const ANN: SellerId = SellerId(Uuid::from_u128(0xa11));
pub(crate) const BOB: SellerId = SellerId(Uuid::from_u128(0xb0b));

/// Resources that must live as long as the market.
#[expect(dead_code, reason = "owned so that they are dropped with the market")]
enum Resources {
    Embedded(TempDir, Lifecycle),
    Production(Box<Services>),
}

/// One market with its seller side, whose clock moves by hand.
pub(crate) struct Market {
    pub(crate) side: SellerSide,
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
    db: Db,
    worker: Worker<SellerProjection>,
    _resources: Resources,
}

impl Market {
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.db");
        let lifecycle = Lifecycle::new();
        let clock = Clock::fixed(START);

        let log = EventLog::sqlite(
            &file,
            "market",
            Tables::none(),
            clock.clone(),
            &lifecycle,
            &Metrics::new(),
        )
        .await
        .unwrap();
        let db = Db::sqlite("seller database", &folder.path().join("seller.db"));
        Self::open(log, db, clock, Resources::Embedded(folder, lifecycle)).await
    }

    pub(crate) async fn production() -> Self {
        let services = Services::shared_or_private().await;
        let market = services.market().await;
        let clock = Clock::fixed(START);

        let log = EventLog::jetstream(
            &market.nats_url,
            &market.market,
            Tables::none(),
            clock.clone(),
            &Metrics::new(),
        );
        let log = log.unwrap();
        let opened = async || log.prepare().await.is_ok();
        wait_until(Duration::from_secs(10), "the log to be open", opened).await;
        let db = Db::postgres("seller database", &market.seller_database_url, 12).unwrap();
        Self::open(log, db, clock, Resources::Production(Box::new(services))).await
    }

    async fn open(log: EventLog, db: Db, clock: Clock, resources: Resources) -> Self {
        let side = SellerSide::new(log.clone(), db.clone(), clock.clone());
        side.migrate().await.unwrap();
        let worker = side.worker(Health::default().part("seller projection"), &Metrics::new());
        Self {
            side,
            log,
            clock,
            db,
            worker,
            _resources: resources,
        }
    }

    /// Returns a seller side as another process has it: with the same log and database, but lanes
    /// of its own.
    pub(crate) fn another_process(&self) -> SellerSide {
        SellerSide::new(self.log.clone(), self.db.clone(), self.clock.clone())
    }

    /// Returns the seller database.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Returns another worker of the projection.
    pub(crate) fn another_worker(&self) -> Worker<SellerProjection> {
        let part = Health::default().part("seller projection");
        self.side.worker(part, &Metrics::new())
    }

    /// Runs the projection up to the head of the log.
    pub(crate) async fn catch_up(&self) -> Checkpoint {
        let head = self.log.head().await.unwrap();
        let (mut checkpoint, mut tail) = self.worker.open().await.unwrap();
        while checkpoint.position < head {
            checkpoint = self.worker.run_once(checkpoint, &mut tail).await.unwrap();
        }
        assert_eq!(self.side.checkpoint().await.unwrap(), checkpoint);
        checkpoint
    }

    /// Appends a fact to its subject without asking the rules.
    pub(crate) async fn force(&self, subject: Subject, fact: Fact) -> Sequence {
        let last = self.log.last(&subject).await.unwrap();
        let id = EventId(backbone::random::random_id());
        let event = Event {
            id,
            subject,
            time: self.clock.now(),
            trace: None,
            fact,
        };
        match self
            .log
            .append(&event, last.map_or(0, |last| last.sequence))
            .await
        {
            AppendAnswer::Stored(end) => end.sequence,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the fact at a position.
    pub(crate) async fn fact(&self, position: Position) -> Fact {
        self.log
            .get(position.sequence)
            .await
            .unwrap()
            .unwrap()
            .event
            .unwrap()
            .fact
    }

    /// Creates a deal of Ann's.
    pub(crate) async fn deal(&self) -> Deal {
        self.side
            .create_deal(ANN, timber(), MutationContext::default())
            .await
            .unwrap()
            .deal
    }

    /// Grants a buyer access to Ann's deals.
    pub(crate) async fn grant(&self, buyer: BuyerId) -> AccessWritten {
        self.side
            .grant_access(ANN, buyer, MutationContext::default())
            .await
            .unwrap()
    }

    /// Revokes a buyer's access to Ann's deals.
    pub(crate) async fn revoke(&self, buyer: BuyerId) -> AccessWritten {
        self.side
            .revoke_access(ANN, buyer, MutationContext::default())
            .await
            .unwrap()
    }

    /// Returns a deal as the tables show it to a seller.
    pub(crate) async fn stored(&self, seller: SellerId, id: DealId) -> Option<Deal> {
        let stored = self.side.deal(seller, id).await.unwrap();

        stored.map(|stored| Arc::unwrap_or_clone(stored.deal))
    }

    /// Returns Ann's deals, most recently changed first.
    pub(crate) async fn page(&self) -> Page {
        let window = Window {
            limit: 100,
            backwards: false,
            after: None,
            before: None,
        };
        self.side
            .deals(ANN, DealFilter::default(), DealOrder::default(), window)
            .await
            .unwrap()
    }

    /// Returns the grants of Ann that hold.
    pub(crate) async fn granted(&self) -> Vec<Grant> {
        self.side
            .grants(
                ANN,
                AccessWindow {
                    limit: 100,
                    after: None,
                },
            )
            .await
            .unwrap()
            .grants
    }
}

/// Returns the input of a creation.
pub(crate) fn timber() -> NewDeal {
    NewDeal {
        id: None,
        name: "Timber".to_owned(),
        total_price: 100_000,
        currency: "GBP".to_owned(),
        status: DealStatus::Available,
        discount: None,
        items: vec![NewItem {
            id: None,
            name: "oak".to_owned(),
            price: 60_000,
        }],
    }
}

/// Returns an update of a deal's name.
pub(crate) fn renamed(deal: &Deal, name: &str) -> DealUpdate {
    DealUpdate {
        name: Some(name.to_owned()),
        ..DealUpdate::of(deal.id)
    }
}

/// Returns a mutation context with an idempotency key.
pub(crate) fn keyed(key: &str) -> MutationContext {
    MutationContext {
        key: Some(key.to_owned()),
        trace: None,
    }
}

pub(crate) fn buyer(number: u128) -> BuyerId {
    BuyerId(Uuid::from_u128(number))
}
