//! What these tests have at hand: a market's webhooks, dispatchers that may call 127.0.0.1, and the tables' own sums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use backbone::ids::{BuyerId, SellerId, WebhookId};
use backbone::on_db;
use backbone::position::Sequence;
use backbone::telemetry::Metrics;
use webhooks::dispatcher::Limits;
use webhooks::egress::Egress;
use webhooks::resolver::Resolver;
use webhooks::seal::SealKey;
use webhooks::sender::Sender;
use webhooks::{
    Delivery, DeliveryCounts, DeliveryState, Dispatcher, Registration, Webhook, WebhookEvent,
    Webhooks,
};

use crate::market::{BUYER, Market};
use backbone::testkit::{Receiver, Reply};

/// Where nothing listens and nothing is called.
pub(super) const NOWHERE: &str = "http://127.0.0.1:9999/hook";
pub(super) const SEAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(super) fn egress() -> Egress {
    Egress {
        allow_http: true,
        allow_nets: vec!["127.0.0.1/32".parse().unwrap()],
    }
}

/// Both events of every seller, at this URL.
pub(super) fn registration(url: &str) -> Registration {
    Registration {
        url: url.to_owned(),
        events: vec![WebhookEvent::DealCreated, WebhookEvent::DealUpdated],
        seller_ids: None,
        description: None,
    }
}

impl Market {
    pub(super) fn webhooks(&self) -> Webhooks {
        Webhooks::new(
            &self.side,
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

    /// A buyer with access to a seller, and an endpoint at this URL.
    pub(super) async fn subscribed(&self, seller: SellerId, url: &str) -> WebhookId {
        self.grant(seller, BUYER).await;
        self.project().await;
        self.register(url).await
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

    /// Everything of an endpoint, oldest first.
    pub(super) async fn deliveries(&self, id: WebhookId) -> Vec<Delivery> {
        self.deliveries_of(BUYER, id).await
    }

    pub(super) async fn deliveries_of(&self, buyer: BuyerId, id: WebhookId) -> Vec<Delivery> {
        let page = self
            .webhooks()
            .deliveries(buyer, Some(id), None, 100_000, None)
            .await
            .unwrap();
        assert!(!page.has_next);
        let mut deliveries = page.deliveries;
        deliveries.sort_by_key(|delivery| (delivery.position.order(), delivery.id));
        deliveries
    }

    /// The places of what an endpoint is owed, in order.
    pub(super) async fn owed(&self, id: WebhookId) -> Vec<Sequence> {
        self.deliveries(id)
            .await
            .iter()
            .map(|delivery| delivery.position.sequence)
            .collect()
    }

    /// Checks that the counts of every endpoint are what a look at its deliveries counts.
    #[track_caller]
    pub(super) fn check_sums(&self) -> impl Future<Output = ()> {
        const SUMS: &str = "
            SELECT c.webhook_id, c.owed, c.delivered, c.pending, c.dead, c.discarded, d.state, count(d.id) AS count
              FROM webhook_count c LEFT JOIN webhook_delivery d ON d.webhook_id = c.webhook_id
             GROUP BY c.webhook_id, c.owed, c.delivered, c.pending, c.dead, c.discarded, d.state";
        let caller = std::panic::Location::caller();
        async move {
            // One statement, so one instant.
            let rows: Vec<Sum> =
                on_db!(self.db.read(), pool => sqlx::query_as(SUMS).fetch_all(pool).await).unwrap();
            let mut sums: BTreeMap<WebhookId, [DeliveryCounts; 2]> = BTreeMap::new();
            for Sum {
                webhook_id,
                kept,
                state,
                count,
            } in rows
            {
                let [_, counted] = sums
                    .entry(webhook_id)
                    .or_insert([kept, DeliveryCounts::default()]);
                let (Some(state), count) = (state, count.unsigned_abs()) else {
                    continue;
                };
                counted.owed += count;
                *match DeliveryState::try_from(state).unwrap() {
                    DeliveryState::Pending => &mut counted.pending,
                    DeliveryState::Delivered => &mut counted.delivered,
                    DeliveryState::Dead => &mut counted.dead,
                    DeliveryState::Discarded => &mut counted.discarded,
                } = count;
            }
            for (webhook, [kept, counted]) in sums {
                assert_eq!(kept, counted, "{webhook} (checked at {caller})");
            }
        }
    }
}

/// What is kept of an endpoint, and what is counted in one state.
#[derive(sqlx::FromRow)]
struct Sum {
    webhook_id: WebhookId,
    #[sqlx(flatten)]
    kept: DeliveryCounts,
    state: Option<String>,
    count: i64,
}

/// A receiver whose status a test may change.
pub(super) struct Moody {
    pub(super) receiver: Receiver,
    status: Arc<AtomicU16>,
}

impl Moody {
    pub(super) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let now = Arc::clone(&status);
        let receiver = Receiver::start(move |_| Reply::status(now.load(Ordering::SeqCst))).await;
        Self { receiver, status }
    }

    pub(super) fn turn(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(super) fn url(&self) -> String {
        self.receiver.url("/hook")
    }

    /// The `webhook-id` of every call so far, in order.
    pub(super) fn called(&self) -> Vec<String> {
        ids(&self.receiver)
    }
}

/// The `webhook-id` of every call so far, in order.
pub(super) fn ids(receiver: &Receiver) -> Vec<String> {
    let requests = receiver.requests();
    requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect()
}

/// What a delivery came to, in short.
pub(super) fn states(deliveries: &[Delivery]) -> Vec<DeliveryState> {
    deliveries.iter().map(|delivery| delivery.state).collect()
}

/// Installs the provider of TLS that the binary installs, for whoever dials.
pub(super) fn install_tls_provider() {
    // Another test of this process may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
