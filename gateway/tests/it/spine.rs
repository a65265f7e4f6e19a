//! Main path: a seller's mutation reaches a buyer's query and a buyer's open subscription.

use serde_json::json;

use crate::kit::{BUYER_KEY, SELLER_KEY, Subscription, TestApp, on_both};

on_both!(mutation_reaches_queries_and_subscriptions);

async fn mutation_reaches_queries_and_subscriptions(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, None).await;

    let created = seller.create("first").await;
    let id = created["deal"]["id"].as_str().expect("a deal has an id");

    let pushed = changes.next().await;
    assert_eq!(pushed["type"], "CREATED");
    assert_eq!(pushed["deal"]["id"], id);
    assert_eq!(
        pushed["changedFields"],
        json!(["NAME", "TOTAL_PRICE", "STATUS", "DISCOUNT", "ITEMS"])
    );

    let query = "query($id: ID!, $at: Position) { deal(id: $id, minPosition: $at) { name version finalPrice } }";
    let seen = buyer
        .data(query, json!({ "id": id, "at": created["position"] }))
        .await;
    assert_eq!(
        seen["deal"],
        json!({ "name": "first", "version": 1, "finalPrice": 1000 })
    );

    seller.rename(id, "second").await;
    let pushed = changes.next().await;
    assert_eq!(
        (&pushed["type"], &pushed["deal"]["version"]),
        (&json!("UPDATED"), &json!(2))
    );
    assert_eq!(pushed["changedFields"], json!(["NAME"]));

    app.stop().await;
}
