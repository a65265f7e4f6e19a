//! Bad requests: each gets a code, none harms the server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    bad_requests_get_a_code,
    wrong_variables_stop_everything_with_their_paths,
    bad_positions_are_refused,
    roles_are_kept_apart,
);

async fn raw(client: &Client, kind: &str, accept: &str, body: String) -> Answer {
    let request = client
        .request(Method::POST, "/graphql")
        .header("content-type", kind)
        .header("accept", accept);
    Answer::read(
        request
            .body(body)
            .send()
            .await
            .expect("the gateway answers"),
    )
    .await
}

async fn bad_requests_get_a_code(app: TestApp) {
    let client = app.client(SELLER_KEY);
    let (json_kind, own_kind) = ("application/json", "application/graphql-response+json");
    let bomb = {
        let fragments: String = (0..30)
            .map(|n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1))
            .collect();
        format!("{{ ...f0 }} {fragments} fragment f30 on Query {{ __typename }}")
    };
    let query = |text: &str| json!({ "query": text }).to_string();
    let table = [
        (json_kind, "{".to_owned(), 400, "BAD_REQUEST"),
        ("text/plain", query("{ __typename }"), 400, "BAD_REQUEST"),
        (json_kind, "[]".to_owned(), 400, "BAD_REQUEST"),
        (json_kind, "{}".to_owned(), 400, "BAD_REQUEST"),
        (
            json_kind,
            query(&"x".repeat(300 << 10)),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (json_kind, query("{"), 400, "GRAPHQL_PARSE_FAILED"),
        (
            json_kind,
            query("{ nothing }"),
            400,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            json_kind,
            query("{ deal(id: 1.5) { id } }"),
            400,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            json_kind,
            query("query a { __typename } query b { __typename }"),
            400,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (json_kind, query(&bomb), 400, "QUERY_TOO_COMPLEX"),
        (
            json_kind,
            query("subscription { dealChanged { type } }"),
            400,
            "BAD_REQUEST",
        ),
    ];
    for (kind, body, status, code) in table {
        let said: String = body.chars().take(60).collect();
        let answer = raw(&client, kind, own_kind, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{said}");
        assert!(
            answer.body["errors"][0]["extensions"]["retryable"].is_boolean(),
            "{said}"
        );
        assert_eq!(
            answer.body.get("data").unwrap_or(&Value::Null),
            &Value::Null,
            "{said}"
        );
    }
    let as_json = raw(&client, json_kind, json_kind, query("{ nothing }")).await;
    assert_eq!(
        (as_json.status, as_json.code()),
        (200, "GRAPHQL_VALIDATION_FAILED")
    );

    let get = async |query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let request = client.request(Method::GET, &format!("/graphql?query={query}"));
        Answer::read(request.send().await.expect("the gateway answers")).await
    };
    assert_eq!(
        get("mutation { createSeller(name: \"x\") { id } }")
            .await
            .code(),
        "BAD_REQUEST"
    );
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
    assert_eq!(
        client.rest(Method::GET, "/deal?page=2", None).await.paths(),
        ["page"]
    );
    assert_eq!(
        get("{ viewer { role } }").await.data(),
        json!({ "viewer": { "role": "SELLER" } })
    );
    app.stop().await;
}

async fn wrong_variables_stop_everything_with_their_paths(app: TestApp) {
    let client = app.client(SELLER_KEY);
    let two = "mutation($first: CreateDealInput!, $second: CreateDealInput!, $key: String) {
        first: createDeal(input: $first, idempotencyKey: $key) { deal { id } }
        second: createDeal(input: $second) { deal { id } } }";
    let good = json!({ "name": "one", "totalPrice": 1, "currency": "GBP",
                       "items": { "name": "an item alone stands for a list", "price": 1 } });
    let wrong = json!({ "name": 7, "totalPrice": 1.5, "currency": null, "colour": "red",
                        "status": "LOST", "items": [{ "name": "i", "price": 1 }, { "name": "j" }, null] });
    let deals = "{ dealsForSeller(first: 100) { nodes { id } } }";
    let before = client.data(deals, json!({})).await;
    // The second time the document is known, and its variables are looked at all the same.
    for known in [false, true] {
        let mut variables = json!({ "first": good, "second": wrong, "key": ["x"] });
        let refused = client.execute(two, variables.take()).await;
        assert_eq!(refused.code(), "BAD_USER_INPUT", "known: {known}");
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
        assert_eq!(paths, expected, "known: {known}");
    }
    assert_eq!(
        client.execute(two, json!({ "first": good })).await.paths(),
        ["second"]
    );
    app.caught_up().await;
    assert_eq!(
        client.data(deals, json!({})).await,
        before,
        "the first root field was not executed either"
    );
    client
        .data(two, json!({ "first": good, "second": good, "key": null }))
        .await;

    let name = |name: &str| {
        let request = client.request(Method::POST, "/graphql");
        let query = "query a { a: __typename } query b { b: __typename }";
        request.json(&json!({ "query": query, "operationName": name }))
    };
    for operation in ["a", "b"] {
        let answer = Answer::read(name(operation).send().await.expect("the gateway answers"))
            .await
            .data();
        assert_eq!(
            answer[operation], "Query",
            "one document, two operations: {answer}"
        );
    }
    app.stop().await;
}

async fn bad_positions_are_refused(app: TestApp) {
    let epoch = app
        .app
        .backends()
        .log
        .epoch()
        .await
        .expect("the log is there");
    let beyond = backbone::position::Position::end_of(epoch, 1_000_000).encode();
    let foreign = backbone::position::Position::end_of(backbone::position::Epoch(7), 1).encode();
    let mut socket = app.socket(BUYER_KEY).await;
    for (id, after) in [("a", "garbage"), ("b", &beyond), ("c", &foreign)] {
        let query = "subscription($after: Position) { dealChanged(after: $after) { type } }";
        socket.subscribe(id, query, json!({ "after": after })).await;
        let answer = socket.message().await;
        assert_eq!(
            (&answer["type"], &answer["id"]),
            (&json!("error"), &json!(id))
        );
        assert_eq!(
            answer["payload"][0]["extensions"]["code"], "BAD_USER_INPUT",
            "{answer}"
        );
        assert_eq!(
            answer["payload"][0]["extensions"]["fields"][0]["path"],
            "after"
        );
    }
    app.stop().await;
}

async fn roles_are_kept_apart(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let nobody = Client::new(&app.url(), None);
    assert_eq!(
        nobody.execute("{ viewer { id } }", json!({})).await.code(),
        "UNAUTHENTICATED"
    );
    let unknown = app
        .client("unknown")
        .execute("{ viewer { id } }", json!({}))
        .await;
    assert_eq!((unknown.status, unknown.code()), (401, "UNAUTHENTICATED"));
    for (client, query) in [
        (&seller, "{ dealsForBuyer { nodes { id } } }"),
        (&buyer, "{ dealsForSeller { nodes { id } } }"),
        (
            &buyer,
            "mutation { revokeAccess(buyerId: \"90d57fe0-0fa1-4dae-a51c-917cc82bcddc\") { granted } }",
        ),
        (&seller, "mutation { createBuyer(name: \"x\") { id } }"),
    ] {
        assert_eq!(
            client.execute(query, json!({})).await.code(),
            "FORBIDDEN",
            "{query}"
        );
    }
    app.stop().await;
}
