//! Who writes: sellers that change deals of their own, and one that lets a buyer in and sends it out again. Each
//! mutation is repeated with its key until it is acknowledged, at one gateway or another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backbone::position::Position;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{AGAIN, PATIENCE};
use crate::kit::{CREATE, Client, Party, UPDATE};

/// What a client that repeats itself may be told on the way.
const MAY_PASS: [&str; 3] = ["UNAVAILABLE", "UNKNOWN_OUTCOME", "CONFLICT"];
/// A gateway that does not answer for so long is given up.
const ANSWER: Duration = Duration::from_secs(3);
/// Versions of a deal before its writer begins another.
const VERSIONS: u64 = 40;
/// Currencies of deals, in turn.
const CURRENCIES: [&str; 2] = ["GBP", "EUR"];

/// A seller at work.
#[derive(Clone, Copy)]
pub(crate) struct WriterPlan {
    pub(crate) seller: Party,
    /// From one change to the next; none: as fast as it can.
    pub(crate) pace: Option<Duration>,
}

/// An acknowledged mutation of a deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) position: Position,
    pub(super) deal: Uuid,
    pub(super) version: u64,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) total_price: i64,
}

/// Everything that was acknowledged.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) deals: parking_lot::Mutex<Vec<Written>>,
    /// Grants and revokes of the pair that changes.
    pub(super) access: AtomicU64,
    count: watch::Sender<u64>,
}

pub(super) struct Writers {
    sellers: Sellers,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    working: Mutex<JoinSet<()>>,
    heavy: AtomicU64,
}

/// The gateways, for a party.
#[derive(Clone)]
struct Sellers(Arc<Vec<String>>);

impl Writers {
    /// Begins; the position where that was.
    pub(super) async fn start(gateways: &[String], plans: Vec<WriterPlan>) -> (Self, Position) {
        let sellers = Sellers(Arc::new(gateways.to_vec()));
        let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
        let begin = sellers
            .of(Party::Seller, 0)
            .create("begin", CURRENCIES[0], &ledger)
            .await
            .position;
        let mut working = JoinSet::new();
        for (number, plan) in plans.into_iter().enumerate() {
            let writer = sellers.of(plan.seller, number);
            working.spawn(write(
                writer,
                number,
                plan.pace,
                Arc::clone(&ledger),
                stop.clone(),
            ));
        }
        (
            Self {
                sellers,
                ledger,
                stop,
                working: Mutex::new(working),
                heavy: AtomicU64::new(0),
            },
            begin,
        )
    }

    /// From now on the other buyer's access changes after so many mutations each time.
    pub(super) fn change_access_after(&mut self, mutations: u64) {
        let (seller, stop) = (self.sellers.of(Party::Seller, 0), self.stop.clone());
        let ledger = Arc::clone(&self.ledger);
        self.working
            .get_mut()
            .spawn(change_access(seller, mutations, ledger, stop));
    }

    pub(super) fn acknowledged(&self) -> u64 {
        *self.ledger.count.borrow()
    }

    pub(super) async fn heavy_change(&self) {
        let number = self.heavy.fetch_add(1, Ordering::SeqCst);
        let items: Vec<Value> = (0..100)
            .map(|_| json!({ "name": "a long name ".repeat(16), "price": 1 }))
            .collect();
        let mut seller = self.sellers.of(Party::OtherSeller, 0);
        seller
            .create_with(
                &format!("heavy {number}"),
                CURRENCIES[0],
                items,
                &self.ledger,
            )
            .await;
    }

    /// How the first one that is at its end came to it.
    pub(super) async fn fault(&self) -> Result<&'static str, JoinError> {
        match self.working.lock().await.join_next().await {
            Some(ended) => ended.map(|()| "a writer has ended"),
            // They have been told to stop.
            None => std::future::pending().await,
        }
    }

    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        std::mem::take(self.working.get_mut()).join_all().await;
    }

    pub(super) fn written(&self) -> &Ledger {
        &self.ledger
    }
}

/// Changes deals of its own until told to stop. Each change is made once, or the version tells.
async fn write(
    mut writer: Careful,
    number: usize,
    pace: Option<Duration>,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let mut pace = pace.map(paced);
    for round in 0_u64.. {
        let deal = format!("deal {round} of writer {number}");
        let currency = CURRENCIES[(round as usize + number) % CURRENCIES.len()];
        let id = writer.create(&deal, currency, &ledger).await.deal;
        for version in 2..=VERSIONS {
            if stop.is_cancelled() {
                return;
            }
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let name = format!("version {version} of {deal}");
            let change = json!({ "input": next(id, version, &name), "key": name });
            let made = writer.insist(UPDATE, change).await["updateDeal"].take();
            assert_eq!(
                made["deal"]["version"], version,
                "an acknowledged change was lost or made twice"
            );
            ledger.take(&made);
        }
    }
}

/// Returns the input that makes a version of a deal: a new name, so that something changes in any case, and now and then
/// each of the other fields, in turns that do not keep step with each other.
fn next(id: Uuid, version: u64, name: &str) -> Value {
    let mut input = json!({ "id": id, "name": name });

    // A status that may follow the one before, and at last the one that none may follow.
    let status = match version {
        VERSIONS => Some("SOLD"),
        _ => match version % 4 {
            1 => Some("WITHDRAWN"),
            2 => Some("AVAILABLE"),
            3 => Some("RESERVED"),
            _ => None,
        },
    };
    if let Some(status) = status {
        input["status"] = json!(status);
    }
    if version.is_multiple_of(3) {
        input["totalPrice"] = json!(500 * (1 + version / 3 % 3));
    }
    match version % 7 {
        2 => input["discount"] = json!({ "percentage": 12.5 }),
        4 => input["discount"] = json!({ "amount": 99 }),
        6 => input["discount"] = Value::Null,
        _ => {}
    }
    if version.is_multiple_of(5) {
        let item = |number: u64| json!({ "name": format!("item {number}"), "price": number });
        input["items"] = (version..version + 3).map(item).collect();
    }
    input
}

/// Ticks that are not made up for when they were missed.
fn paced(pace: Duration) -> Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Lets the other buyer in and sends it out again until told to stop.
async fn change_access(
    mut seller: Careful,
    after: u64,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let mut acknowledged = ledger.count.subscribe();
    for granted in [true, false].into_iter().cycle() {
        let goal = *acknowledged.borrow() + after;
        tokio::select! {
            () = stop.cancelled() => return,
            reached = acknowledged.wait_for(|count| *count >= goal) => drop(reached),
        }
        let told = seller.access(Party::OtherBuyer, granted).await;
        assert_eq!(told["granted"], granted);
        ledger.access.fetch_add(1, Ordering::SeqCst);
    }
}

impl Ledger {
    fn take(&self, made: &Value) -> Written {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let written = Written {
            position: Position::decode(&text(&made["position"])).expect("a position"),
            deal: text(&made["deal"]["id"]).parse().expect("a UUID"),
            version: made["deal"]["version"].as_u64().expect("a version"),
            name: text(&made["deal"]["name"]),
            status: text(&made["deal"]["status"]),
            total_price: made["deal"]["totalPrice"].as_i64().expect("a price"),
        };
        self.deals.lock().push(written.clone());
        self.count.send_modify(|count| *count += 1);
        written
    }
}

impl Sellers {
    /// A client that tries one gateway first.
    fn of(&self, party: Party, first: usize) -> Careful {
        let clients = self
            .0
            .iter()
            .map(|gateway| Client::new(gateway, Some(party.key())))
            .collect();
        Careful {
            clients,
            at: first % self.0.len(),
        }
    }
}

/// A client that repeats a mutation with its key until it is acknowledged.
pub(crate) struct Careful {
    clients: Vec<Client>,
    at: usize,
}

impl Careful {
    async fn create(&mut self, name: &str, currency: &str, ledger: &Ledger) -> Written {
        let items = vec![json!({ "name": "item", "price": 1 })];
        self.create_with(name, currency, items, ledger).await
    }

    /// The name is also the key.
    async fn create_with(
        &mut self,
        name: &str,
        currency: &str,
        items: Vec<Value>,
        ledger: &Ledger,
    ) -> Written {
        let input =
            json!({ "name": name, "totalPrice": 1000, "currency": currency, "items": items });
        let made = self
            .insist(CREATE, json!({ "input": input, "key": name }))
            .await["createDeal"]
            .take();
        ledger.take(&made)
    }

    /// A grant or a revoke; one that holds already changes nothing.
    async fn access(&mut self, buyer: Party, granted: bool) -> Value {
        let field = if granted {
            "grantAccess"
        } else {
            "revokeAccess"
        };
        let mutation =
            format!("mutation($buyer: ID!) {{ {field}(buyerId: $buyer) {{ granted position }} }}");
        self.insist(&mutation, json!({ "buyer": buyer.id() })).await[field].take()
    }

    async fn insist(&mut self, query: &str, variables: Value) -> Value {
        let (deadline, mut again) = (Instant::now() + PATIENCE, paced(AGAIN));
        while Instant::now() < deadline {
            if let Some(data) = self.ask(query, &variables).await {
                return data;
            }
            self.at = (self.at + 1) % self.clients.len();
            again.tick().await;
        }
        panic!("a mutation was not acknowledged in time: {variables}");
    }

    /// The data, if there is an answer and it is not one that may pass.
    async fn ask(&self, query: &str, variables: &Value) -> Option<Value> {
        let request = self.clients[self.at]
            .request(Method::POST, "/graphql")
            .timeout(ANSWER);
        let request = request.json(&json!({ "query": query, "variables": variables }));
        let text = request.send().await.ok()?.text().await.ok()?;
        let mut answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        let Some(code) = answer["errors"][0]["extensions"]["code"].as_str() else {
            return Some(answer["data"].take());
        };
        assert!(MAY_PASS.contains(&code), "{answer}");
        None
    }
}

/// Lets a party's buyers in before anything begins.
pub(crate) async fn grant(gateway: &str, seller: Party, buyers: &[Party]) {
    let mut seller = Sellers(Arc::new(vec![gateway.to_owned()])).of(seller, 0);
    for buyer in buyers {
        assert_eq!(seller.access(*buyer, true).await["granted"], true);
    }
}
