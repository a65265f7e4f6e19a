//! Positions: a subscription that stores its position sees every change once and in order, however
//! often its connection breaks.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{BUYER_KEY, SELLER_KEY, Subscription, TestApp, UPDATE, on_both};

on_both!(
    changes_of_200_writers_of_one_deal_are_pushed_in_order,
    subscription_resumes_where_its_socket_was_dropped
);

/// Number of changes that the writers of a test make in total.
const CHANGES: usize = 300;
/// Number of changes that a socket reads before it is dropped; not a divisor of [`CHANGES`].
const CHANGES_PER_SOCKET: usize = 37;

async fn changes_of_200_writers_of_one_deal_are_pushed_in_order(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, None).await;

    let created = seller.create("contended").await;
    let id = created["deal"]["id"]
        .as_str()
        .expect("a deal has an id")
        .to_owned();

    let mut writers = JoinSet::new();
    for number in 0..200 {
        let seller = seller.clone();
        let id = id.clone();
        writers.spawn(async move { seller.rename(&id, &format!("name {number}")).await });
    }

    // The first version is that of the creation.
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

async fn subscription_resumes_where_its_socket_was_dropped(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let mut deals = Vec::new();
    for number in 0..3 {
        deals.push(seller.create(&format!("deal {number}")).await);
    }

    let mut position = deals[2]["position"]
        .as_str()
        .expect("a payload has a position")
        .to_owned();

    let mut writers = JoinSet::new();
    for deal in &deals {
        let seller = seller.clone();
        let id = deal["deal"]["id"].clone();
        writers.spawn(async move {
            for number in 0..CHANGES / 3 {
                let input = json!({ "input": { "id": id, "name": format!("name {number}") } });
                seller.data(UPDATE, input).await;
            }
        });
    }

    // Each socket is dropped after a few changes, while more are on their way to it.
    let mut newest_versions = HashMap::<String, u64>::new();
    let mut seen = 0;
    while seen < CHANGES {
        let mut changes = Subscription::deals(&app.url(), BUYER_KEY, Some(&position)).await;

        for _ in 0..(CHANGES - seen).min(CHANGES_PER_SOCKET) {
            let change = changes.next().await;
            let id = change["deal"]["id"]
                .as_str()
                .expect("a deal has an id")
                .to_owned();
            let version = change["deal"]["version"]
                .as_u64()
                .expect("a deal has a version");

            // Subscribed after the creations, so the first change of each deal is version 2.
            assert_eq!(
                version,
                newest_versions.insert(id, version).unwrap_or(1) + 1,
                "no change lost, none twice"
            );
            seen += 1;
        }

        position = changes.position.expect("changes have positions");
    }

    writers.join_all().await;
    assert_eq!(newest_versions.len(), 3);
    assert!(newest_versions.values().all(|version| *version == 101));
    app.stop().await;
}
