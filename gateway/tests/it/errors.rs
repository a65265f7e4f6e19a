//! Requests that the gateway refuses: each gets a code of the public contract, and none harms the
//! server.

use backbone::position::{Epoch, Position};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    bad_requests_get_a_code,
    variables_that_are_wrong_stop_every_root_field,
    positions_that_are_wrong_are_refused,
    roles_are_kept_apart,
);

const JSON: &str = "application/json";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// Request with its content type, body, and expected status and code.
type BadRequest = (&'static str, String, u16, &'static str);

async fn bad_requests_get_a_code(app: TestApp) {
    let client = app.client(SELLER_KEY);

    for (content_type, body, status, code) in bad_graphql_requests() {
        let shown: String = body.chars().take(60).collect();
        let answer = post(&client, content_type, GRAPHQL_RESPONSE, body).await;

        assert_eq!((answer.status, answer.code()), (status, code), "{shown}");
        assert!(
            answer.body["errors"][0]["extensions"]["retryable"].is_boolean(),
            "{shown}"
        );
        assert_eq!(
            answer.body.get("data").unwrap_or(&Value::Null),
            &Value::Null,
            "{shown}"
        );
    }

    // A client that accepts plain JSON gets the status 200 for any well-formed request.
    let as_json = post(&client, JSON, JSON, query("{ nothing }")).await;
    assert_eq!(
        (as_json.status, as_json.code()),
        (200, "GRAPHQL_VALIDATION_FAILED")
    );

    check_get(&client).await;
    check_other_paths(&client).await;

    app.stop().await;
}

fn bad_graphql_requests() -> [BadRequest; 11] {
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let two_operations = "query a { __typename } query b { __typename }";
    let subscription = "subscription { dealChanged { type } }";

    [
        (JSON, "{".to_owned(), 400, "BAD_REQUEST"),
        (
            "text/plain",
            query("{ __typename }"),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (JSON, "[]".to_owned(), 400, "BAD_REQUEST"),
        (JSON, "{}".to_owned(), 400, "BAD_REQUEST"),
        (
            JSON,
            query(&"x".repeat(300 << 10)),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (JSON, query("{"), 400, "GRAPHQL_PARSE_FAILED"),
        (JSON, query("{ nothing }"), 400, invalid),
        (JSON, query("{ deal(id: 1.5) { id } }"), 400, invalid),
        (JSON, query(two_operations), 400, invalid),
        (JSON, query(&fragment_bomb()), 400, "QUERY_TOO_COMPLEX"),
        (JSON, query(subscription), 400, "BAD_REQUEST"),
    ]
}

/// Builds a short document that selects 2^30 fields: each fragment spreads the next one twice.
fn fragment_bomb() -> String {
    let fragments: String = (0..30)
        .map(|n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1))
        .collect();

    format!("{{ ...f0 }} {fragments} fragment f30 on Query {{ __typename }}")
}

fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

async fn post(client: &Client, content_type: &str, accept: &str, body: String) -> Answer {
    let request = client
        .request(Method::POST, "/graphql")
        .header("content-type", content_type)
        .header("accept", accept)
        .body(body);

    Answer::read(request.send().await.expect("the gateway responds")).await
}

async fn check_get(client: &Client) {
    let get = async |query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let request = client.request(Method::GET, &format!("/graphql?query={query}"));

        Answer::read(request.send().await.expect("the gateway responds")).await
    };

    let mutation = get("mutation { createSeller(name: \"x\") { id } }").await;
    assert_eq!(mutation.code(), "METHOD_NOT_ALLOWED");

    let query = get("{ viewer { role } }").await;
    assert_eq!(query.data(), json!({ "viewer": { "role": "SELLER" } }));
}

async fn check_other_paths(client: &Client) {
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::DELETE, "/deal", 405),
    ] {
        let answer = client.rest(method, path, None).await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (status, &json!(status)),
            "{answer:?}"
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }

    let unknown_parameter = client.rest(Method::GET, "/deal?page=2", None).await;
    assert_eq!(unknown_parameter.paths(), ["page"]);
}

const TWO_DEALS: &str =
    "mutation($first: CreateDealInput!, $second: CreateDealInput!, $key: String) {
    first: createDeal(input: $first, idempotencyKey: $key) { deal { id } }
    second: createDeal(input: $second) { deal { id } } }";

async fn variables_that_are_wrong_stop_every_root_field(app: TestApp) {
    let client = app.client(SELLER_KEY);
    let valid = json!({ "name": "one", "totalPrice": 1, "currency": "GBP",
                        "items": { "name": "an item alone stands for a list", "price": 1 } });
    let wrong = json!({ "name": 7, "totalPrice": 1.5, "currency": null, "colour": "red", "status": "LOST",
                        "items": [{ "name": "i", "price": 1 }, { "name": "j" }, null] });
    let deals = "{ dealsForSeller(first: 100) { nodes { id } } }";
    let before = client.data(deals, json!({})).await;

    // The second time the document comes from the cache, and its variables are checked all the
    // same.
    for cached in [false, true] {
        let variables = json!({ "first": valid, "second": wrong, "key": ["x"] });
        let refused = client.execute(TWO_DEALS, variables).await;
        assert_eq!(refused.code(), "BAD_USER_INPUT", "cached: {cached}");

        let mut paths = refused.paths();
        paths.sort_unstable();
        let expected = [
            "key",
            "second.colour",
            "second.currency",
            "second.items.1.price",
            "second.items.2",
            "second.name",
            "second.status",
            "second.totalPrice",
        ];
        assert_eq!(paths, expected, "cached: {cached}");
    }

    let missing = client.execute(TWO_DEALS, json!({ "first": valid })).await;
    assert_eq!(missing.paths(), ["second"]);

    app.caught_up().await;
    assert_eq!(
        client.data(deals, json!({})).await,
        before,
        "the first root field was not executed either"
    );

    let all_valid = json!({ "first": valid, "second": valid, "key": null });
    client.data(TWO_DEALS, all_valid).await;

    check_operation_names(&client).await;
    app.stop().await;
}

async fn check_operation_names(client: &Client) {
    for operation in ["a", "b"] {
        let query = "query a { a: __typename } query b { b: __typename }";
        let request = client
            .request(Method::POST, "/graphql")
            .json(&json!({ "query": query, "operationName": operation }));

        let response = request.send().await.expect("the gateway responds");
        let data = Answer::read(response).await.data();
        assert_eq!(
            data[operation], "Query",
            "one document, two operations: {data}"
        );
    }
}

async fn positions_that_are_wrong_are_refused(app: TestApp) {
    let epoch = app
        .app
        .backends()
        .log
        .epoch()
        .await
        .expect("the log is available");
    let beyond_head = Position::end_of(epoch, 1_000_000).encode();
    let other_log = Position::end_of(Epoch(7), 1).encode();
    let mut socket = app.socket(BUYER_KEY).await;

    for (id, after, code, path) in [
        ("a", "garbage", "BAD_USER_INPUT", json!("after")),
        ("b", &beyond_head, "BAD_USER_INPUT", json!("after")),
        ("c", &other_log, "POSITION_EXPIRED", json!(null)),
    ] {
        let query = "subscription($after: Position) { dealChanged(after: $after) { type } }";
        socket.subscribe(id, query, json!({ "after": after })).await;

        let answer = socket.message().await;
        assert_eq!(
            (&answer["type"], &answer["id"]),
            (&json!("error"), &json!(id))
        );

        let extensions = &answer["payload"][0]["extensions"];
        assert_eq!(extensions["code"], code, "{answer}");
        assert_eq!(extensions["fields"][0]["path"], path);
    }

    app.stop().await;
}

async fn roles_are_kept_apart(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let viewer = "{ viewer { id } }";

    let without_key = Client::new(&app.url(), None);
    assert_eq!(
        without_key.execute(viewer, json!({})).await.code(),
        "UNAUTHENTICATED"
    );
    let unknown_key = app.client("unknown").execute(viewer, json!({})).await;
    assert_eq!(
        (unknown_key.status, unknown_key.code()),
        (401, "UNAUTHENTICATED")
    );

    for (client, query) in [
        (&seller, "{ dealsForBuyer { nodes { id } } }"),
        (&buyer, "{ dealsForSeller { nodes { id } } }"),
        (
            &buyer,
            "mutation { revokeAccess(buyerId: \"90d57fe0-0fa1-4dae-a51c-917cc82bcddc\") { granted } }",
        ),
        (&seller, "mutation { createBuyer(name: \"x\") { id } }"),
    ] {
        let refused = client.execute(query, json!({})).await;
        assert_eq!(refused.code(), "FORBIDDEN", "{query}");
    }

    app.stop().await;
}
