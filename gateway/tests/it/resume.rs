//! Positions: a subscription that stores its position sees every change once and in order, however it breaks.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{BUYER_KEY, SELLER_KEY, Subscription, TestApp, UPDATE, on_both};

on_both!(
    two_hundred_writers_of_one_deal,
    a_subscription_goes_on_where_it_was_cut_off
);

async fn two_hundred_writers_of_one_deal(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, None).await;
    let created = seller.create("contended").await;
    let id = created["deal"]["id"].as_str().expect("an id").to_owned();
    let mut writers = JoinSet::new();
    for number in 0..200 {
        let (seller, id) = (seller.clone(), id.clone());
        writers.spawn(async move { seller.rename(&id, &format!("name {number}")).await });
    }
    for version in 1..=201 {
        assert_eq!(
            changes.next().await["deal"]["version"],
            version,
            "pushed once, in order"
        );
    }
    let mut versions: Vec<Value> = writers
        .join_all()
        .await
        .iter()
        .map(|written| written["deal"]["version"].clone())
        .collect();
    versions.sort_by_key(Value::as_u64);
    assert_eq!(
        versions,
        (2..=201).map(Value::from).collect::<Vec<_>>(),
        "each writer made a version of its own"
    );
    app.stop().await;
}

async fn a_subscription_goes_on_where_it_was_cut_off(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let mut deals = Vec::new();
    for number in 0..3 {
        deals.push(seller.create(&format!("deal {number}")).await);
    }
    let mut position = deals[2]["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    let mut writers = JoinSet::new();
    for deal in &deals {
        let (seller, id) = (seller.clone(), deal["deal"]["id"].clone());
        writers.spawn(async move {
            for number in 0..100 {
                let input = json!({ "input": { "id": id, "name": format!("name {number}") } });
                seller.data(UPDATE, input).await;
            }
        });
    }
    let mut last = std::collections::HashMap::<String, u64>::new();
    // Each socket is dropped after a few changes, with more of them on their way.
    let mut seen = 0;
    while seen < 300 {
        let mut changes = Subscription::deals(&app.url(), BUYER_KEY, Some(&position)).await;
        for _ in 0..(300 - seen).min(37) {
            let change = changes.next().await;
            let id = change["deal"]["id"].as_str().expect("an id").to_owned();
            let version = change["deal"]["version"].as_u64().expect("a version");
            assert_eq!(
                version,
                last.insert(id, version).unwrap_or(1) + 1,
                "no change lost, none twice"
            );
            seen += 1;
        }
        position = changes.position.expect("changes have positions");
    }
    writers.join_all().await;
    assert!(last.len() == 3 && last.values().all(|version| *version == 101));
    app.stop().await;
}
