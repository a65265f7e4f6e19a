//! What breaks while the market is at work, and that nothing is lost and nothing happens twice.

use std::time::Duration;

use backbone::testkit::{Market, Proxy, Services, wait_until};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::kit::{BUYER_KEY, Client, DEADLINE, Process, SELLER_KEY, UPDATE, seed};
use crate::load::{Load, Plan, Truth};

/// A production market of its own servers, with a process for each role.
struct Separate {
    services: Services,
    market: Market,
    gateway: Process,
    seller: Process,
    buyer: Process,
}

impl Separate {
    async fn start() -> Self {
        let services = Services::private().await;
        let market = services.market().await;
        let process = |role| Process::with_role(&market, role, &[]);
        let started = Self {
            gateway: process("gateway"),
            seller: process("seller"),
            buyer: process("buyer"),
            services,
            market,
        };
        seed(&started.market).await;
        for process in [&started.gateway, &started.seller, &started.buyer] {
            process.ready().await;
        }
        started
    }

    async fn load(&self) -> Load {
        Load::start(Plan::small(&self.gateway.url())).await
    }

    async fn varied_load(&self) -> Load {
        Load::start(Plan::varied(&self.gateway.url())).await
    }

    /// Ends a load and compares.
    async fn finish(&self, mut load: Load) {
        load.stop_writing().await;
        load.finish(&Truth::of(&self.market).await).await;
    }
}

// Goal: an embedded market loses nothing when its process is killed.
// Method: kill -9 the process under load, start it again in the same data directory, and repeat.
// Proves: acknowledged mutations, tables and pushes equal the log.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_market_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("a path of text");
    let mut process = Process::spawn(&[("DEALWIRE_DATA_DIR", data_dir)]);
    process.ready().await;
    let mut load = Load::start(Plan::small(&process.url())).await;
    for _ in 0..3 {
        load.run_for(40).await;
        process.kill().await;
        process.start();
    }
    process.ready().await;
    load.run_for(40).await;
    load.stop_writing().await;
    process.stop().await;
    let truth = Truth::of_folder(folder.path()).await;
    process.start();
    process.ready().await;
    load.finish(&truth).await;
}

// Goal: a production market loses nothing when any of its processes is killed.
// Method: kill -9 gateway, seller and buyer projector in turn under load, and start each again.
// Proves: acknowledged mutations, tables and pushes equal the log.
#[tokio::test(flavor = "multi_thread")]
async fn production_market_survives_kill_9_of_each_process() {
    let mut market = Separate::start().await;
    let load = market.varied_load().await;
    for role in 0..3 {
        load.run_for(30).await;
        let process = match role {
            0 => &mut market.buyer,
            1 => &mut market.gateway,
            _ => &mut market.seller,
        };
        process.kill().await;
        process.start();
        process.ready().await;
    }
    load.run_for(30).await;
    market.finish(load).await;
}

// Goal: a projection that hangs does not stop the tables.
// Method: SIGSTOP the advancing projector under load, with a standby beside it, then SIGCONT it.
// Proves: the standby advances, and the one that wakes up writes nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn standby_takes_over_from_a_projection_that_hangs() {
    let market = Separate::start().await;
    let standby = Process::with_role(&market.market, "buyer", &[]);
    standby.ready().await;
    let load = market.load().await;
    load.see(20).await;
    // Whichever advances, it is stopped in one of the turns; what it finds when it goes on is no longer its own.
    for hung in [&market.buyer, &standby, &market.buyer] {
        hung.pause().await;
        load.see(60).await;
        hung.resume().await;
        load.see(20).await;
    }
    market.finish(load).await;
}

// Goal: a mutation whose acknowledgement was lost is applied once.
// Method: hold the answer of NATS in a proxy while ten other mutations of the deal are written, then repeat with the same key.
// Proves: the repeat returns the first result, and the log holds the event once.
#[tokio::test(flavor = "multi_thread")]
async fn lost_acknowledgement_is_found_after_other_writes() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let proxy = Proxy::in_front_of(&market.nats_url).await;
    let nats_url = proxy.url(&market.nats_url);
    let far = Process::with_role(&market, "gateway", &[("DEALWIRE_NATS_URL", &nats_url)]);
    let near = Process::spawn(&market.environment());
    far.ready().await;
    near.ready().await;
    let [ours, theirs] = [&far, &near].map(|process| Client::new(&process.url(), Some(SELLER_KEY)));
    let deal = theirs.create("contended").await["deal"]["id"].clone();
    let request = json!({ "input": { "id": deal, "name": "ours" }, "key": "once" });

    // Slow enough for the line to be cut between the write and its acknowledgement.
    proxy.delay(Duration::from_millis(200));
    let mut asking = JoinSet::new();
    asking.spawn({
        let (ours, request) = (ours.clone(), request.clone());
        async move { ours.execute(UPDATE, request).await }
    });
    let read = "query($id: ID!) { deal(id: $id) { name version } }";
    wait_until(DEADLINE, "the change is written", async || {
        theirs.data(read, json!({ "id": deal })).await["deal"]["name"] == "ours"
    })
    .await;
    proxy.cut().await;
    for version in 3..=12 {
        let theirs = theirs
            .rename(deal.as_str().expect("an id"), &format!("version {version}"))
            .await;
        assert_eq!(theirs["deal"]["version"], version);
    }
    assert!(
        asking.try_join_next().is_none(),
        "its acknowledgement is lost"
    );
    proxy.restore().await;
    let answer = asking
        .join_next()
        .await
        .expect("it was asked")
        .expect("the client does not panic");
    if answer.body["errors"].is_array() {
        assert_eq!(answer.code(), "UNKNOWN_OUTCOME", "{answer:?}");
    } else {
        // The server may still know the id, and then answers with what was made; else the deal as it stands is told.
        let version = answer.data()["updateDeal"]["deal"]["version"].take();
        assert!(
            [2, 12].contains(&version.as_u64().expect("a version")),
            "{version}"
        );
    }
    let again = ours.data(UPDATE, request).await;
    let stands = json!({ "name": "version 12", "version": 12 });
    assert_eq!(
        theirs.data(read, json!({ "id": deal })).await["deal"],
        stands,
        "it was made once"
    );
    let told = &again["updateDeal"]["deal"];
    assert_eq!(
        (&told["name"], &told["version"]),
        (&stands["name"], &stands["version"])
    );
}

// Goal: a market loses nothing when NATS, PostgreSQL or Redis is killed.
// Method: kill -9 and restart each server in turn under load.
// Proves: acknowledged mutations, tables and pushes equal the log.
#[tokio::test(flavor = "multi_thread")]
async fn servers_killed_under_load_lose_nothing() {
    let market = Separate::start().await;
    let load = market.load().await;
    load.run_for(20).await;

    market.services.nats().kill();
    let asked = Instant::now();
    let demo = json!({ "input": { "id": "56c5e92a-683b-430e-8466-5721c7cacb90", "name": "now?" } });
    let refused = Client::new(&market.gateway.url(), Some(SELLER_KEY))
        .execute(UPDATE, demo)
        .await;
    assert!(
        ["UNAVAILABLE", "UNKNOWN_OUTCOME"].contains(&refused.code()),
        "{refused:?}"
    );
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "answered within the budget"
    );
    let read = Client::new(&market.gateway.url(), Some(BUYER_KEY));
    read.data("{ dealsForBuyer { nodes { id } } }", json!({}))
        .await;
    market.services.nats().restart().await;
    load.run_for(20).await;

    market.services.postgres().kill();
    wait_until(
        DEADLINE,
        "queries say that their database is away",
        async || {
            read.execute("{ dealsForBuyer { nodes { id } } }", json!({}))
                .await
                .body["errors"]
                .is_array()
        },
    )
    .await;
    market.services.postgres().restart().await;
    load.run_for(20).await;
    market.finish(load).await;
}

// Goal: pushes do not depend on Redis.
// Method: keep Redis away for ten seconds under load.
// Proves: readers see every change once and in order, from the feed's table.
#[tokio::test(flavor = "multi_thread")]
async fn redis_outage_of_ten_seconds_loses_no_change() {
    let market = Separate::start().await;
    let load = market.load().await;
    load.run_for(20).await;
    market.services.redis().kill();
    // The load goes on meanwhile, and so do the pushes: the feed is polled.
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(10) {
        load.run_for(10).await;
    }
    market.services.redis().restart().await;
    load.run_for(40).await;
    market.finish(load).await;
}

// Goal: processes need no order of start.
// Method: start a gateway and both projectors before their servers exist.
// Proves: the market works once the servers are up.
#[tokio::test(flavor = "multi_thread")]
async fn servers_started_after_the_process_are_found() {
    let services = Services::private().await;
    let market = services.market().await;
    services.nats().kill();
    services.redis().kill();
    services.postgres().kill();
    let process = Process::spawn(&market.environment());
    wait_until(
        DEADLINE,
        "the process says that it is not ready",
        async || process.ready_status().await == 503,
    )
    .await;
    services.postgres().restart().await;
    services.redis().restart().await;
    assert_eq!(process.ready_status().await, 503, "the log is still away");
    services.nats().restart().await;
    process.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directory_belongs_to_one_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("a path of text");
    let process = Process::spawn(&[("DEALWIRE_DATA_DIR", data_dir)]);
    process.ready().await;
    let run = async |arguments: &[&str]| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_dealwire"))
            .args(arguments)
            .env("DEALWIRE_DATA_DIR", data_dir)
            .output()
            .await
            .expect("the binary runs")
    };
    let second = run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use by another process"));
    wait_until(DEADLINE, "commands find the server", async || {
        folder.path().join("server").exists()
    })
    .await;
    let made = run(&["admin", "create-buyer", "--name", "late buyer"]).await;
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let id = String::from_utf8(made.stdout)
        .expect("text")
        .trim()
        .to_owned();
    let issued = run(&["admin", "issue-key", "--account", &id]).await;
    let issued = String::from_utf8(issued.stdout).expect("text");
    let key = issued.split_whitespace().nth(1).expect("an id and a key");
    let viewer = Client::new(&process.url(), Some(key))
        .data("{ viewer { id name } }", json!({}))
        .await;
    assert_eq!(viewer["viewer"], json!({ "id": id, "name": "late buyer" }));
    drop(process);
    wait_until(
        DEADLINE,
        "public keys are refused beyond loopback",
        async || {
            let open = run(&["serve", "--listen", "0.0.0.0:0"]).await;
            !open.status.success()
                && String::from_utf8_lossy(&open.stderr).contains("keys are public")
        },
    )
    .await;
}
