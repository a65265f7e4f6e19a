//! Deals over GraphQL: created, changed, refused, repeated, paged.

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, CREATE, SELLER_KEY, TestApp, UPDATE, on_both};

on_both!(
    a_stale_version_is_a_conflict,
    a_repeat_is_known_for_one,
    every_violation_is_told_with_its_path,
    pages_go_both_ways,
    a_read_waits_for_its_position,
);

fn input(name: &str) -> Value {
    json!({ "name": name, "totalPrice": 1000, "currency": "GBP", "items": [{ "name": "item", "price": 1 }] })
}

async fn a_stale_version_is_a_conflict(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let created = seller.create("deal").await;
    let id = created["deal"]["id"].as_str().expect("an id");
    seller.rename(id, "deal, changed").await;
    let stale = json!({ "input": { "id": id, "expectedVersion": 1, "name": "too late" } });
    let refused = seller.execute(UPDATE, stale).await;
    assert_eq!(refused.code(), "CONFLICT");
    assert_eq!(refused.body["errors"][0]["extensions"]["currentVersion"], 2);
    let sold = json!({ "input": { "id": id, "expectedVersion": 2, "status": "SOLD" } });
    assert_eq!(
        seller.data(UPDATE, sold).await["updateDeal"]["deal"]["version"],
        3
    );
    let unsold = seller
        .execute(
            UPDATE,
            json!({ "input": { "id": id, "status": "AVAILABLE" } }),
        )
        .await;
    assert_eq!(
        (unsold.code(), unsold.paths()),
        ("BAD_USER_INPUT", vec!["input.status"])
    );
    let same = seller.rename(id, "deal, changed").await;
    assert_eq!(
        same["deal"]["version"], 3,
        "what is so already is no change"
    );
    let other = app.client("second-seller-api-key");
    assert_eq!(
        other
            .execute(UPDATE, json!({ "input": { "id": id, "name": "mine" } }))
            .await
            .code(),
        "NOT_FOUND"
    );
    app.stop().await;
}

async fn a_repeat_is_known_for_one(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let create = json!({ "input": input("once"), "key": "creation" });
    let created = seller.data(CREATE, create.clone()).await["createDeal"].clone();
    assert_eq!(
        seller.data(CREATE, create.clone()).await["createDeal"],
        created
    );
    let id = created["deal"]["id"].as_str().expect("an id");
    let update = json!({ "input": { "id": id, "name": "twice asked" }, "key": "change" });
    seller.data(UPDATE, update.clone()).await;
    for number in 0..10 {
        seller.rename(id, &format!("name {number}")).await;
    }
    let repeated = seller.data(UPDATE, update).await["updateDeal"].clone();
    assert_eq!(
        repeated["deal"]["name"], "name 9",
        "the deal as it stands, nothing written again"
    );
    assert_eq!(repeated["deal"]["version"], 12);
    assert_eq!(
        seller.data(CREATE, create).await["createDeal"]["deal"]["version"],
        12
    );
    let reused = json!({ "input": { "id": id, "name": "something else" }, "key": "change" });
    assert_eq!(
        seller.execute(UPDATE, reused).await.code(),
        "IDEMPOTENCY_KEY_REUSED"
    );
    app.stop().await;
}

async fn every_violation_is_told_with_its_path(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let wrong = json!({ "key": "k".repeat(201), "input": {
        "name": "x".repeat(201), "totalPrice": 9_007_199_254_740_992_i64, "currency": "ABC",
        "discount": { "percentage": 12.345 },
        "items": [{ "name": "tab\there", "price": -1 },
                  { "id": "9c01d992-7344-44c2-b7d1-a66ac08b1cb7", "name": "a", "price": 1 },
                  { "id": "9c01d992-7344-44c2-b7d1-a66ac08b1cb7", "name": "b", "price": 1 }] } });
    let refused = seller.execute(CREATE, wrong).await;
    assert_eq!(refused.code(), "BAD_USER_INPUT");
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
        assert!(
            refused.paths().contains(&path),
            "{path} is not in {:?}",
            refused.paths()
        );
    }
    app.stop().await;
}

async fn pages_go_both_ways(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    for number in 0..7 {
        seller.create(&format!("deal {number}")).await;
    }
    app.caught_up().await;
    let query = "query($first: Int, $after: String, $last: Int, $before: String, $filter: DealFilter,
                       $order: DealOrder! = LAST_CHANGED_FIRST) {
        dealsForBuyer(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $order) {
            nodes { name totalPrice } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let ask = async |variables: Value| buyer.data(query, variables).await["dealsForBuyer"].clone();
    let names = |page: &Value| -> Vec<String> {
        let nodes = page["nodes"].as_array().expect("a list");
        nodes
            .iter()
            .map(|node| node["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let first = ask(json!({ "first": 3 })).await;
    assert_eq!(names(&first), ["deal 6", "deal 5", "deal 4"]);
    let second = ask(json!({ "first": 3, "after": first["pageInfo"]["endCursor"] })).await;
    assert_eq!(names(&second), ["deal 3", "deal 2", "deal 1"]);
    let back = ask(json!({ "last": 2, "before": second["pageInfo"]["startCursor"] })).await;
    assert_eq!(names(&back), ["deal 5", "deal 4"]);
    assert_eq!(back["pageInfo"]["hasPreviousPage"], true);
    let dear = json!({ "filter": { "currency": "GBP", "minTotalPrice": 80000 }, "order": "PRICE_ASCENDING" });
    assert_eq!(
        names(&ask(dear).await),
        ["Roof tiles", "john doe", "Oak boards"]
    );
    let sold = json!({ "filter": { "statuses": ["SOLD"] } });
    assert_eq!(names(&ask(sold).await), ["Roof tiles"]);
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
        let refused = buyer.execute(query, wrong).await;
        assert_eq!(
            (refused.code(), refused.paths()),
            ("BAD_USER_INPUT", vec![path])
        );
    }
    app.stop().await;
}

async fn a_read_waits_for_its_position(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let query = "query($id: ID!, $at: Position) { deal(id: $id, minPosition: $at) { version } node(id: $id) { id } }";
    let created = seller.create("deal").await;
    let id = &created["deal"]["id"];
    for version in 2..20 {
        let written = seller
            .rename(id.as_str().expect("an id"), &format!("name {version}"))
            .await;
        for reader in [&seller, &buyer] {
            let read = reader
                .data(query, json!({ "id": id, "at": written["position"] }))
                .await;
            assert_eq!(read["deal"]["version"], version);
        }
    }
    assert_eq!(
        buyer
            .execute(query, json!({ "id": id, "at": "garbage" }))
            .await
            .code(),
        "BAD_USER_INPUT"
    );
    let epoch = app
        .app
        .backends()
        .log
        .epoch()
        .await
        .expect("the log is there");
    let beyond = backbone::position::Position::end_of(epoch, 1_000_000);
    assert_eq!(
        buyer
            .execute(query, json!({ "id": id, "at": beyond }))
            .await
            .code(),
        "POSITION_NOT_REACHED"
    );
    let foreign = backbone::position::Position::end_of(backbone::position::Epoch(7), 1);
    assert_eq!(
        buyer
            .execute(query, json!({ "id": id, "at": foreign }))
            .await
            .code(),
        "BAD_USER_INPUT"
    );
    let stranger = app
        .client("second-buyer-api-key")
        .data(query, json!({ "id": id }))
        .await;
    assert_eq!(
        stranger,
        json!({ "deal": null, "node": null }),
        "without access it is not there"
    );
    app.stop().await;
}
