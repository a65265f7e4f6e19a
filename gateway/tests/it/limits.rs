//! Rate limits: what is refused, over every transport, how it is told, and whom it does not concern.

use backbone::position::Position;
use backbone::testkit::wait_until;
use gateway::rates::RateLimits;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Client, DEADLINE, SELLER_KEY, Socket, TestApp, on_both};

on_both!(
    limit_of_mutations_holds_over_every_transport,
    limit_of_query_cost_holds_over_every_transport,
    limit_for_callers_without_a_key_is_one_of_their_address,
    limit_of_failed_keys_locks_nobody_out,
    limit_of_handshakes_is_one_of_address_and_account,
    limit_of_violations_bounds_what_is_told,
    reads_that_wait_for_a_position_share_their_looks,
);

const INTROSPECTION: &str = include_str!("../../../documents/tests/it/introspection.graphql");
const VIEWER: &str = "{ viewer { id } }";
const JSON: &str = "application/json";

async fn limited(app: TestApp, limits: RateLimits) -> TestApp {
    app.restarted_with(|config| config.rates = limits).await
}

fn post(client: &Client, query: &str, accept: &str) -> RequestBuilder {
    let body = json!({ "query": query });

    client
        .request(Method::POST, "/graphql")
        .header("accept", accept)
        .json(&body)
}

async fn answer(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("the gateway responds")).await
}

/// Checks a refusal over HTTP: the status, when to come back, and within which limit.
fn check_refusal(answer: &Answer, policy: &str, quota: u32) {
    assert_eq!((answer.status, answer.code()), (429, "RATE_LIMITED"));

    let body = &answer.body;
    let after = body["errors"][0]["extensions"]["retryAfterMs"].as_u64();
    let after = after.or(body["retryAfterMs"].as_u64()).expect("a time");
    let seconds = after.div_ceil(1_000).max(1);
    let header = |name: &str| answer.headers[name].to_str().expect("ASCII").to_owned();

    assert_eq!(header("retry-after"), seconds.to_string());
    assert_eq!(
        header("ratelimit-policy"),
        format!("\"{policy}\";q={quota};w=60")
    );
    let limit = header("ratelimit");
    assert!(
        limit.starts_with(&format!("\"{policy}\";r=0;t=")),
        "{limit}"
    );
}

async fn check_refusal_on_socket(socket: &mut Socket, query: &str) {
    socket.subscribe("limited", query, json!({})).await;
    let message = socket.message().await;
    let extensions = &message["payload"][0]["extensions"];

    assert_eq!(message["type"], "error", "{message}");
    assert_eq!(extensions["code"], "RATE_LIMITED", "{message}");
    assert!(extensions["retryAfterMs"].as_u64().is_some(), "{message}");

    // The operation ended, and the socket goes on.
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await["type"], "pong");
}

const GRANT: &str =
    "mutation { grantAccess(buyerId: \"90d57fe0-0fa1-4dae-a51c-917cc82bcddc\") { granted } }";

async fn limit_of_mutations_holds_over_every_transport(app: TestApp) {
    let limits = RateLimits {
        mutations: 4,
        ..RateLimits::default()
    };
    let app = limited(app, limits).await;
    let seller = app.client(SELLER_KEY);
    let deal = json!({ "name": "rest", "totalPrice": 1, "currency": "GBP",
                       "items": [{ "name": "i", "price": 1 }] });
    let mut socket = app.socket(SELLER_KEY).await;

    // One over each transport: they share the quota.
    let first = answer(post(&seller, GRANT, JSON)).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"mutations\";q=4;w=60");
    assert!(
        first.headers["ratelimit"]
            .to_str()
            .expect("ASCII")
            .starts_with("\"mutations\";r=3;t="),
        "{first:?}"
    );
    let stream = answer(post(&seller, GRANT, "text/event-stream")).await;
    assert_eq!(stream.status, 200);
    let created = seller.rest(Method::POST, "/deal", Some(deal.clone())).await;
    assert_eq!(created.status, 201);
    assert!(created.headers.contains_key("ratelimit"), "{created:?}");
    socket.subscribe("1", GRANT, json!({})).await;
    assert_eq!(socket.message().await["type"], "next");
    assert_eq!(socket.message().await["type"], "complete");

    for accept in [
        JSON,
        "application/graphql-response+json",
        "text/event-stream",
    ] {
        let refused = answer(post(&seller, GRANT, accept)).await;
        check_refusal(&refused, "mutations", 4);
    }
    let refused = seller.rest(Method::POST, "/deal", Some(deal)).await;
    check_refusal(&refused, "mutations", 4);
    check_refusal_on_socket(&mut socket, GRANT).await;
    let metric = "dealwire_rate_limited_total{limit=\"mutations\"}";
    assert_eq!(app.metric(metric).await, 5);

    // Reads have a limit of their own, and another account has its own quota.
    seller.data(VIEWER, json!({})).await;
    app.client("second-seller-api-key")
        .data(GRANT, json!({}))
        .await;
    app.stop().await;
}

async fn limit_of_query_cost_holds_over_every_transport(app: TestApp) {
    let limits = RateLimits {
        query_cost: 1_000,
        ..RateLimits::default()
    };
    let app = limited(app, limits).await;
    let buyer = app.client(BUYER_KEY);
    let mut socket = app.socket(BUYER_KEY).await;
    let page = "{ dealsForBuyer(first: 100) { nodes { id name version status currency totalPrice finalPrice createdAt updatedAt sellerId } } }";

    let first = answer(post(&buyer, page, JSON)).await;
    assert_eq!(first.code_or_none(), None, "{first:?}");
    for accept in [
        JSON,
        "application/graphql-response+json",
        "text/event-stream",
    ] {
        check_refusal(
            &answer(post(&buyer, page, accept)).await,
            "query-cost",
            1_000,
        );
    }

    let query: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
    let get = buyer.request(Method::GET, &format!("/graphql?query={query}"));
    check_refusal(&answer(get).await, "query-cost", 1_000);
    let rest = buyer.rest(Method::GET, "/deal", None).await;
    check_refusal(&rest, "query-cost", 1_000);
    check_refusal_on_socket(&mut socket, page).await;

    // A subscription is charged for one result, so that none begins again and again without end.
    let subscription = "subscription { dealChanged { deal { id items { id name price } } } }";
    check_refusal_on_socket(&mut socket, subscription).await;

    // Mutations have a limit of their own, and another account has its own quota.
    app.client(SELLER_KEY).data(VIEWER, json!({})).await;
    app.stop().await;
}

/// Adds the address that a proxy on this machine, which is trusted, was connected from.
fn from(request: RequestBuilder, address: &str) -> RequestBuilder {
    request.header("x-forwarded-for", address)
}

async fn limit_for_callers_without_a_key_is_one_of_their_address(app: TestApp) {
    let nobody = Client::new(&app.url(), None);
    // GraphiQL asks this when its page is loaded. The default leaves room for hundreds of pages behind one address.
    for _ in 0..50 {
        let loaded = answer(from(post(&nobody, INTROSPECTION, JSON), "192.0.2.1")).await;
        assert_eq!(loaded.code_or_none(), None);
    }

    let limits = RateLimits {
        anonymous_cost: 20,
        ..RateLimits::default()
    };
    let app = limited(app, limits).await;
    let nobody = Client::new(&app.url(), None);
    let ask = |address: &'static str, query: &'static str| {
        answer(from(post(&nobody, query, JSON), address))
    };

    let refused = 'refused: {
        for _ in 0..20 {
            let answer = ask("192.0.2.1", "{ __typename }").await;
            if answer.status == 429 {
                break 'refused answer;
            }
        }
        panic!("nothing is refused");
    };
    check_refusal(&refused, "anonymous-cost", 20);
    // What is refused is not even parsed.
    assert_eq!(ask("192.0.2.1", "{").await.status, 429);

    for other in ["192.0.2.2", "2001:db8::1"] {
        let answer = ask(other, "{ __typename }").await;
        assert_eq!(answer.code_or_none(), None, "{other}");
    }
    // A proxy that names nobody cannot be told apart from its clients.
    for _ in 0..30 {
        assert_eq!(
            nobody.execute("{ __typename }", json!({})).await.status,
            200
        );
    }
    // Whoever has a key is charged by account, wherever it comes from.
    let buyer = app.client(BUYER_KEY);
    let known = answer(from(post(&buyer, VIEWER, JSON), "192.0.2.1")).await;
    assert_eq!(known.code_or_none(), None);

    app.stop().await;
}

async fn limit_of_failed_keys_locks_nobody_out(app: TestApp) {
    let limits = RateLimits {
        failed_keys: 4,
        ..RateLimits::default()
    };
    let app = limited(app, limits).await;
    let guess = |number: usize| {
        let client = app.client(&format!("guess {number}"));
        answer(from(post(&client, VIEWER, JSON), "192.0.2.1"))
    };

    for number in 0..4 {
        let refused = guess(number).await;
        assert_eq!((refused.status, refused.code()), (401, "UNAUTHENTICATED"));
    }
    for number in 4..10 {
        check_refusal(&guess(number).await, "failed-keys", 4);
    }
    let rest = from(
        app.client("guess").request(Method::GET, "/deal"),
        "192.0.2.1",
    );
    let rest = answer(rest).await;
    check_refusal(&rest, "failed-keys", 4);
    assert_eq!(rest.headers["content-type"], "application/problem+json");

    // Valid keys from the same address work at once, seen before or not, amid the guesses of their neighbour.
    for key in [BUYER_KEY, SELLER_KEY, BUYER_KEY, "second-buyer-api-key"] {
        let guesses = (10..30).map(guess);
        let guesses = futures_util::future::join_all(guesses);
        let client = app.client(key);
        let valid = answer(from(post(&client, VIEWER, JSON), "192.0.2.1"));

        let (valid, guesses) = tokio::join!(valid, guesses);
        assert_eq!(valid.code_or_none(), None, "{valid:?}");
        assert!(guesses.iter().all(|guess| guess.status == 429));
    }

    // Another address has its own count.
    let client = app.client("guess");
    let other = answer(from(post(&client, VIEWER, JSON), "192.0.2.2")).await;
    assert_eq!(other.status, 401);
    app.stop().await;
}

async fn limit_of_handshakes_is_one_of_address_and_account(app: TestApp) {
    let limits = RateLimits {
        handshakes: 2,
        ..RateLimits::default()
    };
    let app = limited(app, limits).await;
    let handshake = |address: &'static str| {
        let request = Client::new(&app.url(), None).request(Method::GET, "/graphql");
        let request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        answer(from(request, address))
    };

    // What is wrong with these is looked at after the limit.
    for _ in 0..2 {
        assert_eq!(handshake("192.0.2.1").await.status, 426);
    }
    check_refusal(&handshake("192.0.2.1").await, "handshakes", 2);
    assert_eq!(handshake("192.0.2.2").await.status, 426);

    let _sockets = [app.socket(BUYER_KEY).await, app.socket(BUYER_KEY).await];
    let mut third = Socket::connect(&app.url(), Some("graphql-transport-ws")).await;
    let init = json!({ "type": "connection_init", "payload": { "x-api-key": BUYER_KEY } });
    third.send(init).await;
    assert_eq!(third.close_code().await, 1013);
    let _other = app.socket(SELLER_KEY).await;

    app.stop().await;
}

async fn limit_of_violations_bounds_what_is_told(app: TestApp) {
    let create = "mutation($input: CreateDealInput!) { createDeal(input: $input) { deal { id } } }";
    let items: Vec<Value> = (0..20_000).map(|_| json!(7)).collect();
    let input = json!({ "name": 7, "totalPrice": 1, "currency": "GBP", "items": items });
    let variables = json!({ "input": input });

    let refused = app
        .client(SELLER_KEY)
        .execute(create, variables.clone())
        .await;
    assert_eq!(refused.code(), "BAD_USER_INPUT");
    assert_eq!(refused.paths().len(), 50);
    let message = refused.body["errors"][0]["message"]
        .as_str()
        .expect("a text");
    assert!(message.ends_with("; and 19991 more"), "{message}");
    assert!(refused.body.to_string().len() < 20_000);

    // Whoever has no key learns nothing, and costs nothing.
    let nobody = Client::new(&app.url(), None)
        .execute(create, variables)
        .await;
    assert_eq!(nobody.code(), "UNAUTHENTICATED");
    assert!(nobody.body.to_string().len() < 300);

    // In REST each of a thousand unknown fields is a violation, and none makes the answer as long as itself.
    let unknown: serde_json::Map<String, Value> = (0..1_000)
        .map(|number| (format!("{}{number}", "x".repeat(220)), json!(1)))
        .collect();
    let seller = app.client(SELLER_KEY);
    let refused = seller
        .rest(Method::POST, "/deal", Some(json!(unknown)))
        .await;
    assert_eq!(refused.paths().len(), 50);
    let detail = refused.body["detail"].as_str().expect("a text");
    assert!(
        detail.contains("; and ") && detail.ends_with(" more"),
        "{detail}"
    );
    assert!(refused.body.to_string().len() < 30_000);

    app.stop().await;
}

async fn reads_that_wait_for_a_position_share_their_looks(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let created = seller.create("waited for").await;
    app.caught_up().await;
    let id = &created["deal"]["id"];
    let looks = async || app.metric("dealwire_seller_position_looks_total").await;
    let fields: String = (0..20)
        .map(|number| format!("f{number}: deal(id: $id, minPosition: $at) {{ id }} "))
        .collect();
    let query = format!("query($id: ID!, $at: Position) {{ {fields} }}");

    // A position that the tables have reached: one look serves all fields, and the next request needs none.
    let at = &created["position"];
    let reached = Position::decode(at.as_str().expect("a position")).expect("a position");
    wait_until(DEADLINE, "the seller tables are there", async || {
        let checkpoint = app.app.backends().sellers.checkpoint().await;
        checkpoint.is_ok_and(|checkpoint| checkpoint.position >= reached.sequence)
    })
    .await;
    let before = looks().await;
    for _ in 0..2 {
        seller.data(&query, json!({ "id": id, "at": at })).await;
    }
    assert!(looks().await - before <= 1);

    // One that they do not reach within the second.
    let mut ahead = reached;
    ahead.sequence += 1_000;
    let before = looks().await;
    let late = seller
        .execute(&query, json!({ "id": id, "at": ahead.encode() }))
        .await;
    let errors = late.body["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 20);
    assert_eq!(late.code(), "POSITION_NOT_REACHED");
    let made = looks().await - before;
    assert!(
        (1..=20).contains(&made),
        "{made} looks of 20 fields in a second"
    );

    app.stop().await;
}
