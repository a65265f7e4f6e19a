//! GraphQL over HTTP: media types, methods, parameters, encodings and status codes of the endpoint.

mod encodings;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Backing, Client, Events, SELLER_KEY, TestApp};

const ROLE: &str = "{ viewer { role } }";
const CREATE_ONE: &str =
    "mutation { createDeal(input: { name: \"once\", totalPrice: 1, currency: \"GBP\",
    items: [{ name: \"item\", price: 1 }] }) { position } }";
const DEALS: &str = "{ dealsForSeller(first: 100) { nodes { id } } }";
const CHANGES: &str = "subscription { dealChanged { deal { name } } }";

const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const STREAM: &str = "text/event-stream";
/// What urql sends with every request.
const URQL: &str = "application/graphql-response+json, application/graphql+json, application/json, \
     text/event-stream, multipart/mixed";

fn post(client: &Client, query: &str) -> RequestBuilder {
    client
        .request(Method::POST, "/graphql")
        .json(&json!({ "query": query }))
}

fn get(client: &Client, query: &str) -> RequestBuilder {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    client.request(Method::GET, &format!("/graphql?query={query}"))
}

/// Begins a request with a body of its own, declared as JSON.
fn send_body(client: &Client, method: Method, body: impl Into<Vec<u8>>) -> RequestBuilder {
    client
        .request(method, "/graphql")
        .header("content-type", "application/json")
        .body(body.into())
}

fn query_method() -> Method {
    Method::from_bytes(b"QUERY").expect("QUERY is a token")
}

async fn response(request: RequestBuilder) -> Response {
    request.send().await.expect("the gateway responds")
}

async fn answer(request: RequestBuilder) -> Answer {
    Answer::read(response(request).await).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .map(|value| value.to_str().expect("the header is ASCII"))
}

/// Sets a header with several lines, which a request would otherwise join.
fn with_lines(
    request: RequestBuilder,
    name: &'static str,
    lines: &[&'static str],
) -> RequestBuilder {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(line),
        );
    }
    request.headers(headers)
}

async fn count_of_deals(client: &Client) -> usize {
    let deals = client.data(DEALS, json!({})).await;
    let nodes = deals["dealsForSeller"]["nodes"].as_array();
    nodes.expect("it is a list").len()
}

#[tokio::test]
async fn accept_decides_the_media_type_of_every_operation() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);

    let table: [(&[&'static str], &str, &str); 9] = [
        (&[], ROLE, JSON),
        (&["*/*"], ROLE, JSON),
        (&["application/json"], ROLE, JSON),
        (&["APPLICATION/GRAPHQL-RESPONSE+JSON"], ROLE, GRAPHQL),
        (
            &[
                "application/json;q=0.5",
                "application/graphql-response+json",
            ],
            ROLE,
            GRAPHQL,
        ),
        // A stream only if nothing else is acceptable, or for a subscription.
        (&[URQL], ROLE, GRAPHQL),
        (&["text/event-stream;q=0, application/json"], ROLE, JSON),
        (&[STREAM], ROLE, STREAM),
        (&[URQL], CHANGES, STREAM),
    ];
    for (accept, query, expected) in table {
        let request = with_lines(post(&seller, query), "accept", accept);
        let response = response(request).await;
        assert_eq!(response.status(), 200, "{accept:?}");
        assert_eq!(
            header(response.headers(), "content-type"),
            Some(expected),
            "{accept:?}"
        );
    }

    // Who cannot read the answer does not write.
    let before = count_of_deals(&seller).await;
    for accept in [
        "text/html",
        "application/json;q=0",
        "application/json;charset=utf-16",
    ] {
        let refused = answer(post(&seller, CREATE_ONE).header("accept", accept)).await;
        assert_eq!(
            (refused.status, refused.code()),
            (406, "NOT_ACCEPTABLE"),
            "{accept}"
        );
        assert_eq!(header(&refused.headers, "content-type"), Some(JSON));
    }
    app.caught_up().await;
    assert_eq!(count_of_deals(&seller).await, before);

    // Wildcards are sent by clients that would wait for the end of a stream.
    for accept in [
        "*/*",
        "text/event-stream;q=0, application/graphql-response+json",
    ] {
        let refused = answer(post(&seller, CHANGES).header("accept", accept)).await;
        assert_eq!(refused.code(), "BAD_REQUEST", "{accept}");
        assert_eq!(refused.body.get("data"), None);
    }

    app.stop().await;
}

#[tokio::test]
async fn safe_methods_read_and_do_not_write() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let as_query = |query: &str| {
        send_body(
            &seller,
            query_method(),
            json!({ "query": query }).to_string(),
        )
    };

    for request in [get(&seller, ROLE), as_query(ROLE)] {
        let read = answer(request).await.data();
        assert_eq!(read, json!({ "viewer": { "role": "SELLER" } }));
    }

    let before = count_of_deals(&seller).await;
    for accept in [
        "application/json",
        "application/graphql-response+json",
        STREAM,
    ] {
        for request in [get(&seller, CREATE_ONE), as_query(CREATE_ONE)] {
            let refused = answer(request.header("accept", accept)).await;
            assert_eq!(
                (refused.status, refused.code()),
                (405, "METHOD_NOT_ALLOWED"),
                "{accept}"
            );
            assert_eq!(header(&refused.headers, "allow"), Some("POST"), "{accept}");
        }
    }
    app.caught_up().await;
    assert_eq!(count_of_deals(&seller).await, before);

    check_other_methods(&seller).await;
    app.stop().await;
}

async fn check_other_methods(seller: &Client) {
    let methods = "GET, HEAD, POST, QUERY, OPTIONS";
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let refused = answer(send_body(seller, method, "{}")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (405, "METHOD_NOT_ALLOWED")
        );
        assert_eq!(header(&refused.headers, "allow"), Some(methods));
    }

    let options = response(seller.request(Method::OPTIONS, "/graphql")).await;
    assert_eq!(options.status(), 204);
    assert_eq!(header(options.headers(), "allow"), Some(methods));
    assert_eq!(
        header(options.headers(), "accept-query"),
        Some("application/json")
    );

    let head = answer(seller.request(Method::HEAD, "/graphql?query=%7B__typename%7D")).await;
    assert_eq!((head.status, head.body), (200, json!("")));

    let untyped = seller.request(query_method(), "/graphql").body("{}");
    assert_eq!(answer(untyped).await.status, 415);
}

#[tokio::test]
async fn parameters_of_get_are_a_whole_request() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let get = async |parameters: &[(&str, &str)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(parameters).finish();
        answer(buyer.request(Method::GET, &format!("/graphql?{query}"))).await
    };

    let two =
        "query A($n: Int) { dealsForBuyer(first: $n) { nodes { id } } } query B { b: __typename }";
    let page = get(&[
        ("query", two),
        ("operationName", "A"),
        ("variables", "{\"n\":1}"),
        ("extensions", "{\"positions\":false}"),
    ])
    .await;
    let nodes = page.data()["dealsForBuyer"]["nodes"].take();
    assert_eq!(nodes.as_array().map(Vec::len), Some(1));

    let other = get(&[("query", two), ("operationName", "B"), ("variables", "")]).await;
    assert_eq!(other.data(), json!({ "b": "Query" }));
    let neither = get(&[("query", two), ("operationName", "")]).await;
    assert_eq!(neither.code(), "GRAPHQL_VALIDATION_FAILED");

    for parameters in [
        [("query", ROLE), ("variables", "[]")],
        [("query", ROLE), ("extensions", "{")],
        [("query", ""), ("operationName", "A")],
    ] {
        let refused = get(&parameters).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "BAD_REQUEST"),
            "{parameters:?}"
        );
    }

    app.stop().await;
}

#[tokio::test]
async fn empty_operation_name_is_none_in_every_transport() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let request = json!({ "query": "query Named { viewer { role } }", "operationName": "" });
    let expected = json!({ "viewer": { "role": "BUYER" } });

    let by_post = send_body(&buyer, Method::POST, request.to_string());
    assert_eq!(answer(by_post).await.data(), expected);
    let by_query = send_body(&buyer, query_method(), request.to_string());
    assert_eq!(answer(by_query).await.data(), expected);
    let by_get = "/graphql?operationName=&query=query+Named%7Bviewer%7Brole%7D%7D";
    assert_eq!(
        answer(buyer.request(Method::GET, by_get)).await.data(),
        expected
    );

    let mut events = Events::open(send_body(&buyer, Method::POST, request.to_string())).await;
    let event = events.next().await.expect("there is a result");
    assert_eq!(event["data"], json!({ "data": expected }).to_string());

    let mut socket = app.socket(BUYER_KEY).await;
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": request });
    socket.send(subscribe).await;
    assert_eq!(socket.message().await["payload"]["data"], expected);

    app.stop().await;
}

/// Document with its variables, and its status for `application/graphql-response+json` and for JSON, by the audits and
/// since 2026.
type StatusRow = (&'static str, Value, [u16; 2], [u16; 2]);

fn status_rows() -> [StatusRow; 7] {
    let needs_id = "query($id: ID!) { deal(id: $id) { id } }";
    let forbidden = "{ viewer { id } dealsForSeller { nodes { id } } }";

    [
        (ROLE, json!({}), [200, 200], [200, 200]),
        ("{", json!({}), [400, 200], [400, 400]),
        ("{ nothing }", json!({}), [400, 200], [422, 422]),
        (
            "query A { a: __typename } query B { b: __typename }",
            json!({}),
            [400, 200],
            [422, 422],
        ),
        (needs_id, json!({}), [400, 200], [422, 422]),
        (forbidden, json!({}), [200, 200], [294, 294]),
        // All data is null: the operation was executed all the same.
        (
            "mutation { deleteWebhook(id: \"x\") { id } }",
            json!({}),
            [200, 200],
            [294, 294],
        ),
    ]
}

#[tokio::test]
async fn status_codes_are_those_of_the_audits_or_of_2026() {
    let mut app = TestApp::start(Backing::Embedded).await;

    for is_2026 in [false, true] {
        app = app
            .restarted_with(|config| config.graphql_http.status_codes_2026 = is_2026)
            .await;
        let buyer = app.client(BUYER_KEY);

        for (query, variables, audited, since_2026) in status_rows() {
            let statuses = if is_2026 { since_2026 } else { audited };
            let types = ["application/graphql-response+json", "application/json"];
            for (accept, status) in types.into_iter().zip(statuses) {
                let body = json!({ "query": query, "variables": variables }).to_string();
                let request = send_body(&buyer, Method::POST, body).header("accept", accept);
                let answer = answer(request).await;
                assert_eq!(answer.status, status, "{accept}, {query}");

                // Nothing was executed if the audits want 400.
                let has_data = answer.body.get("data").is_some();
                assert_eq!(has_data, audited[0] == 200, "{query}: {}", answer.body);
            }
        }

        for (body, audited, since_2026) in [
            ("{", 400, 400),
            ("{}", 400, 422),
            ("{\"query\":7}", 400, 422),
            ("[]", 400, 422),
        ] {
            let answer = answer(send_body(&buyer, Method::POST, body)).await;
            let status = if is_2026 { since_2026 } else { audited };
            assert_eq!(
                (answer.status, answer.code()),
                (status, "BAD_REQUEST"),
                "{body}"
            );
        }
    }

    check_types_since_2026(&app).await;
    app.stop().await;
}

/// Plain JSON is the type of success only, since 2026.
async fn check_types_since_2026(app: &TestApp) {
    let buyer = app.client(BUYER_KEY);

    for (query, expected) in [(ROLE, JSON), ("{ nothing }", GRAPHQL)] {
        let answer = answer(post(&buyer, query).header("accept", "application/json")).await;
        assert_eq!(
            header(&answer.headers, "content-type"),
            Some(expected),
            "{query}"
        );
    }
}
