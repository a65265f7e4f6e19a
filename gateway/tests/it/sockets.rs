//! graphql-transport-ws over real sockets: close codes, operations of every kind, and one execution
//! for all subscribers with the same selection.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Client, SELLER_KEY, Socket, Subscription, TestApp, on_both};

on_both!(
    clients_that_break_the_protocol_are_closed_with_its_codes,
    operations_of_every_kind_run,
    subscribers_with_one_selection_share_one_execution,
    changes_are_rendered_without_a_viewer,
    sockets_are_closed_with_1012_when_the_gateway_stops,
    pings_carry_the_position_of_subscribers_that_are_caught_up,
);

const SUBPROTOCOL: &str = "graphql-transport-ws";

async fn connect(app: &TestApp) -> Socket {
    Socket::connect(&app.url(), Some(SUBPROTOCOL)).await
}

async fn clients_that_break_the_protocol_are_closed_with_its_codes(app: TestApp) {
    check_sockets_without_acknowledgement(&app).await;

    let mut second_init = app.socket(SELLER_KEY).await;
    second_init.send(json!({ "type": "connection_init" })).await;
    assert_eq!(second_init.close_code().await, 4429);

    let mut duplicate_id = app.socket(SELLER_KEY).await;
    for _ in 0..2 {
        duplicate_id
            .subscribe("same", "subscription { dealChanged { type } }", json!({}))
            .await;
    }
    assert_eq!(duplicate_id.close_code().await, 4409);

    let mut large = app.socket(SELLER_KEY).await;
    large
        .send(json!({ "type": "ping", "payload": { "x": "x".repeat(100 << 10) } }))
        .await;
    assert_eq!(large.close_code().await, 4400);

    let mut silent = connect(&app).await;
    assert_eq!(silent.close_code().await, 4408);

    app.stop().await;
}

async fn check_sockets_without_acknowledgement(app: &TestApp) {
    let mut early = connect(app).await;
    early
        .send(json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ __typename }" } }))
        .await;
    assert_eq!(early.close_code().await, 4401);

    let mut without_subprotocol = Socket::connect(&app.url(), None).await;
    assert_eq!(without_subprotocol.close_code().await, 4406);

    let mut garbled = connect(app).await;
    garbled.send_raw("hello").await;
    assert_eq!(garbled.close_code().await, 4400);

    let mut unknown_key = connect(app).await;
    unknown_key
        .send(json!({ "type": "connection_init", "payload": { "x-api-key": "unknown" } }))
        .await;
    assert_eq!(unknown_key.close_code().await, 4403);
}

async fn operations_of_every_kind_run(app: TestApp) {
    let mut socket = app.socket(SELLER_KEY).await;
    socket
        .send(json!({ "type": "ping", "payload": { "n": 1 } }))
        .await;
    assert_eq!(
        socket.message().await,
        json!({ "type": "pong", "payload": { "n": 1 } })
    );

    check_single_results(&mut socket).await;
    check_refused_operations(&mut socket).await;

    let subscription = "subscription { dealChanged { deal { name } } }";
    socket.subscribe("live", subscription, json!({})).await;
    // The query's `complete` shows that the subscription before it has begun.
    socket.subscribe("begun", "{ __typename }", json!({})).await;
    while socket.message().await["type"] != "complete" {}

    app.client(SELLER_KEY).create("seen").await;
    let change = socket.message().await;
    assert_eq!(
        change["payload"]["data"]["dealChanged"]["deal"]["name"],
        "seen"
    );

    // A completed subscription frees its id.
    socket
        .send(json!({ "type": "complete", "id": "live" }))
        .await;
    socket.subscribe("live", "{ __typename }", json!({})).await;
    let next = socket.message().await;
    assert_eq!(next["payload"]["data"]["__typename"], "Query");

    app.stop().await;
}

/// Runs a query and a mutation under the same id, which is free again when an operation is
/// complete.
async fn check_single_results(socket: &mut Socket) {
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
}

async fn check_refused_operations(socket: &mut Socket) {
    for invalid in [
        "{ nothing }",
        "subscription { dealChanged { type } accessChanged { granted } }",
        "subscription { ...f } fragment f on Subscription { dealChanged { type } accessChanged { granted } }",
        "subscription { dealChanged { nothing } }",
    ] {
        socket.subscribe("again", invalid, json!({})).await;

        let refused = socket.message().await;
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(
            refused["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED",
            "{refused}"
        );
    }
}

async fn subscribers_with_one_selection_share_one_execution(app: TestApp) {
    let mut subscriptions = Vec::new();
    for key in [BUYER_KEY, BUYER_KEY, SELLER_KEY] {
        subscriptions.push(Subscription::deals(&app.url(), key, None).await);
    }
    let executions = app.metric("dealwire_push_executions_total").await;
    let deliveries = app.metric("dealwire_push_deliveries_total").await;

    app.client(SELLER_KEY).create("for all").await;
    let mut changes = Vec::new();
    for subscription in &mut subscriptions {
        changes.push(subscription.next().await);
    }
    assert!(changes.iter().all(|change| *change == changes[0]));

    let executed = app.metric("dealwire_push_executions_total").await - executions;
    let delivered = app.metric("dealwire_push_deliveries_total").await - deliveries;
    assert_eq!(
        (executed, delivered),
        (1, 3),
        "one execution, three deliveries"
    );

    app.stop().await;
}

/// Selects everything that the schema offers in a change, including fields that are added later: a
/// rendered change is shared by all who may see it, so no field may depend on the viewer.
async fn changes_are_rendered_without_a_viewer(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let schema = introspect(&seller).await;
    let types = schema["types"].as_array().expect("a schema has types");
    let fields = |name: &str| {
        let found = types
            .iter()
            .find(|found| found["name"] == name)
            .expect("the schema has the type");
        found["fields"].as_array().cloned().unwrap_or_default()
    };

    let begin = seller.create("begin").await["position"]
        .as_str()
        .expect("a payload has a position")
        .to_owned();
    seller.create("everything").await;
    let revoke = "mutation($buyer: ID!) { revokeAccess(buyerId: $buyer) { granted } }";
    seller.data(revoke, json!({ "buyer": BUYER_KEY })).await;

    let root_type = &schema["subscriptionType"]["name"];
    let roots = fields(root_type.as_str().expect("a type has a name"));
    for root in &roots {
        let name = root["name"].as_str().expect("a field has a name");
        let selection = selection(root, &fields);
        let query =
            format!("subscription($after: Position) {{ {name}(after: $after) {selection} }}");

        let variables = json!({ "after": begin });
        let mut changes = Subscription::open(&app.url(), SELLER_KEY, &query, variables).await;
        let change = changes.next().await;
        assert!(change["position"].is_string(), "{name}: {change}");
    }
    assert_eq!(roots.len(), 2);

    app.stop().await;
}

async fn introspect(client: &Client) -> Value {
    let introspection = "{ __schema { subscriptionType { name } types { name
        fields { name type { name ofType { name ofType { name ofType { name } } } } } } } }";

    client.data(introspection, json!({})).await["__schema"].take()
}

/// Returns a selection set of everything in a field's type; empty for scalars and enums.
fn selection(field: &Value, fields: &impl Fn(&str) -> Vec<Value>) -> String {
    // Lists and non-null types have no name, but a type that they wrap.
    let mut kind = &field["type"];
    while kind["name"].is_null() {
        kind = &kind["ofType"];
    }

    let inner = fields(kind["name"].as_str().expect("a type has a name"));
    if inner.is_empty() {
        return String::new();
    }

    let inner: Vec<String> = inner
        .iter()
        .map(|field| {
            format!(
                "{} {}",
                field["name"].as_str().expect("a field has a name"),
                selection(field, fields)
            )
        })
        .collect();
    format!("{{ {} }}", inner.join(" "))
}

async fn sockets_are_closed_with_1012_when_the_gateway_stops(app: TestApp) {
    let mut idle = app.socket(BUYER_KEY).await;
    let mut subscribed = app.socket(SELLER_KEY).await;
    subscribed
        .subscribe("1", "subscription { dealChanged { type } }", json!({}))
        .await;

    let (idle, subscribed, ()) =
        tokio::join!(idle.close_code(), subscribed.close_code(), app.stop());
    assert_eq!((idle, subscribed), (1012, 1012));
}

async fn pings_carry_the_position_of_subscribers_that_are_caught_up(app: TestApp) {
    let app = app
        .restarted_with(|config| config.ping = Duration::from_secs(1))
        .await;
    let mut unanswering = app.socket(SELLER_KEY).await;
    let mut idle = app.socket(SELLER_KEY).await;
    let mut subscribed = app.socket(BUYER_KEY).await;
    subscribed
        .subscribe("1", "subscription { dealChanged { position } }", json!({}))
        .await;

    // The mutation's position is the end of its event, and so is that of whoever has seen all of
    // it.
    let created = app.client(SELLER_KEY).create("a deal").await;
    while subscribed.ping().await["position"] != created["position"] {}
    assert_eq!(
        idle.ping().await,
        Value::Null,
        "a socket without subscriptions has no position"
    );

    assert_eq!(
        unanswering.close_code().await,
        4290,
        "two pings went unanswered"
    );
    assert_eq!(
        subscribed.ping().await,
        json!({ "position": created["position"] }),
        "a socket that answers stays open"
    );

    app.stop().await;
}
