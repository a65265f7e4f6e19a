//! A production market of its own: servers, processes, and a proxy on every link that a fault may need.
//!
//! Two gateways behind a proxy each, two buyer projectors of which one advances, one seller projector. It refuses to
//! know what is to break.

use backbone::testkit::{Market as Stores, Proxy, Services, wait_for};
use sqlx::PgPool;
use tokio::sync::{Mutex, RwLock};

use crate::kit::{Client, Party, Process, seed};
use crate::load::{self, PATIENCE};

/// What only errors are logged of: all else is meant to happen here.
const QUIET: (&str, &str) = ("DEALWIRE_LOG", "error");

pub(super) struct Market {
    pub(super) services: Services,
    pub(super) stores: Stores,
    pub(super) gateways: [Gateway; 2],
    pub(super) projectors: [Projector; 2],
    pub(super) seller_projector: Mutex<Process>,
    /// Held for writing by a fault that shows what it shows only while nothing else breaks a server; for reading by
    /// those that break one.
    pub(super) calm: RwLock<()>,
    buyer_database: PgPool,
}

/// A gateway with its links.
pub(super) struct Gateway {
    pub(super) process: Mutex<Process>,
    /// Where clients come in.
    pub(super) front: Proxy,
    pub(super) to_redis: Proxy,
    pub(super) to_nats: Proxy,
    pub(super) to_buyer_database: Proxy,
    url: String,
}

/// A buyer projector with its link to Redis.
pub(super) struct Projector {
    pub(super) process: Mutex<Process>,
    pub(super) to_redis: Proxy,
    url: String,
}

impl Market {
    /// Starts everything, with the demo market and a second seller who has let both buyers in.
    pub(super) async fn start() -> Self {
        let services = Services::durable().await;
        let stores = services.market().await;
        seed(&stores).await;
        let gateways = [Gateway::start(&stores).await, Gateway::start(&stores).await];
        let projectors = [
            Projector::start(&stores).await,
            Projector::start(&stores).await,
        ];
        let seller_projector = Mutex::new(Process::with_role(&stores, "seller", &[QUIET]));
        let buyer_database =
            PgPool::connect_lazy(&stores.buyer_database_url).expect("a URL of PostgreSQL");
        let calm = RwLock::new(());
        let market = Self {
            services,
            stores,
            gateways,
            projectors,
            seller_projector,
            calm,
            buyer_database,
        };
        market.ready().await;
        load::grant(
            &market.gateways[0].url,
            Party::OtherSeller,
            &[Party::Buyer, Party::OtherBuyer],
        )
        .await;
        market
    }

    /// Waits until every process is ready.
    pub(super) async fn ready(&self) {
        for gateway in &self.gateways {
            gateway.process.lock().await.ready_within(PATIENCE).await;
        }
        for projector in &self.projectors {
            projector.process.lock().await.ready_within(PATIENCE).await;
        }
        self.seller_projector
            .lock()
            .await
            .ready_within(PATIENCE)
            .await;
    }

    /// Where the buyer tables stand in the log.
    pub(super) async fn checkpoint(&self) -> Option<u64> {
        let read =
            sqlx::query_scalar::<_, i64>("SELECT position FROM projection WHERE name = 'buyer'");
        read.fetch_one(&self.buyer_database)
            .await
            .ok()?
            .try_into()
            .ok()
    }

    /// The buyer projector that advances, while there is something to advance over.
    pub(super) async fn active(&self) -> usize {
        let before = [
            self.projectors[0].applied().await,
            self.projectors[1].applied().await,
        ];
        wait_for(
            PATIENCE,
            "one of the buyer projectors advances",
            async || {
                let now = [
                    self.projectors[0].applied().await,
                    self.projectors[1].applied().await,
                ];
                (0..2).find(|which| now[*which] > before[*which])
            },
        )
        .await
    }
}

impl Gateway {
    async fn start(stores: &Stores) -> Self {
        let to_redis = Proxy::in_front_of(&stores.redis_url).await;
        let to_nats = Proxy::in_front_of(&stores.nats_url).await;
        let to_buyer_database = Proxy::in_front_of(&stores.buyer_database_url).await;
        let process = Process::with_role(
            stores,
            "gateway",
            &[
                QUIET,
                ("DEALWIRE_REDIS_URL", &to_redis.url(&stores.redis_url)),
                ("DEALWIRE_NATS_URL", &to_nats.url(&stores.nats_url)),
                (
                    "DEALWIRE_BUYER_DATABASE_URL",
                    &to_buyer_database.url(&stores.buyer_database_url),
                ),
                ("DEALWIRE_DRAIN_SECONDS", "2"),
            ],
        );
        let url = process.url();
        let front = Proxy::in_front_of(&url).await;
        Self {
            process: Mutex::new(process),
            front,
            to_redis,
            to_nats,
            to_buyer_database,
            url,
        }
    }

    /// Past the proxy.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Through the proxy.
    pub(super) fn front_url(&self) -> String {
        format!("http://{}", self.front.addr())
    }

    /// What a metric stands at; 0 when the gateway does not answer.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        Client::new(&self.url, None).metric(name).await.unwrap_or(0)
    }
}

impl Projector {
    async fn start(stores: &Stores) -> Self {
        let to_redis = Proxy::in_front_of(&stores.redis_url).await;
        let redis_url = to_redis.url(&stores.redis_url);
        let process = Process::with_role(
            stores,
            "buyer",
            &[QUIET, ("DEALWIRE_REDIS_URL", &redis_url)],
        );
        Self {
            url: process.url(),
            process: Mutex::new(process),
            to_redis,
        }
    }

    /// How many events it has applied since its start; none when it does not answer.
    pub(super) async fn applied(&self) -> Option<u64> {
        Client::new(&self.url, None)
            .metric("dealwire_projection_events_total{projection=\"buyer\"}")
            .await
    }
}
