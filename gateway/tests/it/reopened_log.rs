//! Logs that operators create and reopen: what is lost is told, and nobody goes on from what is gone.

use std::fs;
use std::path::Path;

use backbone::testkit::{NatsServer, Services, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Client, DEADLINE, Process, SELLER_KEY, Socket, dealwire, seed};

const ALL: &str = "gateway,seller,buyer,webhooks";

const FOLLOW: &str =
    "subscription($after: Position) { dealChanged(after: $after) { position deal { id } } }";

const PAGE: &str = "query($at: Position) {
    dealsForBuyer(first: 50, minPosition: $at) { nodes { name version } position } }";

// Goal: a log that has lost its end for good is gone on with, and nobody is silently wrong.
// Method: a market's log is exported, the market goes on, and the export is imported into a server that has just been
// installed; the operator reopens the log while the market's process runs.
// Proves: the process refuses writes and says why; reopening asks, tells what is lost, ends the process, takes back what
// the log lacks, and is refused the second time; positions from before it are expired for subscriptions and queries; the
// tables are exactly what the log says, and go on.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_has_lost_its_end_is_gone_on_with() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let mut process = Process::with_role(&market, ALL, &[]);
    process.ready().await;
    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let kept = seller.create("kept").await;
    let kept = kept["deal"]["id"].as_str().expect("a deal has an id");
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let export = folder.path().join("log.jsonl");
    let export = text(&export);
    let exported = dealwire(&market.environment(), &["log", "export", export]).await;
    exported.done();
    seller.rename(kept, "changed since").await;
    let lost = seller.create("lost").await;
    caught_up(&process, &lost).await;
    process.stop().await;

    let replaced = NatsServer::start().await;
    let url = replaced.url();
    let environment = [&market.environment()[..], &[("DEALWIRE_NATS_URL", &url)]].concat();
    dealwire(&environment, &["log", "import", export])
        .await
        .done();
    let mut process = Process::with_role(&market, ALL, &[("DEALWIRE_NATS_URL", &url)]);
    let told = "readiness says what the log lacks";
    wait_until(DEADLINE, told, async || {
        process.ready_status().await != 0 && process.complaints().await.contains("does not have")
    })
    .await;

    let unasked = dealwire(&environment, &["log", "reopen"]).await.failed();
    assert!(unasked.contains("add --yes"), "{unasked}");
    let reopened = dealwire(&environment, &["log", "reopen", "--yes"])
        .await
        .done();
    for told in [
        "POSITION_EXPIRED",
        "The log goes on with a new epoch",
        "The buyer tables are of",
    ] {
        assert!(reopened.contains(told), "{reopened}");
    }
    process.failed().await;
    let again = dealwire(&environment, &["log", "reopen", "--yes"])
        .await
        .failed();
    assert!(again.contains("nothing to reopen"), "{again}");

    process.start();
    process.ready().await;
    is_gone_on_with(
        &process,
        kept,
        lost["position"].as_str().expect("it has one"),
    )
    .await;
    process.stop().await;
    let verified = dealwire(&environment, &["verify"]).await.done();
    assert_eq!(verified.matches(" 0 differ").count(), 2, "{verified}");
}

// Goal: an embedded market whose log was restored from an older copy than its tables is treated alike.
// Method: the log's file is copied, the market goes on, and the copy takes its place.
// Proves: the start is refused; after reopening, the market goes on from what the log has.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_log_that_is_older_than_its_tables_is_gone_on_with() {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let data = folder.path().join("data");
    let environment = [("DEALWIRE_DATA_DIR", text(&data))];
    let mut process = Process::spawn(&environment);
    process.ready().await;
    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let kept = seller.create("kept").await;
    let kept = kept["deal"]["id"].as_str().expect("a deal has an id");
    process.stop().await;
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).expect("a folder can be created");
    replace_log(&data, &copy);

    process.start();
    process.ready().await;
    seller.rename(kept, "changed since").await;
    let lost = seller.create("lost").await;
    caught_up(&process, &lost).await;
    process.stop().await;
    replace_log(&copy, &data);

    process.start();
    process.failed().await;
    let reopened = dealwire(&environment, &["log", "reopen", "--yes"])
        .await
        .done();
    assert!(
        reopened.contains("The log goes on with a new epoch"),
        "{reopened}"
    );
    process.start();
    process.ready().await;
    is_gone_on_with(
        &process,
        kept,
        lost["position"].as_str().expect("it has one"),
    )
    .await;
    process.stop().await;

    // Backups of log and tables from the same time fit, and only the operator knows that clients have seen more.
    let refused = dealwire(&environment, &["log", "reopen", "--yes"])
        .await
        .failed();
    assert!(refused.contains("nothing to reopen"), "{refused}");
    let restored = ["log", "reopen", "--restored", "--yes"];
    dealwire(&environment, &restored).await.done();
    dealwire(&environment, &["verify"]).await.done();
}

// Goal: the number of replicas of a new market's log is an operator's decision, made once.
// Method: the log is created before the market's first process starts, then again, then for a market whose tables have one.
// Proves: the process takes the log as it is, a second creation changes nothing, and neither does one that the server or
// the tables refuse.
#[tokio::test(flavor = "multi_thread")]
async fn log_of_a_new_market_is_created_once() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    let environment = market.environment();

    let unasked = dealwire(&environment, &["log", "create", "--replicas", "1"]).await;
    assert!(unasked.failed().contains("add --yes"));
    let clustered = dealwire(&environment, &["log", "create", "--replicas", "3", "--yes"]).await;
    let clustered = clustered.failed();
    assert!(clustered.contains("event log"), "{clustered}");
    let create = ["log", "create", "--replicas", "1", "--yes"];
    let created = dealwire(&environment, &create).await.done();
    assert!(created.contains("with 1 replica(s)"), "{created}");
    let again = dealwire(&environment, &create).await.failed();
    assert!(again.contains("exists already"), "{again}");

    seed(&market).await;
    let process = Process::with_role(&market, ALL, &[]);
    process.ready().await;
    Client::new(&process.url(), Some(SELLER_KEY))
        .create("first")
        .await;

    let empty = NatsServer::start().await;
    let url = empty.url();
    let elsewhere = [&environment[..], &[("DEALWIRE_NATS_URL", &url)]].concat();
    let refused = dealwire(&elsewhere, &create).await.failed();
    assert!(
        refused.contains("tables were built from epoch"),
        "{refused}"
    );
}

/// Checks a market whose log has lost the rename of the deal `kept`, and the deal created at `lost`.
async fn is_gone_on_with(process: &Process, kept: &str, lost: &str) {
    let buyer = Client::new(&process.url(), Some(BUYER_KEY));
    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let expired = buyer.execute(PAGE, json!({ "at": lost })).await;
    assert_eq!(expired.code(), "POSITION_EXPIRED");
    let of_seller = "query($at: Position) { dealsForSeller(minPosition: $at) { position } }";
    let expired = seller.execute(of_seller, json!({ "at": lost })).await;
    assert_eq!(expired.code(), "POSITION_EXPIRED");
    let mut socket = Socket::open(&process.url(), BUYER_KEY).await;
    socket
        .subscribe("1", FOLLOW, json!({ "after": lost }))
        .await;
    let message = socket.message().await;
    assert!(
        message.to_string().contains("POSITION_EXPIRED"),
        "{message}"
    );

    let page = buyer.data(PAGE, json!({})).await["dealsForBuyer"].take();
    let nodes = page["nodes"].as_array().cloned().expect("a page has deals");
    let named = |name: &str| nodes.iter().find(|deal| deal["name"] == name);
    assert_eq!(named("kept").map(|deal| &deal["version"]), Some(&json!(1)));
    assert!(named("lost").is_none());

    socket
        .subscribe("2", FOLLOW, json!({ "after": page["position"] }))
        .await;
    let renamed = seller.rename(kept, "goes on").await;
    assert_eq!(renamed["deal"]["version"], 2);
    let message = socket.message().await;
    assert_eq!(
        message["payload"]["data"]["dealChanged"]["deal"]["id"],
        kept
    );
}

/// Replaces the log of a data directory that nobody uses by that of another, with all of its files.
fn replace_log(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("market-log.sqlite{suffix}");
        let _absent = fs::remove_file(to.join(&name));
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).expect("a file can be copied");
        }
    }
}

/// Waits until the tables of both sides hold a deal's creation.
async fn caught_up(process: &Process, created: &Value) {
    let buyer = Client::new(&process.url(), Some(BUYER_KEY));
    let at = json!({ "at": created["position"] });
    wait_until(DEADLINE, "buyers see the deal", async || {
        buyer.execute(PAGE, at.clone()).await.body["errors"].is_null()
    })
    .await;

    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let id = created["deal"]["id"].as_str().expect("a deal has an id");
    wait_until(DEADLINE, "its seller sees the deal", async || {
        let path = format!("/deal/{id}");
        seller.rest(Method::GET, &path, None).await.status == 200
    })
    .await;
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
