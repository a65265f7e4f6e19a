//! Webhooks while processes break.

use std::sync::Arc;
use std::time::Duration;

use backbone::testkit::{Market, Receiver, Reply, Services, wait_until};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::kit::{BUYER_KEY, Client, Process, SELLER_KEY, seed};

/// What lets processes of the role `webhooks` call this machine; gateways register such endpoints.
const LOCAL: [(&str, &str); 2] =
    [("DEALWIRE_WEBHOOK_ALLOW_HTTP", "true"), ("DEALWIRE_WEBHOOK_ALLOW_NET", "127.0.0.0/8")];
/// Longer than any lease and outage here.
const PATIENCE: Duration = Duration::from_secs(90);

struct Separate {
    _services: Services,
    market: Market,
    gateway: Process,
    _seller: Process,
    _buyer: Process,
    dispatcher: Process,
}

impl Separate {
    async fn start() -> Self {
        let services = Services::private().await;
        let market = services.market().await;
        let process = |role| Process::of_role(&market, role, &LOCAL);
        let started = Self {
            gateway: process("gateway"),
            _seller: process("seller"),
            _buyer: process("buyer"),
            dispatcher: process("webhooks"),
            _services: services,
            market,
        };
        seed(&started.market).await;
        for process in [&started.gateway, &started._seller, &started._buyer, &started.dispatcher] {
            process.ready().await;
        }
        started
    }

    fn client(&self, key: &str) -> Client {
        Client::new(&self.gateway.url(), Some(key))
    }
}

/// Registers an endpoint of the buyer.
async fn register(buyer: &Client, url: &str) {
    let mutation = "mutation($url: String!) {
        registerWebhook(input: { url: $url, events: [DEAL_CREATED, DEAL_UPDATED] }) { webhook { id } } }";
    buyer.data(mutation, json!({ "url": url })).await;
}

/// The counts of the buyer's one endpoint, which must add up whenever they can be read: owed and delivered.
async fn counts(buyer: &Client) -> Option<(u64, u64)> {
    let query = "{ webhooks { counts { owed delivered pending dead discarded } } }";
    let answer = buyer.ask(query, json!({})).await;
    let counts = answer.body["data"]["webhooks"].get(0)?["counts"].clone();
    let of = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!(of("owed"), of("delivered") + of("pending") + of("dead") + of("discarded"), "{counts}");
    Some((of("owed"), of("delivered")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_was_stopped_past_its_lease_records_nothing() {
    let market = Separate::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start({
        let gate = Arc::clone(&gate);
        move |request| if request.number == 0 { Reply::status(500).through(&gate) } else { Reply::ok() }
    })
    .await;
    let buyer = market.client(BUYER_KEY);
    register(&buyer, &receiver.url("/")).await;
    market.client(SELLER_KEY).create("called twice").await;
    wait_until(PATIENCE, "the first call is made", async || receiver.requests().len() == 1).await;
    market.dispatcher.pause().await;
    let other = Process::of_role(&market.market, "webhooks", &LOCAL);
    wait_until(PATIENCE, "another takes over when the lease is over", async || {
        counts(&buyer).await == Some((1, 1))
    })
    .await;
    gate.add_permits(1);
    market.dispatcher.resume().await;
    let metrics = Client::new(&market.dispatcher.url(), None);
    wait_until(PATIENCE, "it finds that its lease is lost", async || {
        let told = metrics.rest(reqwest::Method::GET, "/metrics", None).await.body;
        told.as_str().is_some_and(|text| text.contains("\ndealwire_webhook_leases_lost_total 1\n"))
    })
    .await;
    let query = "{ webhookDeliveries { nodes { state attempts { number statusCode } } } }";
    let nodes = buyer.data(query, json!({})).await["webhookDeliveries"]["nodes"].take();
    let attempt = json!({ "number": 1, "statusCode": 200 });
    assert_eq!(nodes, json!([{ "state": "DELIVERED", "attempts": [attempt] }]));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    drop(other);
}
