//! Helpers of these tests: a market's webhooks, dispatchers that may call 127.0.0.1, and the check
//! that the counts of the tables add up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use backbone::Error;
use backbone::health::Health;
use backbone::ids::{BuyerId, SellerId, WebhookId};
use backbone::on_db;
use backbone::position::Sequence;
use backbone::telemetry::Metrics;
use backbone::testkit::{Receiver, Reply};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::fanout::StepLimits;
use webhooks::resolver::Resolver;
use webhooks::seal::SealKey;
use webhooks::sender::Sender;
use webhooks::{
    Delivery, DeliveryCounts, DeliveryFilter, DeliveryState, Dispatcher, Fanout, Registration,
    Renderer, ReplayRequest, Webhook, WebhookEvent, Webhooks,
};

use crate::market::{BUYER, Market};

/// Returns a filter for the deliveries of an endpoint.
pub(super) fn of_endpoint(webhook: WebhookId) -> DeliveryFilter {
    DeliveryFilter {
        webhook: Some(webhook),
        ..DeliveryFilter::default()
    }
}

/// Returns a request to replay all dead deliveries of an endpoint.
pub(super) fn replay_of(webhook: WebhookId) -> ReplayRequest {
    ReplayRequest {
        webhook,
        state: DeliveryState::Dead,
        since: None,
        until: None,
        events: None,
        deal: None,
        dry_run: false,
        rate_per_second: Some(100),
    }
}

/// URL at which nothing listens, for endpoints that are never called.
pub(super) const NOWHERE: &str = "http://127.0.0.1:9999/hook";
/// Key that seals the secrets of these tests' endpoints.
pub(super) const SEAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Returns an egress guard that permits plain http to 127.0.0.1 and nothing else that is special.
pub(super) fn egress() -> Egress {
    Egress {
        allow_http: true,
        allow_nets: vec!["127.0.0.1/32".parse().unwrap()],
    }
}

/// Returns a registration for both events of every seller.
pub(super) fn registration(url: &str) -> Registration {
    Registration {
        url: url.to_owned(),
        events: vec![WebhookEvent::DealCreated, WebhookEvent::DealUpdated],
        seller_ids: None,
        only_when_changed: None,
        description: None,
        secret: None,
    }
}

impl Market {
    pub(super) fn webhooks(&self) -> Webhooks {
        Webhooks::new(
            &self.side,
            self.webhook_db.clone(),
            self.bus.clone(),
            egress(),
            SealKey::parse(SEAL).unwrap(),
        )
    }

    pub(super) async fn register(&self, url: &str) -> WebhookId {
        self.webhooks()
            .register(BUYER, registration(url))
            .await
            .unwrap()
            .0
            .id
    }

    /// Grants the buyer access to a seller and registers an endpoint.
    pub(super) async fn subscribed(&self, seller: SellerId, url: &str) -> WebhookId {
        self.grant(seller, BUYER).await;
        self.project().await;
        self.register(url).await
    }

    pub(super) fn fanout(&self) -> Fanout {
        Fanout::new(self.webhooks(), Renderer::standard(), &Metrics::new())
    }

    /// Returns a fan-out whose steps have at most `rows` deliveries.
    pub(super) fn fanout_of(&self, rows: usize) -> Fanout {
        let limits = StepLimits {
            rows,
            ..StepLimits::default()
        };
        Fanout::with_limits(
            self.webhooks(),
            Renderer::standard(),
            limits,
            &Metrics::new(),
        )
    }

    /// Runs the projection and then the fan-out up to the head of the log. Returns the head.
    pub(super) async fn project(&self) -> Sequence {
        let head = self.project_only().await;
        self.fanout().run_to_end().await.unwrap();

        head
    }

    pub(super) fn dispatcher(&self) -> Dispatcher {
        self.dispatcher_with(Limits::default(), &Metrics::new())
    }

    pub(super) fn dispatcher_with(&self, limits: Limits, metrics: &Metrics) -> Dispatcher {
        install_tls_provider();
        let sender = Sender::new(egress(), Resolver::system().unwrap()).unwrap();
        Dispatcher::new(self.webhooks(), sender, limits, metrics)
    }

    pub(super) async fn webhook(&self, id: WebhookId) -> Webhook {
        self.webhooks().find(BUYER, id).await.unwrap().unwrap()
    }

    /// Returns all deliveries of an endpoint, oldest first.
    pub(super) async fn deliveries(&self, id: WebhookId) -> Vec<Delivery> {
        self.deliveries_of(BUYER, id).await
    }

    pub(super) async fn deliveries_of(&self, buyer: BuyerId, id: WebhookId) -> Vec<Delivery> {
        let page = self
            .webhooks()
            .deliveries(buyer, of_endpoint(id), 100_000, None)
            .await
            .unwrap();
        assert!(!page.has_next);

        let mut deliveries = page.deliveries;
        deliveries.sort_by_key(|delivery| (delivery.position.order(), delivery.id));
        deliveries
    }

    /// Returns the sequences of the changes that an endpoint has deliveries for, in order.
    pub(super) async fn sequences(&self, id: WebhookId) -> Vec<Sequence> {
        self.deliveries(id)
            .await
            .iter()
            .map(|delivery| delivery.position.sequence)
            .collect()
    }

    /// Checks that the stored counts of every endpoint are those of its delivery rows.
    #[track_caller]
    pub(super) fn check_sums(&self) -> impl Future<Output = ()> {
        const SUMS: &str = "
            SELECT c.webhook_id, c.owed, c.delivered, c.pending, c.dead, c.discarded, d.state, count(d.id) AS count
              FROM webhook_count c LEFT JOIN webhook_delivery d ON d.webhook_id = c.webhook_id
             GROUP BY c.webhook_id, c.owed, c.delivered, c.pending, c.dead, c.discarded, d.state";
        // Read here and not in the future, so that a failure names the line of the test.
        let caller = std::panic::Location::caller();

        async move {
            // One statement, so one snapshot: dispatchers may be running.
            let rows: Vec<Sum> =
                on_db!(self.webhook_db.read(), pool => sqlx::query_as(SUMS).fetch_all(pool).await)
                    .unwrap();

            let mut sums: BTreeMap<WebhookId, [DeliveryCounts; 2]> = BTreeMap::new();
            for Sum {
                webhook_id,
                stored,
                state,
                count,
            } in rows
            {
                let [_, counted] = sums
                    .entry(webhook_id)
                    .or_insert([stored, DeliveryCounts::default()]);
                // The row of an endpoint without deliveries has no state.
                let Some(state) = state else { continue };

                let count = count.unsigned_abs();
                counted.owed += count;
                *match DeliveryState::try_from(state).unwrap() {
                    DeliveryState::Pending => &mut counted.pending,
                    DeliveryState::Delivered => &mut counted.delivered,
                    DeliveryState::Dead => &mut counted.dead,
                    DeliveryState::Discarded => &mut counted.discarded,
                } = count;
            }

            for (webhook, [stored, counted]) in sums {
                assert_eq!(stored, counted, "{webhook} (checked at {caller})");
            }
        }
    }
}

/// Stored counts of an endpoint, and the number of its rows in one state.
#[derive(sqlx::FromRow)]
struct Sum {
    webhook_id: WebhookId,
    #[sqlx(flatten)]
    stored: DeliveryCounts,
    state: Option<String>,
    count: i64,
}

/// Dispatcher that runs beside a test.
pub(super) struct Running {
    pub(super) tasks: JoinSet<Result<(), Error>>,
    pub(super) health: Health,
    pub(super) stop: CancellationToken,
}

impl Running {
    pub(super) fn start(market: &Market, dispatcher: Dispatcher) -> Self {
        let mut tasks = JoinSet::new();
        let health = Health::default();
        let stop = CancellationToken::new();

        let part = health.part("webhooks");
        tasks.spawn(dispatcher.run(market.bus.subscribe(), part, stop.clone()));

        Self {
            tasks,
            health,
            stop,
        }
    }

    pub(super) async fn end(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// Returns a dispatcher with the system's resolver and the default limits.
pub(super) fn dispatcher_of(webhooks: Webhooks) -> Dispatcher {
    install_tls_provider();
    let sender = Sender::new(egress(), Resolver::system().unwrap()).unwrap();
    Dispatcher::new(webhooks, sender, Limits::default(), &Metrics::new())
}

/// Receiver whose status a test can change.
pub(super) struct SwitchableReceiver {
    pub(super) receiver: Receiver,
    status: Arc<AtomicU16>,
}

impl SwitchableReceiver {
    pub(super) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let current = Arc::clone(&status);
        let receiver =
            Receiver::start(move |_| Reply::status(current.load(Ordering::SeqCst))).await;

        Self { receiver, status }
    }

    pub(super) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(super) fn url(&self) -> String {
        self.receiver.url("/hook")
    }

    /// Returns the `webhook-id` of every call so far, in order.
    pub(super) fn delivery_ids(&self) -> Vec<String> {
        ids(&self.receiver)
    }
}

/// Returns the `webhook-id` of every call so far, in order.
pub(super) fn ids(receiver: &Receiver) -> Vec<String> {
    let requests = receiver.requests();
    requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect()
}

/// Returns the states of deliveries.
pub(super) fn states(deliveries: &[Delivery]) -> Vec<DeliveryState> {
    deliveries.iter().map(|delivery| delivery.state).collect()
}

/// Installs the TLS provider that the binary installs.
pub(super) fn install_tls_provider() {
    // Another test in this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
