//! Deals over GraphQL: creating, changing, refusing, repeating and paging.

use backbone::position::{Epoch, Position};
use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, CREATE, Client, SELLER_KEY, TestApp, UPDATE, on_both};

on_both!(
    expected_version_that_is_stale_is_a_conflict,
    idempotency_key_makes_a_repeat_return_the_first_result,
    violations_are_all_reported_with_their_paths,
    pages_go_both_ways,
    page_arguments_that_are_wrong_are_refused,
    read_waits_for_its_position,
);

const DEALS: &str = "query($first: Int, $after: String, $last: Int, $before: String, $filter: DealFilter,
                           $order: DealOrder! = LAST_CHANGED_FIRST) {
    dealsForBuyer(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $order) {
        nodes { name totalPrice } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

fn input(name: &str) -> Value {
    json!({ "name": name, "totalPrice": 1000, "currency": "GBP", "items": [{ "name": "item", "price": 1 }] })
}

async fn expected_version_that_is_stale_is_a_conflict(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let created = seller.create("deal").await;
    let id = created["deal"]["id"].as_str().expect("a deal has an id");
    seller.rename(id, "deal, changed").await;

    let stale = json!({ "input": { "id": id, "expectedVersion": 1, "name": "too late" } });
    let refused = seller.execute(UPDATE, stale).await;
    assert_eq!(refused.code(), "CONFLICT");
    assert_eq!(refused.body["errors"][0]["extensions"]["currentVersion"], 2);

    let current = json!({ "input": { "id": id, "expectedVersion": 2, "status": "SOLD" } });
    let sold = seller.data(UPDATE, current).await;
    assert_eq!(sold["updateDeal"]["deal"]["version"], 3);

    let back = json!({ "input": { "id": id, "status": "AVAILABLE" } });
    let refused = seller.execute(UPDATE, back).await;
    assert_eq!(
        (refused.code(), refused.paths()),
        ("BAD_USER_INPUT", vec!["input.status"])
    );

    let unchanged = seller.rename(id, "deal, changed").await;
    assert_eq!(
        unchanged["deal"]["version"], 3,
        "a change to the same value is no new version"
    );

    let other_seller = app.client("second-seller-api-key");
    let foreign = json!({ "input": { "id": id, "name": "mine" } });
    let refused = other_seller.execute(UPDATE, foreign).await;
    assert_eq!(refused.code(), "NOT_FOUND");

    app.stop().await;
}

async fn idempotency_key_makes_a_repeat_return_the_first_result(app: TestApp) {
    let seller = app.client(SELLER_KEY);

    let create = json!({ "input": input("once"), "key": "creation" });
    let created = seller.data(CREATE, create.clone()).await["createDeal"].clone();
    assert_eq!(
        seller.data(CREATE, create.clone()).await["createDeal"],
        created
    );

    let id = created["deal"]["id"].as_str().expect("a deal has an id");
    let update = json!({ "input": { "id": id, "name": "requested twice" }, "key": "change" });
    seller.data(UPDATE, update.clone()).await;

    // Ten changes between the request and its repeat: each event carries the keys of those before
    // it.
    for number in 0..10 {
        seller.rename(id, &format!("name {number}")).await;
    }

    let repeated = seller.data(UPDATE, update).await["updateDeal"].clone();
    assert_eq!(
        repeated["deal"]["name"], "name 9",
        "the deal is returned as it is now, and nothing is written again"
    );
    assert_eq!(repeated["deal"]["version"], 12);

    let repeated = seller.data(CREATE, create).await;
    assert_eq!(repeated["createDeal"]["deal"]["version"], 12);

    let different = json!({ "input": { "id": id, "name": "something else" }, "key": "change" });
    assert_eq!(
        seller.execute(UPDATE, different).await.code(),
        "IDEMPOTENCY_KEY_REUSED"
    );

    app.stop().await;
}

async fn violations_are_all_reported_with_their_paths(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let wrong = json!({ "key": "k".repeat(201), "input": {
        "name": "x".repeat(201), "totalPrice": 9_007_199_254_740_992_i64, "currency": "ABC",
        "discount": { "percentage": 12.345 },
        "items": [{ "name": "tab\there", "price": -1 },
                  { "id": "9c01d992-7344-44c2-b7d1-a66ac08b1cb7", "name": "a", "price": 1 },
                  { "id": "9c01d992-7344-44c2-b7d1-a66ac08b1cb7", "name": "b", "price": 1 }] } });

    let refused = seller.execute(CREATE, wrong).await;
    assert_eq!(refused.code(), "BAD_USER_INPUT");

    let paths = refused.paths();
    for path in [
        "idempotencyKey",
        "input.name",
        "input.totalPrice",
        "input.currency",
        "input.discount.percentage",
        "input.items.0.name",
        "input.items.0.price",
        "input.items.2.id",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }

    app.stop().await;
}

async fn pages_go_both_ways(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    for number in 0..7 {
        seller.create(&format!("deal {number}")).await;
    }
    app.caught_up().await;

    let first = page(&buyer, json!({ "first": 3 })).await;
    assert_eq!(names(&first), ["deal 6", "deal 5", "deal 4"]);

    let after = &first["pageInfo"]["endCursor"];
    let second = page(&buyer, json!({ "first": 3, "after": after })).await;
    assert_eq!(names(&second), ["deal 3", "deal 2", "deal 1"]);

    let before = &second["pageInfo"]["startCursor"];
    let backwards = page(&buyer, json!({ "last": 2, "before": before })).await;
    assert_eq!(names(&backwards), ["deal 5", "deal 4"]);
    assert_eq!(backwards["pageInfo"]["hasPreviousPage"], true);

    let expensive = json!({ "filter": { "currency": "GBP", "minTotalPrice": 80000 }, "order": "PRICE_ASCENDING" });
    assert_eq!(
        names(&page(&buyer, expensive).await),
        ["Roof tiles", "john doe", "Oak boards"]
    );
    let sold = json!({ "filter": { "statuses": ["SOLD"] } });
    assert_eq!(names(&page(&buyer, sold).await), ["Roof tiles"]);

    app.stop().await;
}

async fn page(buyer: &Client, variables: Value) -> Value {
    buyer.data(DEALS, variables).await["dealsForBuyer"].take()
}

fn names(page: &Value) -> Vec<&str> {
    let nodes = page["nodes"]
        .as_array()
        .expect("a page has a list of nodes");
    nodes
        .iter()
        .map(|node| node["name"].as_str().expect("a deal has a name"))
        .collect()
}

async fn page_arguments_that_are_wrong_are_refused(app: TestApp) {
    let buyer = app.client(BUYER_KEY);

    for (wrong, path) in [
        (json!({ "first": 1, "last": 1 }), "last"),
        (json!({ "first": 101 }), "first"),
        (json!({ "after": "garbage" }), "after"),
        (json!({ "order": "PRICE_DESCENDING" }), "orderBy"),
        (
            json!({ "filter": { "minTotalPrice": 1 } }),
            "filter.minTotalPrice",
        ),
        (
            json!({ "filter": { "sellerIds": ["x"] } }),
            "filter.sellerIds.0",
        ),
    ] {
        let refused = buyer.execute(DEALS, wrong).await;
        assert_eq!(
            (refused.code(), refused.paths()),
            ("BAD_USER_INPUT", vec![path])
        );
    }

    app.stop().await;
}

const DEAL_AT: &str = "query($id: ID!, $at: Position) {
    deal(id: $id, minPosition: $at) { version } node(id: $id) { id } }";

async fn read_waits_for_its_position(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let created = seller.create("deal").await;
    let id = created["deal"]["id"].as_str().expect("a deal has an id");

    // Read without waiting for the tables: each read must find the change that was just written.
    for version in 2..20 {
        let written = seller.rename(id, &format!("name {version}")).await;
        for reader in [&seller, &buyer] {
            let variables = json!({ "id": id, "at": written["position"] });
            let read = reader.data(DEAL_AT, variables).await;
            assert_eq!(read["deal"]["version"], version);
        }
    }

    let epoch = app
        .app
        .backends()
        .log
        .epoch()
        .await
        .expect("the log is available");
    let beyond_head = Position::end_of(epoch, 1_000_000).encode();
    let other_log = Position::end_of(Epoch(7), 1).encode();
    for (at, code) in [
        ("garbage", "BAD_USER_INPUT"),
        (beyond_head.as_str(), "POSITION_NOT_REACHED"),
        (other_log.as_str(), "POSITION_EXPIRED"),
    ] {
        let refused = buyer.execute(DEAL_AT, json!({ "id": id, "at": at })).await;
        assert_eq!(refused.code(), code, "{at}");
    }

    let other_buyer = app.client("second-buyer-api-key");
    assert_eq!(
        other_buyer.data(DEAL_AT, json!({ "id": id })).await,
        json!({ "deal": null, "node": null }),
        "a deal does not exist for a buyer without access"
    );

    app.stop().await;
}
