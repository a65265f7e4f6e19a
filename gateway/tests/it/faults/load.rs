//! Writers that repeat what they are not sure of, a subscriber that stores its position, and what both saw compared
//! with both sides' tables.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backbone::testkit::wait_until;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use crate::kit::{Answer, BUYER_KEY, CREATE, Client, DEADLINE, SELLER_KEY, Subscription, UPDATE};

/// Deals that are written to, each by a writer of its own.
const DEALS: usize = 3;
/// What a client that repeats itself may be told on the way.
const MAY_PASS: [&str; 3] = ["UNAVAILABLE", "UNKNOWN_OUTCOME", "CONFLICT"];
/// Longer than any outage in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Work that goes on until it is told to stop.
pub(super) struct Load {
    url: String,
    stop: CancellationToken,
    acknowledged: Arc<AtomicU64>,
    writers: JoinSet<(String, u64)>,
    seen: Arc<Mutex<Seen>>,
    reader: AbortHandle,
    _readers: JoinSet<()>,
}

/// What the subscriber saw.
#[derive(Default)]
struct Seen {
    position: Option<String>,
    /// The last version of each deal.
    versions: HashMap<String, u64>,
}

impl Load {
    /// Makes the deals and begins.
    pub(super) async fn start(url: &str) -> Self {
        let stop = CancellationToken::new();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let seller = Client::new(url, Some(SELLER_KEY));
        let begin = insist(&seller, CREATE, json!({ "input": input("begin"), "key": "begin" })).await;
        let position = begin["createDeal"]["position"].as_str().expect("a position").to_owned();
        let seen = Arc::new(Mutex::new(Seen { position: Some(position), ..Seen::default() }));
        let mut readers = JoinSet::new();
        let reader = readers.spawn(read(url.to_owned(), Arc::clone(&seen)));
        let mut writers = JoinSet::new();
        for number in 0..DEALS {
            writers.spawn(write(seller.clone(), number, Arc::clone(&acknowledged), stop.clone()));
        }
        Self { url: url.to_owned(), stop, acknowledged, writers, seen, reader, _readers: readers }
    }

    /// Lets this many more mutations be acknowledged.
    pub(super) async fn run_for(&self, mutations: u64) {
        let goal = self.acknowledged.load(Ordering::SeqCst) + mutations;
        wait_until(PATIENCE, "mutations are acknowledged", async || {
            self.acknowledged.load(Ordering::SeqCst) >= goal
        })
        .await;
    }

    /// Lets the subscriber see this many more changes.
    pub(super) async fn see(&self, changes: u64) {
        let seen = async || self.seen.lock().await.versions.values().sum::<u64>();
        let goal = seen().await + changes;
        wait_until(PATIENCE, "changes are pushed", async || {
            assert!(!self.reader.is_finished(), "the subscriber found a fault");
            seen().await >= goal
        })
        .await;
    }

    /// Ends the writing and compares: what was acknowledged, what was pushed, what both sides' tables hold.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        let written: HashMap<String, u64> = self.writers.join_all().await.into_iter().collect();
        wait_until(DEADLINE, "the subscriber has seen everything", async || {
            assert!(!self.reader.is_finished(), "the subscriber found a fault");
            let seen = self.seen.lock().await;
            written.iter().all(|(id, version)| seen.versions.get(id) == Some(version))
        })
        .await;
        self.reader.abort();
        for (key, field) in [(SELLER_KEY, "dealsForSeller"), (BUYER_KEY, "dealsForBuyer")] {
            let query = format!("{{ {field}(first: 100) {{ nodes {{ id version }} }} }}");
            let client = Client::new(&self.url, Some(key));
            wait_until(DEADLINE, "the tables hold what was acknowledged", async || {
                let answer = client.ask(&query, json!({})).await;
                let nodes = answer.body["data"][field]["nodes"].as_array().cloned().unwrap_or_default();
                let versions: HashMap<&str, u64> = nodes
                    .iter()
                    .filter_map(|node| Some((node["id"].as_str()?, node["version"].as_u64()?)))
                    .collect();
                written.iter().all(|(id, version)| versions.get(id.as_str()) == Some(version))
            })
            .await;
        }
    }
}

fn input(name: &str) -> Value {
    json!({ "name": name, "totalPrice": 1000, "currency": "GBP", "items": [{ "name": "item", "price": 1 }] })
}

/// Creates a deal and changes it until told to stop; its id and version at the end. Each change is made once, or the
/// version tells.
async fn write(
    seller: Client,
    number: usize,
    acknowledged: Arc<AtomicU64>,
    stop: CancellationToken,
) -> (String, u64) {
    let key = format!("deal {number}");
    let created = insist(&seller, CREATE, json!({ "input": input(&key), "key": key })).await;
    let id = created["createDeal"]["deal"]["id"].as_str().expect("an id").to_owned();
    let mut version = 1;
    while !stop.is_cancelled() {
        version += 1;
        let change = json!({ "input": { "id": id, "name": format!("version {version}") },
                             "key": format!("{key} version {version}") });
        let answer = insist(&seller, UPDATE, change).await;
        assert_eq!(
            answer["updateDeal"]["deal"]["version"], version,
            "an acknowledged change was lost or made twice"
        );
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    (id, version)
}

/// Repeats a mutation with its key until it is acknowledged, as a careful client does.
async fn insist(client: &Client, query: &str, variables: Value) -> Value {
    let (deadline, mut pace) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    while Instant::now() < deadline {
        let request = client.request(reqwest::Method::POST, "/graphql");
        let request = request.json(&json!({ "query": query, "variables": variables }));
        if let Ok(response) = request.send().await {
            let answer = Answer::read(response).await;
            if !answer.body["errors"].is_array() {
                return answer.data();
            }
            assert!(MAY_PASS.contains(&answer.code()), "{answer:?}");
        }
        pace.tick().await;
    }
    panic!("a mutation was not acknowledged in time");
}

/// Reads changes for ever, resuming from the last position whenever the socket ends; fails on a change that is
/// missing, doubled or out of order.
async fn read(url: String, seen: Arc<Mutex<Seen>>) {
    loop {
        let position = seen.lock().await.position.clone();
        let Some(mut changes) = Subscription::try_deals(&url, BUYER_KEY, position.as_deref()).await else {
            tokio::task::yield_now().await;
            continue;
        };
        while let Some(change) = changes.try_next().await {
            let mut seen = seen.lock().await;
            let id = change["deal"]["id"].as_str().expect("an id").to_owned();
            let version = change["deal"]["version"].as_u64().expect("a version");
            let before = seen.versions.insert(id, version).unwrap_or(0);
            assert_eq!(version, before + 1, "lost, doubled or out of order: {change}");
            seen.position = changes.position.clone();
        }
    }
}
