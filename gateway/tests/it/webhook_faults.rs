//! Webhooks while everything breaks: none is lost, each keeps its id and its place among those of its deal, and the
//! sums are right at every look.
#![expect(clippy::print_stdout, reason = "how many calls were made twice")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backbone::testkit::{Market, Receiver, Reply, Request, Services, wait_until};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::kit::{BUYER_KEY, Client, Party, Process, SELLER_KEY, seed};
use crate::load::{Load, Plan, Truth, WriterPlan};

/// What lets processes of the role `webhooks` call this machine; gateways register such endpoints.
const LOCAL: [(&str, &str); 2] = [
    ("DEALWIRE_WEBHOOK_ALLOW_HTTP", "true"),
    ("DEALWIRE_WEBHOOK_ALLOW_NET", "127.0.0.0/8"),
];
/// Changes of the run in which everything is killed.
const CHANGES: u64 = 5_000;
/// Longer than any lease and outage here.
const PATIENCE: Duration = Duration::from_secs(90);

struct Separate {
    services: Services,
    market: Market,
    gateway: Process,
    _seller: Process,
    buyer: Process,
    dispatcher: Process,
}

impl Separate {
    async fn start() -> Self {
        let services = Services::private().await;
        let market = services.market().await;
        let process = |role| Process::with_role(&market, role, &LOCAL);
        let started = Self {
            gateway: process("gateway"),
            _seller: process("seller"),
            buyer: process("buyer"),
            dispatcher: process("webhooks"),
            services,
            market,
        };
        seed(&started.market).await;
        for process in [
            &started.gateway,
            &started._seller,
            &started.buyer,
            &started.dispatcher,
        ] {
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
    let answer = buyer.execute(query, json!({})).await;
    let counts = answer.body["data"]["webhooks"].get(0)?["counts"].clone();
    let of = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!(
        of("owed"),
        of("delivered") + of("pending") + of("dead") + of("discarded"),
        "{counts}"
    );
    Some((of("owed"), of("delivered")))
}

/// Every deal that the buyer sees, with its version.
async fn versions(buyer: &Client) -> HashMap<String, u64> {
    let query = "query($after: String) { dealsForBuyer(first: 100, after: $after) {
        nodes { id version } pageInfo { hasNextPage endCursor } } }";
    let (mut versions, mut after) = (HashMap::new(), Value::Null);
    loop {
        let page = buyer.data(query, json!({ "after": after })).await["dealsForBuyer"].take();
        for node in page["nodes"].as_array().expect("nodes") {
            let id = node["id"].as_str().expect("an id").to_owned();
            versions.insert(id, node["version"].as_u64().expect("a version"));
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return versions;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// What came, checked: the versions of each deal, and how many calls were made more than once.
fn received(requests: &[Request]) -> (HashMap<String, Vec<u64>>, usize) {
    let (mut versions, mut first) = (HashMap::<String, Vec<u64>>::new(), HashMap::new());
    for request in requests {
        let id = request.header("webhook-id").expect("an id");
        if let Some(before) = first.insert(id.to_owned(), &request.body) {
            assert_eq!(before, &request.body, "one id, one body");
            continue;
        }
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let deal = &body["data"]["deal"];
        let seen = versions
            .entry(deal["id"].as_str().expect("an id").to_owned())
            .or_default();
        seen.push(deal["version"].as_u64().expect("a version"));
    }
    (versions, requests.len() - first.len())
}

// Goal: no webhook call is lost, whatever is killed.
// Method: kill -9 dispatcher, projector, PostgreSQL and NATS while changes are made.
// Proves: each change arrives under one id, in the order of its deal, and the counts add up at every look.
#[tokio::test(flavor = "multi_thread")]
async fn webhook_calls_survive_every_kill() {
    let mut market = Separate::start().await;
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let buyer = market.client(BUYER_KEY);
    let before: HashSet<String> = versions(&buyer).await.into_keys().collect();
    register(&buyer, &receiver.url("/")).await;
    let gateways = vec![market.gateway.url()];
    let writers = vec![
        WriterPlan {
            seller: Party::Seller,
            pace: None
        };
        24
    ];
    let mut load = Load::start(Plan {
        gateways,
        writers,
        readers: Vec::new(),
        access_changes_after: None,
    })
    .await;
    for fault in 0..5 {
        load.run_for(CHANGES / 6).await;
        match fault {
            0 | 4 => {
                market.dispatcher.kill().await;
                market.dispatcher.start();
            }
            1 => {
                market.buyer.kill().await;
                market.buyer.start();
            }
            2 => {
                market.services.postgres().kill();
                market.services.postgres().restart().await;
            }
            _ => {
                market.services.nats().kill();
                market.services.nats().restart().await;
            }
        }
        counts(&buyer).await;
    }
    load.run_for(CHANGES / 6).await;
    load.stop_writing().await;
    load.finish(&Truth::of(&market.market).await).await;

    let mut expected = versions(&buyer).await;
    expected.retain(|deal, _| !before.contains(deal));
    let owed: u64 = expected.values().sum();
    assert!(owed >= CHANGES, "{owed}");
    wait_until(PATIENCE, "all that is owed is delivered", async || {
        counts(&buyer).await.is_some_and(|(all, delivered)| {
            assert!(all <= owed, "{all} are owed for {owed} changes");
            delivered == owed
        })
    })
    .await;
    let (found, twice) = received(&receiver.requests());
    for (deal, version) in &expected {
        let all: Vec<u64> = (1..=*version).collect();
        assert_eq!(
            found.get(deal),
            Some(&all),
            "each version of {deal} once, in order"
        );
    }
    assert_eq!(found.len(), expected.len());
    println!(
        "{owed} deliveries over 5 kills: none lost, {twice} made twice, each under its id, in the order of its deal"
    );
}

// Goal: an outcome is recorded only under the lease that made the call.
// Method: SIGSTOP a dispatcher in the middle of a call until another has taken the delivery over, then SIGCONT it.
// Proves: the delivery is recorded once, by the dispatcher that holds the lease.
#[tokio::test(flavor = "multi_thread")]
async fn dispatcher_stopped_past_its_lease_records_nothing() {
    let market = Separate::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let receiver = Receiver::start({
        let gate = Arc::clone(&gate);
        move |request| {
            if request.number == 0 {
                Reply::status(500).through(&gate)
            } else {
                Reply::ok()
            }
        }
    })
    .await;
    let buyer = market.client(BUYER_KEY);
    register(&buyer, &receiver.url("/")).await;
    market.client(SELLER_KEY).create("called twice").await;
    wait_until(PATIENCE, "the first call is made", async || {
        receiver.requests().len() == 1
    })
    .await;
    market.dispatcher.pause().await;
    let other = Process::with_role(&market.market, "webhooks", &LOCAL);
    wait_until(
        PATIENCE,
        "another takes over when the lease is over",
        async || counts(&buyer).await == Some((1, 1)),
    )
    .await;
    gate.add_permits(1);
    market.dispatcher.resume().await;
    let metrics = Client::new(&market.dispatcher.url(), None);
    wait_until(PATIENCE, "it finds that its lease is lost", async || {
        let told = metrics
            .rest(reqwest::Method::GET, "/metrics", None)
            .await
            .body;
        told.as_str()
            .is_some_and(|text| text.contains("\ndealwire_webhook_leases_lost_total 1\n"))
    })
    .await;
    let query = "{ webhookDeliveries { nodes { state attempts { number statusCode } } } }";
    let nodes = buyer.data(query, json!({})).await["webhookDeliveries"]["nodes"].take();
    let attempt = json!({ "number": 1, "statusCode": 200 });
    assert_eq!(
        nodes,
        json!([{ "state": "DELIVERED", "attempts": [attempt] }])
    );
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    drop(other);
}
