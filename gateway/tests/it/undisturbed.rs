//! A market in which nothing fails: what must be exact then, and what must not be needed.

use backbone::testkit::{Market, Services};
use reqwest::Method;

use crate::kit::{BUYER_KEY, Client, Process, SELLER_KEY, Subscription, seed};
use crate::load::{Load, Plan, Truth};

/// Times that a gateway completed its feed from the table instead of the live bus.
const HEALS: &str = "dealwire_feed_heals_total";
/// Changes that are pushed one after the other.
const CHANGES: usize = 30;
/// Changes before those.
const WARM_UP: usize = 10;

/// A production market with a process for each role.
struct Calm {
    market: Market,
    gateway: Process,
    _projectors: [Process; 2],
    _services: Services,
}

impl Calm {
    async fn start() -> Self {
        let services = Services::shared_or_private().await;
        let market = services.market().await;
        seed(&market).await;

        let process = |role| Process::with_role(&market, role, &[]);
        let gateway = process("gateway");
        let projectors = [process("seller"), process("buyer")];
        for process in projectors.iter().chain([&gateway]) {
            process.ready().await;
        }

        Self {
            gateway,
            _projectors: projectors,
            market,
            _services: services,
        }
    }

    async fn heals(&self) -> u64 {
        let client = Client::new(&self.gateway.url(), None);
        // A metric of another name would stand at 0 for ever.
        let metrics = client.rest(Method::GET, "/metrics", None).await.body;
        let metrics = metrics.as_str().expect("metrics are text");
        assert!(metrics.contains(&format!("\n{HEALS} ")), "{metrics}");

        client.metric(HEALS).await.expect("the gateway answers")
    }
}

// Pushes would be right without the live bus as well, a second late: no comparison with the log shows that it works.
#[tokio::test(flavor = "multi_thread")]
async fn feed_needs_no_healing_while_nothing_fails() {
    let market = Calm::start().await;
    let url = market.gateway.url();
    let seller = Client::new(&url, Some(SELLER_KEY));
    let mut changes = Subscription::deals(&url, BUYER_KEY, None).await;

    let created = seller.create("first").await;
    let id = created["deal"]["id"].as_str().expect("an id");
    changes.next().await;

    // The gateway may yet have to subscribe to the live bus, and to read what came before.
    for number in 0..WARM_UP {
        seller.rename(id, &format!("warm up {number}")).await;
        changes.next().await;
    }

    // One by one: if each had to be found in the table, each would be a heal of its own.
    let before = market.heals().await;
    for number in 0..CHANGES {
        seller.rename(id, &format!("name {number}")).await;
        let change = changes.next().await;
        assert_eq!(change["deal"]["name"], format!("name {number}"));
    }
    let heals = market.heals().await - before;
    assert_eq!(heals, 0, "for {CHANGES} changes");
}

// No connection ends, so even what conflated readers skip must add up.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_every_habit_are_shown_what_the_log_holds() {
    let market = Calm::start().await;
    let mut load = Load::start(Plan::varied(&market.gateway.url())).await;

    load.run_for(150).await;
    load.stop_writing().await;

    let truth = Truth::of(&market.market).await;
    let ends = load.ends();
    load.finish(&truth).await;
    assert!(ends.iter().all(Vec::is_empty), "{ends:?}");
}
