//! Rebuilds, verification, backup and restore, as clients and operators see them.

use std::fs;
use std::path::Path;

use backbone::rebuild::Rebuilt;
use backbone::replay::Scratch;
use backbone::testkit::wait_until;
use serde_json::json;

use crate::kit::{
    BUYER_KEY, Client, DEADLINE, Process, SELLER_KEY, Subscription, TestApp, on_both,
};

on_both!(
    rebuild_is_exact_for_subscribers_and_mends_what_readers_see,
    grant_that_was_lost_holds_again_for_open_subscriptions,
    subscriber_from_before_a_feed_that_was_cut_is_told,
);

const FOLLOW: &str =
    "subscription($after: Position) { dealChanged(after: $after) { position deal { id } } }";

const DEALS: &str = "query($first: Int) { dealsForBuyer(first: $first) {
    nodes { id name totalPrice version items { name } } } }";

async fn rebuild_is_exact_for_subscribers_and_mends_what_readers_see(app: TestApp) {
    // Goal: clients notice nothing of a rebuild but that wrong rows are right.
    // Method: damage the price of a deal, and rebuild while its seller writes and a buyer subscribes
    // and polls a page.
    // Proven: every version is pushed once and in order, and the page shows the price again.
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let created = seller.create("damaged").await;
    let hot = seller.create("hot").await;
    let hot = hot["deal"]["id"].as_str().expect("a deal has an id");
    let mut changes =
        Subscription::deals(&app.url(), BUYER_KEY, created["position"].as_str()).await;
    app.caught_up().await;

    app.on_buyer_database("UPDATE deal SET total_price = $1 WHERE name = 'damaged'", 7)
        .await;
    let price = async || {
        let page = buyer.data(DEALS, json!({ "first": 50 })).await;
        let nodes = page["dealsForBuyer"]["nodes"].as_array().cloned();
        let mut nodes = nodes.expect("a page has deals").into_iter();
        let deal = nodes.find(|deal| deal["name"] == "damaged");
        deal.expect("the page has the deal")["totalPrice"].clone()
    };
    assert_eq!(price().await, 7);

    let write = async |count: usize| {
        for number in 0..count {
            seller.rename(hot, &format!("name {number}")).await;
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&app), write(60));
    assert_eq!(rebuilt.checkpoint.generation, 2);
    assert!(!rebuilt.is_feed_cut);
    write(20).await;

    for version in 1..=81 {
        let change = changes.next().await;
        assert_eq!(
            change["deal"]["version"], version,
            "once, in order: {change}"
        );
    }
    wait_until(DEADLINE, "the price is right again", async || {
        price().await == 1000
    })
    .await;
    app.stop().await;
}

async fn grant_that_was_lost_holds_again_for_open_subscriptions(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    app.on_buyer_database("DELETE FROM access WHERE granted_at > $1", 0)
        .await;
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, None).await;
    seller.create("hidden").await;
    app.caught_up().await;

    assert!(rebuild(&app).await.replaced > 0);
    let seen = seller.create("seen").await;
    assert_eq!(changes.next().await["deal"]["id"], seen["deal"]["id"]);
    app.stop().await;
}

async fn subscriber_from_before_a_feed_that_was_cut_is_told(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let before = seller.create("before").await;
    let lost = seller.create("lost").await;
    app.caught_up().await;
    let checkpoint = app.app.backends().buyers.checkpoint().await;
    let last = checkpoint.expect("the tables answer").position;
    app.on_buyer_database("DELETE FROM feed WHERE sequence = $1", last as i64)
        .await;

    assert!(rebuild(&app).await.is_feed_cut);
    let next = seller.create("next").await;
    app.caught_up().await;

    // Until the gateway has noticed the rebuild, its ring still has what the table lacks.
    wait_until(DEADLINE, "the subscriber is told", async || {
        let mut socket = app.socket(BUYER_KEY).await;
        let after = json!({ "after": before["position"] });
        socket.subscribe("1", FOLLOW, after).await;
        let message = socket.message().await;
        message.to_string().contains("POSITION_EXPIRED")
    })
    .await;

    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, lost["position"].as_str()).await;
    assert_eq!(changes.next().await["deal"]["id"], next["deal"]["id"]);
    app.stop().await;
}

async fn rebuild(app: &TestApp) -> Rebuilt {
    let backends = app.app.backends();
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let scratch = Scratch::create(folder.path()).expect("the folder can be written to");
    let both = backends.buyers.beside_replay(&backends.log, &scratch).await;

    let rebuilt = both.expect("the log answers").rebuild(&mut |_, _| {}).await;
    rebuilt.expect("nobody else rebuilds")
}

#[tokio::test(flavor = "multi_thread")]
async fn market_that_is_restored_from_a_backup_goes_on_where_its_clients_were() {
    // Goal: a restore is never silently wrong.
    // Method: copy the databases, go on, export the log, lose everything, restore the copy and import the
    // log, all with the commands of an operator.
    // Proven: the tables catch up with the log, `verify` is clean, and a subscriber misses nothing and
    // sees nothing twice, from a position that the restored tables had not reached.
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let data = folder.path().join("data");
    let backup = folder.path().join("backup");
    let mut market = Process::spawn(&[("DEALWIRE_DATA_DIR", text(&data))]);
    market.ready().await;
    let seller = Client::new(&market.url(), Some(SELLER_KEY));
    let created = seller.create("kept").await;
    let deal = created["deal"]["id"].as_str().expect("a deal has an id");
    market.stop().await;
    copy_databases(&data, &backup);

    market.start();
    market.ready().await;
    let mut position = created["position"].as_str().map(str::to_owned);
    for number in 2..=20 {
        let renamed = seller.rename(deal, &format!("version {number}")).await;
        if number == 12 {
            position = renamed["position"].as_str().map(str::to_owned);
        }
    }
    market.stop().await;
    let export = folder.path().join("log.jsonl");
    dealwire(&data, &["log", "export", text(&export)], 0).await;

    fs::remove_dir_all(&data).expect("nobody uses it");
    copy_databases(&backup, &data);
    dealwire(&data, &["log", "import", text(&export)], 0).await;
    let again = dealwire(&data, &["log", "import", text(&export)], 0).await;
    assert!(again.starts_with("Imported 0 events"), "{again}");
    let clean = dealwire(&data, &["verify"], 0).await;
    assert!(clean.contains("0 differ"), "{clean}");

    market.start();
    market.ready().await;
    seller.rename(deal, "version 21").await;
    let mut changes = Subscription::deals(&market.url(), BUYER_KEY, position.as_deref()).await;
    for version in 13..=21 {
        assert_eq!(changes.next().await["deal"]["version"], version);
    }
    market.stop().await;

    shows_and_mends_with_commands(&data).await;
}

/// Damages a row of a market that is stopped, and lets the commands find and mend it.
async fn shows_and_mends_with_commands(data: &Path) {
    let file = data.join("market-seller.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await;
    let pool = pool.expect("the database can be opened");
    sqlx::query("UPDATE deal SET total_price = 7 WHERE version = 21")
        .execute(&pool)
        .await
        .expect("the statement is valid");
    pool.close().await;

    let found = dealwire(data, &["verify"], 1).await;
    assert!(
        found.contains("total_price is 7 in the tables, 1000 in the replay"),
        "{found}"
    );
    let rebuilt = dealwire(data, &["rebuild", "seller"], 0).await;
    assert!(rebuilt.contains("generation 2"), "{rebuilt}");
    dealwire(data, &["verify"], 0).await;

    let events = dealwire(data, &["log", "tail", "--after", "0"], 0).await;
    let first = events.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("1 ") && first.contains("market.opened"),
        "{first}"
    );
    let last = events.lines().count().to_string();
    let event = dealwire(data, &["log", "show", &last], 0).await;
    assert!(event.contains("\"name\": \"version 21\""), "{event}");
    dealwire(data, &["log", "show", "1000"], 1).await;
}

/// Copies the databases of a market that is stopped, without its log.
fn copy_databases(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be created");
    for entry in fs::read_dir(from).expect("the folder exists") {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name();
        if !name.to_string_lossy().contains("-log.") {
            fs::copy(entry.path(), to.join(name)).expect("a file can be copied");
        }
    }
}

/// Runs a command on a data directory, which must end with this code. Returns what it prints.
async fn dealwire(data: &Path, arguments: &[&str], code: i32) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_dealwire"))
        .args(arguments)
        .env("DEALWIRE_DATA_DIR", data)
        .output()
        .await
        .expect("the binary runs");

    let printed = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {printed}{errors}"
    );
    printed
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
