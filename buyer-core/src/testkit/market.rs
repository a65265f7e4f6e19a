//! A market of its own for each test: embedded on SQLite, or with the backends of production,
//! JetStream and PostgreSQL.

use std::time::Duration;

use backbone::checkpoint::Tables;
use backbone::clock::Clock;
use backbone::db::Db;
use backbone::event_log::EventLog;
use backbone::health::Health;
use backbone::ids::{BuyerId, SellerId};
use backbone::lifecycle::Lifecycle;
use backbone::live_bus::LiveBus;
use backbone::projection::Worker;
use backbone::telemetry::Metrics;
use backbone::testkit::{Services, wait_until};

use tempfile::TempDir;
use uuid::Uuid;

use crate::feed::Retention;
use crate::{BuyerProjection, BuyerSide};

/// Time for which the markets keep their feeds.
pub const HOUR: Duration = Duration::from_hours(1);
/// Number of sequences in a block of the markets' feeds.
pub const BLOCK: u64 = 10;

/// Id of a seller.
pub const ANN: SellerId = SellerId(Uuid::from_u128(0xa11));
/// Id of another seller.
pub const BOB: SellerId = SellerId(Uuid::from_u128(0xb0b));
/// Id of a buyer.
pub const BUYER: BuyerId = BuyerId(Uuid::from_u128(0xb));

/// Resources that must live as long as the market.
#[expect(dead_code, reason = "owned so that they are dropped with the market")]
enum Resources {
    Embedded(TempDir, Lifecycle),
    Production(Box<Services>),
}

/// One market with its buyer side, which keeps its feed for an hour of a clock that moves by hand.
pub struct Market {
    /// The buyer side.
    pub side: BuyerSide,
    /// The clock, which stands still until a test moves it.
    pub clock: Clock,
    /// URL of the buyer database; `None` on SQLite.
    pub database_url: Option<String>,
    /// The buyer database.
    pub db: Db,
    /// The live bus.
    pub bus: LiveBus,
    /// The log.
    pub log: EventLog,
    /// A worker of the buyer projection.
    pub worker: Worker<BuyerProjection>,
    _resources: Resources,
}

impl Market {
    /// Opens a market on SQLite.
    pub async fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let file = folder.path().join("log.db");
        let lifecycle = Lifecycle::new();
        let clock = clock();

        let log = EventLog::sqlite(
            &file,
            "market",
            Tables::none(),
            clock.clone(),
            &lifecycle,
            &Metrics::new(),
        )
        .await
        .expect("the test kit has started its servers");
        let db = Db::sqlite("buyer database", &folder.path().join("buyer.db"));
        Self::open(log, db, clock, None, Resources::Embedded(folder, lifecycle)).await
    }

    /// Opens a market on JetStream and PostgreSQL.
    pub async fn production() -> Self {
        let services = Services::shared_or_private().await;
        let market = services.market().await;
        let clock = clock();

        let log = EventLog::jetstream(
            &market.nats_url,
            &market.market,
            Tables::none(),
            clock.clone(),
            &Metrics::new(),
        );
        let log = log.expect("the test kit has started its servers");

        let opened = async || log.prepare().await.is_ok();
        wait_until(Duration::from_secs(10), "the log to be open", opened).await;

        let url = market.buyer_database_url.clone();
        let db =
            Db::postgres("buyer database", &url, 12).expect("the test kit has started its servers");
        Self::open(
            log,
            db,
            clock,
            Some(url),
            Resources::Production(Box::new(services)),
        )
        .await
    }

    async fn open(
        log: EventLog,
        db: Db,
        clock: Clock,
        database_url: Option<String>,
        resources: Resources,
    ) -> Self {
        let side = BuyerSide::new(
            db.clone(),
            clock.clone(),
            Retention {
                keep: HOUR,
                keep_unread: 4 * HOUR,
                block: BLOCK,
            },
        );
        side.migrate()
            .await
            .expect("the test kit has started its servers");

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
            _resources: resources,
        }
    }

    /// Returns another worker of the same projection.
    pub fn another_worker(&self) -> Worker<BuyerProjection> {
        worker(&self.side, &self.log, &self.bus)
    }
}

fn worker(side: &BuyerSide, log: &EventLog, bus: &LiveBus) -> Worker<BuyerProjection> {
    let part = Health::default().part("buyer projection");
    side.worker(log.clone(), bus.clone(), part, &Metrics::new())
}

fn clock() -> Clock {
    Clock::fixed(1_700_000_000_123_456)
}
