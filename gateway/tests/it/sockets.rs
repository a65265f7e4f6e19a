//! graphql-transport-ws over real sockets: the close codes, operations of every kind, one execution for all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, SELLER_KEY, Socket, Subscription, TestApp, on_both};

on_both!(
    wrong_clients_are_closed_with_their_code,
    every_kind_of_operation_runs,
    one_execution_serves_all,
    everything_is_rendered_without_a_viewer,
    sockets_are_told_to_come_again_when_the_gateway_ends,
    pings_tell_where_the_caught_up_stand_and_find_the_dead,
);

async fn fresh(app: &TestApp) -> Socket {
    Socket::connect(&app.url(), Some("graphql-transport-ws")).await
}

async fn wrong_clients_are_closed_with_their_code(app: TestApp) {
    let subscribe =
        json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ __typename }" } });
    let mut early = fresh(&app).await;
    early.send(subscribe).await;
    assert_eq!(early.close_code().await, 4401);

    let mut mute = Socket::connect(&app.url(), None).await;
    assert_eq!(mute.close_code().await, 4406);

    let mut garbled = fresh(&app).await;
    garbled.send_raw("hello").await;
    assert_eq!(garbled.close_code().await, 4400);

    let mut unknown = fresh(&app).await;
    unknown
        .send(json!({ "type": "connection_init", "payload": { "x-api-key": "unknown" } }))
        .await;
    assert_eq!(unknown.close_code().await, 4403);

    let mut eager = app.socket(SELLER_KEY).await;
    eager.send(json!({ "type": "connection_init" })).await;
    assert_eq!(eager.close_code().await, 4429);

    let mut doubled = app.socket(SELLER_KEY).await;
    for _ in 0..2 {
        doubled
            .subscribe("same", "subscription { dealChanged { type } }", json!({}))
            .await;
    }
    assert_eq!(doubled.close_code().await, 4409);

    let mut large = app.socket(SELLER_KEY).await;
    large
        .send(json!({ "type": "ping", "payload": { "x": "x".repeat(100 << 10) } }))
        .await;
    assert_eq!(large.close_code().await, 4400);

    let mut silent = fresh(&app).await;
    assert_eq!(silent.close_code().await, 4408);
    app.stop().await;
}

async fn every_kind_of_operation_runs(app: TestApp) {
    let mut socket = app.socket(SELLER_KEY).await;
    socket
        .send(json!({ "type": "ping", "payload": { "n": 1 } }))
        .await;
    assert_eq!(
        socket.message().await,
        json!({ "type": "pong", "payload": { "n": 1 } })
    );

    // Ids may be used again once an operation is complete.
    for query in [
        "{ viewer { role } }",
        "mutation { revokeApiKey(id: \"x\") { id } }",
    ] {
        socket.subscribe("again", query, json!({})).await;
        let next = socket.message().await;
        assert_eq!(
            (&next["type"], &next["id"]),
            (&json!("next"), &json!("again")),
            "{next}"
        );
        assert_eq!(
            socket.message().await,
            json!({ "type": "complete", "id": "again" })
        );
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
        assert_eq!(
            refused["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED",
            "{refused}"
        );
    }
    socket
        .subscribe(
            "live",
            "subscription { dealChanged { deal { name } } }",
            json!({}),
        )
        .await;
    socket.subscribe("begun", "{ __typename }", json!({})).await;
    while socket.message().await["type"] != "complete" {}
    app.client(SELLER_KEY).create("seen").await;
    assert_eq!(
        socket.message().await["payload"]["data"]["dealChanged"]["deal"]["name"],
        "seen"
    );
    socket
        .send(json!({ "type": "complete", "id": "live" }))
        .await;
    socket.subscribe("live", "{ __typename }", json!({})).await;
    assert_eq!(
        socket.message().await["payload"]["data"]["__typename"],
        "Query"
    );
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
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (1, 3),
        "one execution, three deliveries"
    );
    app.stop().await;
}

/// Whatever can be selected in a change, now and later, must be the same for all who see it: rendering has no viewer.
async fn everything_is_rendered_without_a_viewer(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let introspection = "{ __schema { subscriptionType { name } types { name
        fields { name type { name ofType { name ofType { name ofType { name } } } } } } } }";
    let schema = seller.data(introspection, json!({})).await["__schema"].take();
    let types = schema["types"].as_array().expect("types");
    let fields = |name: &str| {
        let found = types
            .iter()
            .find(|found| found["name"] == name)
            .expect("the type is there");
        found["fields"].as_array().cloned().unwrap_or_default()
    };
    let begin = seller.create("begin").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    seller.create("everything").await;
    let grant = "mutation($buyer: ID!) { revokeAccess(buyerId: $buyer) { granted } }";
    seller.data(grant, json!({ "buyer": BUYER_KEY })).await;
    let roots = fields(schema["subscriptionType"]["name"].as_str().expect("a name"));
    for root in &roots {
        let (name, selected) = (
            root["name"].as_str().expect("a name"),
            selection(root, &fields),
        );
        let query =
            format!("subscription($after: Position) {{ {name}(after: $after) {selected} }}");
        let mut changes =
            Subscription::open(&app.url(), SELLER_KEY, &query, json!({ "after": begin })).await;
        let change = changes.next().await;
        assert!(change["position"].is_string(), "{name}: {change}");
    }
    assert_eq!(roots.len(), 2);
    app.stop().await;
}

/// Everything that can be selected of a field's type, as the text of a selection set; empty for scalars and enums.
fn selection(field: &Value, fields: &impl Fn(&str) -> Vec<Value>) -> String {
    let mut kind = &field["type"];
    while kind["name"].is_null() {
        kind = &kind["ofType"];
    }
    let inner = fields(kind["name"].as_str().expect("a name"));
    if inner.is_empty() {
        return String::new();
    }
    let inner: Vec<String> = inner
        .iter()
        .map(|field| {
            format!(
                "{} {}",
                field["name"].as_str().expect("a name"),
                selection(field, fields)
            )
        })
        .collect();
    format!("{{ {} }}", inner.join(" "))
}

async fn sockets_are_told_to_come_again_when_the_gateway_ends(app: TestApp) {
    let mut idle = app.socket(BUYER_KEY).await;
    let mut busy = app.socket(SELLER_KEY).await;
    busy.subscribe("1", "subscription { dealChanged { type } }", json!({}))
        .await;
    let (idle, busy, ()) = tokio::join!(idle.close_code(), busy.close_code(), app.stop());
    assert_eq!((idle, busy), (1012, 1012));
}

async fn pings_tell_where_the_caught_up_stand_and_find_the_dead(app: TestApp) {
    let app = app
        .restarted_with(|config| config.ping = Duration::from_secs(1))
        .await;
    let (mut dead, mut idle) = (app.socket(SELLER_KEY).await, app.socket(SELLER_KEY).await);
    let mut live = app.socket(BUYER_KEY).await;
    live.subscribe("1", "subscription { dealChanged { position } }", json!({}))
        .await;
    let created = app.client(SELLER_KEY).create("a deal").await;
    // The mutation's position is the end of its event, and so is that of whoever has seen all of it.
    while live.ping().await["position"] != created["position"] {}
    assert_eq!(
        idle.ping().await,
        Value::Null,
        "nothing is followed here, so there is no position"
    );
    assert_eq!(dead.close_code().await, 4290, "two pings went unanswered");
    assert_eq!(
        live.ping().await,
        json!({ "position": created["position"] }),
        "who answers stays"
    );
    app.stop().await;
}

/// Executions and deliveries, as `/metrics` tells them.
async fn counters(app: &TestApp) -> (u64, u64) {
    (
        app.metric("dealwire_push_executions_total").await,
        app.metric("dealwire_push_deliveries_total").await,
    )
}
