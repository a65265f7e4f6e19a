//! A market of its own for each test: embedded on SQLite, or in production shape on JetStream and PostgreSQL. What is
//! traded in it is [`super::trade`]'s.

use std::time::Duration;

use backbone::clock::Clock;
use backbone::db::Db;
use backbone::event_log::EventLog;
use backbone::health::Health;
use backbone::ids::{BuyerId, SellerId};
use backbone::lifecycle::Lifecycle;
use backbone::live_bus::LiveBus;
use backbone::position::{Position, Sequence};
use backbone::projection::Worker;
use backbone::telemetry::Metrics;
use backbone::testkit::{Services, wait_until};
use buyer_core::feed::{FeedPage, FeedRange, Retention};
use buyer_core::{BuyerProjection, BuyerSide};
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

pub(crate) const HOUR: Duration = Duration::from_hours(1);
/// Sequences in a block of these markets' feeds.
pub(crate) const BLOCK: u64 = 10;

pub(crate) const ANN: SellerId = SellerId(Uuid::from_u128(0xa11));
pub(crate) const BOB: SellerId = SellerId(Uuid::from_u128(0xb0b));
pub(crate) const BUYER: BuyerId = BuyerId(Uuid::from_u128(0xb));

/// What must live as long as the market.
#[expect(dead_code, reason = "they are held, not used")]
enum Kept {
    Embedded(TempDir, Lifecycle),
    Production(Box<Services>),
}

/// One market with its buyer side, which keeps its feed for an hour of a clock that moves by hand.
pub(crate) struct Market {
    pub(crate) side: BuyerSide,
    pub(crate) clock: Clock,
    /// Of the buyer database, if it is on a server.
    pub(crate) database_url: Option<String>,
    pub(crate) db: Db,
    pub(crate) bus: LiveBus,
    pub(crate) log: EventLog,
    pub(crate) worker: Worker<BuyerProjection>,
    _kept: Kept,
}

impl Market {
    pub(crate) async fn embedded() -> Self {
        let (folder, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
        let (file, clock) = (folder.path().join("log.db"), clock());
        let log = EventLog::sqlite(&file, "market", clock.clone(), &lifecycle, &Metrics::new())
            .await
            .unwrap();
        let db = Db::sqlite("buyer database", &folder.path().join("buyer.db"));
        Self::open(log, db, clock, None, Kept::Embedded(folder, lifecycle)).await
    }

    pub(crate) async fn production() -> Self {
        let (services, clock) = (Services::shared_or_private().await, clock());
        let market = services.market().await;
        let log = EventLog::jetstream(
            &market.nats_url,
            &market.market,
            clock.clone(),
            &Metrics::new(),
        );
        let log = log.unwrap();
        let opened = async || log.epoch().await.is_ok();
        wait_until(Duration::from_secs(10), "the log to be open", opened).await;
        let url = market.buyer_database_url.clone();
        let db = Db::postgres("buyer database", &url).unwrap();
        Self::open(
            log,
            db,
            clock,
            Some(url),
            Kept::Production(Box::new(services)),
        )
        .await
    }

    async fn open(
        log: EventLog,
        db: Db,
        clock: Clock,
        database_url: Option<String>,
        kept: Kept,
    ) -> Self {
        let side = BuyerSide::new(
            db.clone(),
            clock.clone(),
            Retention {
                keep: HOUR,
                block: BLOCK,
            },
        );
        side.migrate().await.unwrap();
        let bus = LiveBus::local(16, &Metrics::new());
        let worker = worker(&side, &log, &bus);
        Self {
            side,
            clock,
            database_url,
            db,
            bus,
            log,
            worker,
            _kept: kept,
        }
    }

    /// Another worker of the same projection.
    pub(crate) fn another_worker(&self) -> Worker<BuyerProjection> {
        worker(&self.side, &self.log, &self.bus)
    }

    /// Lets a seller grant and revoke by turns, one change each, and the projection take them in.
    pub(crate) async fn changes(&self, seller: SellerId, count: u64) -> Sequence {
        for _ in 0..count {
            self.turn_access(seller, BUYER).await;
        }
        self.project().await
    }

    /// The feed after an event.
    pub(crate) async fn after(&self, sequence: Sequence) -> FeedPage {
        let range = FeedRange {
            after: (sequence, Position::END),
            up_to: u64::MAX,
            limit: 1_000,
        };
        self.side.feed(range).await.unwrap()
    }
}

fn worker(side: &BuyerSide, log: &EventLog, bus: &LiveBus) -> Worker<BuyerProjection> {
    let part = Health::default().part("buyer projection");
    side.worker(log.clone(), bus.clone(), part, &Metrics::new())
}

fn clock() -> Clock {
    Clock::fixed(1_700_000_000_123_456)
}

/// The places of a page's changes.
pub(crate) fn sequences(page: &FeedPage) -> Vec<Sequence> {
    page.changes.iter().map(|change| change.sequence).collect()
}

/// The provider of TLS that the binary installs, for whoever dials.
pub(crate) fn install_tls_provider() {
    // Another test of this process may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
