//! graphql-transport-ws over real sockets: the close codes, operations of every kind, one execution for all.

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, SELLER_KEY, Socket, Subscription, TestApp, on_both};

on_both!(wrong_clients_are_closed_with_their_code, every_kind_of_operation_runs, one_execution_serves_all);

async fn fresh(app: &TestApp) -> Socket {
    Socket::connect(&app.url(), "graphql-transport-ws").await
}

async fn wrong_clients_are_closed_with_their_code(app: TestApp) {
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ __typename }" } });
    let mut early = fresh(&app).await;
    early.send(subscribe).await;
    assert_eq!(early.closed().await, 4401);

    let mut garbled = fresh(&app).await;
    garbled.send_raw("hello").await;
    assert_eq!(garbled.closed().await, 4400);

    let mut unknown = fresh(&app).await;
    unknown.send(json!({ "type": "connection_init", "payload": { "x-api-key": "unknown" } })).await;
    assert_eq!(unknown.closed().await, 4403);

    let mut eager = app.socket(SELLER_KEY).await;
    eager.send(json!({ "type": "connection_init" })).await;
    assert_eq!(eager.closed().await, 4429);

    let mut doubled = app.socket(SELLER_KEY).await;
    for _ in 0..2 {
        doubled.subscribe("same", "subscription { dealChanged { type } }", json!({})).await;
    }
    assert_eq!(doubled.closed().await, 4409);

    let mut large = app.socket(SELLER_KEY).await;
    large.send(json!({ "type": "ping", "payload": { "x": "x".repeat(100 << 10) } })).await;
    assert_eq!(large.closed().await, 4400);

    let mut silent = fresh(&app).await;
    assert_eq!(silent.closed().await, 4408);
    app.stop().await;
}

async fn every_kind_of_operation_runs(app: TestApp) {
    let mut socket = app.socket(SELLER_KEY).await;
    socket.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong", "payload": { "n": 1 } }));

    // Ids may be used again once an operation is complete.
    for query in ["{ viewer { role } }", "mutation { revokeApiKey(id: \"x\") { id } }"] {
        socket.subscribe("again", query, json!({})).await;
        let next = socket.message().await;
        assert_eq!((&next["type"], &next["id"]), (&json!("next"), &json!("again")), "{next}");
        assert_eq!(socket.message().await, json!({ "type": "complete", "id": "again" }));
    }
    for wrong in [
        "{ nothing }",
        "subscription { dealChanged { type } accessChanged { granted } }",
        "subscription { ...f } fragment f on Subscription { dealChanged { type } accessChanged { granted } }",
        "subscription { dealChanged { nothing } }",
    ] {
        socket.subscribe("again", wrong, json!({})).await;
        let refused = socket.message().await;
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{refused}");
    }
    socket.subscribe("live", "subscription { dealChanged { deal { name } } }", json!({})).await;
    socket.subscribe("begun", "{ __typename }", json!({})).await;
    while socket.message().await["type"] != "complete" {}
    app.client(SELLER_KEY).create("seen").await;
    assert_eq!(socket.message().await["payload"]["data"]["dealChanged"]["deal"]["name"], "seen");
    socket.send(json!({ "type": "complete", "id": "live" })).await;
    socket.subscribe("live", "{ __typename }", json!({})).await;
    assert_eq!(socket.message().await["payload"]["data"]["__typename"], "Query");
    app.stop().await;
}

async fn one_execution_serves_all(app: TestApp) {
    let mut subscriptions = Vec::new();
    for key in [BUYER_KEY, BUYER_KEY, SELLER_KEY] {
        subscriptions.push(Subscription::deals(&app.url(), key, None).await);
    }
    let before = counters(&app).await;
    app.client(SELLER_KEY).create("for all").await;
    let mut seen = Vec::new();
    for subscription in &mut subscriptions {
        seen.push(subscription.next().await);
    }
    assert!(seen.iter().all(|change| *change == seen[0]));
    let after = counters(&app).await;
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 3), "one execution, three deliveries");
    app.stop().await;
}

/// Executions and deliveries, as `/metrics` tells them.
async fn counters(app: &TestApp) -> (u64, u64) {
    let metrics = app.client(SELLER_KEY).rest(reqwest::Method::GET, "/metrics", None).await;
    let Value::String(text) = metrics.body else { panic!("metrics are text") };
    let read = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the metric is there");
        line.trim().parse().expect("a number")
    };
    (read("dealwire_push_executions_total"), read("dealwire_push_deliveries_total"))
}
