//! Other forms of the feed than a plain subscription: by pull, conflated, and with the position before each result.

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{BUYER_KEY, Client, SELLER_KEY, Socket, TestApp, UPDATE, on_both};

on_both!(
    pulled_pages_hold_what_a_subscription_pushes,
    pull_waits_for_a_change,
    pull_tells_what_is_wrong_with_its_arguments,
    rest_shows_the_same_changes,
    conflated_subscription_tells_the_latest_of_all,
    results_tell_the_position_of_the_one_before,
);

const PULL: &str = "query ($after: Position!, $first: Int, $wait: Int, $filter: DealFilter) {
    changes(after: $after, first: $first, wait: $wait, filter: $filter) {
        changes { type position changedFields skipped deal { id name status } } position more } }";

const CONFLATED: &str = "subscription ($after: Position) {
    dealChanged(after: $after, conflate: 1) { type position skipped changedFields deal { id name } } }";

/// Number of changes that a test makes.
const CHANGES: usize = 7;

/// Creates a deal and renames it. Returns its id and the position before all of it.
async fn make_changes(app: &TestApp) -> (String, String) {
    let seller = app.client(SELLER_KEY);
    let before = seller.create("before").await;
    let created = seller.create("name 0").await;
    let id = created["deal"]["id"].as_str().expect("an id").to_owned();

    for number in 1..CHANGES {
        seller.rename(&id, &format!("name {number}")).await;
    }

    let before = before["position"].as_str().expect("a position").to_owned();
    (id, before)
}

async fn pull(client: &Client, variables: Value) -> Value {
    client.data(PULL, variables).await["changes"].clone()
}

async fn pulled_pages_hold_what_a_subscription_pushes(app: TestApp) {
    let (id, before) = make_changes(&app).await;
    let buyer = app.client(BUYER_KEY);
    app.caught_up().await;

    let mut names = Vec::new();
    let mut after = json!(before);
    loop {
        let page = pull(&buyer, json!({ "after": after, "first": 2, "wait": 10 })).await;
        for change in page["changes"].as_array().expect("a list") {
            assert_eq!(change["deal"]["id"], json!(id));
            assert_eq!(change["skipped"], 0);
            names.push(change["deal"]["name"].clone());
        }

        after = page["position"].clone();
        if names.len() == CHANGES {
            assert_eq!(page["more"], false);
            break;
        }
        assert_eq!(page["more"], true);
    }
    let expected: Vec<Value> = (0..CHANGES)
        .map(|number| json!(format!("name {number}")))
        .collect();
    assert_eq!(names, expected);

    // Nothing follows, and the position stands.
    let end = pull(&buyer, json!({ "after": after })).await;
    assert_eq!(end["changes"], json!([]));
    app.stop().await;
}

async fn pull_waits_for_a_change(app: TestApp) {
    let (id, before) = make_changes(&app).await;
    let buyer = app.client(BUYER_KEY);
    let seller = app.client(SELLER_KEY);
    app.caught_up().await;
    let all = pull(&buyer, json!({ "after": before, "wait": 10, "first": 500 })).await;

    // Only a deal that leaves the filter concerns it, and only once.
    let filter = json!({ "statuses": ["AVAILABLE"] });
    let variables = json!({ "after": all["position"], "wait": 30, "filter": filter });
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { pull(&buyer, variables).await });
    seller
        .data(UPDATE, json!({ "input": { "id": id, "status": "SOLD" } }))
        .await;

    let page = waiting.join_all().await.remove(0);
    assert_eq!(page["changes"][0]["type"], "LEFT", "{page}");
    assert_eq!(page["changes"][0]["changedFields"], json!(["STATUS"]));
    assert_eq!(page["more"], false);
    app.stop().await;
}

async fn pull_tells_what_is_wrong_with_its_arguments(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let position = app.client(SELLER_KEY).create("deal").await["position"].clone();

    for (name, value) in [("first", 0), ("first", 501), ("wait", -1), ("wait", 31)] {
        let mut variables = json!({ "after": position });
        variables[name] = json!(value);
        let answer = buyer.execute(PULL, variables).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{name} {value}");
        assert_eq!(answer.paths(), [name]);
    }
    let garbage = buyer.execute(PULL, json!({ "after": "garbage" })).await;
    assert_eq!(garbage.code(), "BAD_USER_INPUT");
    let stranger = Client::new(&app.url(), None);
    let refused = stranger.execute(PULL, json!({ "after": position })).await;
    assert_eq!(refused.code(), "UNAUTHENTICATED");

    let wrong = "/changes?first=x&status=gone&minTotalPrice=-1&sellerId=1";
    let answer = buyer.rest(Method::GET, wrong, None).await;
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    let mut paths = answer.paths();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["after", "first", "minTotalPrice", "sellerId", "status"]
    );
    let unknown = buyer.rest(Method::GET, "/changes?sellerid=1", None).await;
    assert_eq!(unknown.paths(), ["sellerid"]);
    app.stop().await;
}

async fn rest_shows_the_same_changes(app: TestApp) {
    let (id, before) = make_changes(&app).await;
    let buyer = app.client(BUYER_KEY);
    app.caught_up().await;

    let path = format!("/changes?after={before}&wait=10&first=500&status=available&status=sold");
    let answer = buyer.rest(Method::GET, &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let changes = answer.body["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), CHANGES);
    assert_eq!(changes[0]["type"], "created");
    assert_eq!(changes[1]["type"], "updated");
    assert_eq!(changes[1]["changedFields"], json!(["name"]));
    assert_eq!(changes[1]["deal"]["id"], json!(id));
    assert_eq!(answer.body["more"], false);

    let graphql = pull(&buyer, json!({ "after": before, "first": 500 })).await;
    let positions = |changes: &Value| {
        let changes = changes.as_array().expect("a list").iter();
        changes
            .map(|change| change["position"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        positions(&answer.body["changes"]),
        positions(&graphql["changes"])
    );
    app.stop().await;
}

async fn conflated_subscription_tells_the_latest_of_all(app: TestApp) {
    let (id, before) = make_changes(&app).await;
    let seller = app.client(SELLER_KEY);
    app.caught_up().await;

    let mut socket = app.socket(BUYER_KEY).await;
    socket
        .subscribe("1", CONFLATED, json!({ "after": before }))
        .await;
    // What was missed is one window, which holds the creation.
    let missed = socket.message().await["payload"]["data"]["dealChanged"].clone();
    assert_eq!(missed["type"], "CREATED", "{missed}");
    assert_eq!(missed["skipped"], CHANGES - 1);
    assert_eq!(missed["deal"]["name"], format!("name {}", CHANGES - 1));

    for number in 0..CHANGES {
        seller.rename(&id, &format!("again {number}")).await;
    }
    let mut told = 0;
    let mut results = 0;
    while told < CHANGES as u64 {
        let change = socket.message().await["payload"]["data"]["dealChanged"].clone();
        assert_eq!(change["type"], "UPDATED");
        assert_eq!(change["changedFields"], json!(["NAME"]));
        results += 1;
        told += 1 + change["skipped"].as_u64().expect("a number");
        // The latest of those that it stands for.
        assert_eq!(change["deal"]["name"], format!("again {}", told - 1));
    }
    assert_eq!(told, CHANGES as u64);
    assert!(results < CHANGES, "{results} results for {CHANGES} changes");

    let wrong = "subscription { dealChanged(conflate: 61) { type } }";
    socket.subscribe("2", wrong, json!({})).await;
    let refused = socket.message().await;
    assert_eq!(refused["type"], "error");
    assert_eq!(
        refused["payload"][0]["extensions"]["code"],
        "BAD_USER_INPUT"
    );
    app.stop().await;
}

async fn results_tell_the_position_of_the_one_before(app: TestApp) {
    let (_, before) = make_changes(&app).await;
    let query = "subscription ($after: Position) { dealChanged(after: $after) { position } }";

    let mut socket = app.socket(BUYER_KEY).await;
    let payload = json!({
        "query": query,
        "variables": { "after": before },
        "extensions": { "positions": true },
    });
    socket
        .send(json!({ "type": "subscribe", "id": "1", "payload": payload }))
        .await;
    check_chain(&mut socket, before, CHANGES).await;
    app.stop().await;
}

/// Checks that each result names the one before it.
async fn check_chain(socket: &mut Socket, after: String, count: usize) {
    let mut previous = json!(after);

    for _ in 0..count {
        let payload = socket.message().await["payload"].clone();
        assert_eq!(
            payload["extensions"],
            json!({ "previousPosition": previous })
        );
        previous = payload["data"]["dealChanged"]["position"].clone();
    }
}
