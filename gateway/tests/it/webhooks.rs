//! Webhooks as a buyer has them: registered by GraphQL, called with signatures that strangers' libraries accept,
//! listed, paused, replayed, ended.

use backbone::testkit::{Receiver, Reply, Request, wait_for, wait_until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;

use crate::kit::{BUYER_KEY, Client, DEADLINE, Party, SELLER_KEY, TestApp, on_both};

on_both!(
    change_becomes_a_signed_call_that_is_accounted_for,
    invalid_webhook_inputs_are_reported_with_their_paths,
    paused_endpoint_collects_and_deleted_one_discards,
    dead_deliveries_are_replayed_under_the_same_id,
    secret_is_shown_once_kept_sealed_and_rotated,
    imported_secret_signs_calls_and_a_bad_one_is_not_repeated,
);

const WEBHOOK: &str = "id url events sellerIds description state disabledReason
    counts { owed delivered pending dead discarded }";

async fn register(buyer: &Client, url: &str) -> (String, String) {
    let mutation = format!(
        "mutation($input: RegisterWebhookInput!) {{ registerWebhook(input: $input) {{ secret webhook {{ {WEBHOOK} }} }} }}"
    );
    let input = json!({ "url": url, "events": ["DEAL_CREATED", "DEAL_UPDATED"] });
    let payload = buyer.data(&mutation, json!({ "input": input })).await["registerWebhook"].take();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&payload["webhook"]["id"]), text(&payload["secret"]))
}

async fn update(buyer: &Client, input: Value) -> Value {
    let mutation = format!(
        "mutation($input: UpdateWebhookInput!) {{ updateWebhook(input: $input) {{ webhook {{ {WEBHOOK} }} }} }}"
    );
    buyer.data(&mutation, json!({ "input": input })).await["updateWebhook"]["webhook"].take()
}

/// A webhook by its id, deleted or not.
async fn webhook(buyer: &Client, id: &str) -> Value {
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Webhook {{ {WEBHOOK} }} }} }}");
    buyer.data(&query, json!({ "id": id })).await["node"].take()
}

/// Waits until an endpoint's deliveries stand so: delivered, pending, dead, discarded. They add up at every look.
async fn counts(buyer: &Client, id: &str, expected: [u64; 4]) {
    wait_until(DEADLINE, "the counts are as they should be", async || {
        let counts = webhook(buyer, id).await["counts"].take();
        let of = |name: &str| counts[name].as_u64().expect("a count");
        let found = ["delivered", "pending", "dead", "discarded"].map(of);
        assert_eq!(of("owed"), found.iter().sum::<u64>(), "{counts}");
        found == expected
    })
    .await;
}

/// Waits until this many calls have come.
async fn calls(receiver: &Receiver, count: usize) -> Vec<Request> {
    wait_for(DEADLINE, "calls come", async || {
        let requests = receiver.requests();
        assert!(
            requests.len() <= count,
            "more calls than owed: {requests:?}"
        );
        (requests.len() == count).then_some(requests)
    })
    .await
}

/// What a receiver with this secret makes of a call.
fn verified(request: &Request, secret: &str) -> Option<Value> {
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in &request.headers {
        let name = axum::http::HeaderName::try_from(name.as_str()).expect("a name");
        headers.insert(name, value.parse().expect("a value"));
    }
    let verifier = Verifier::new(secret).expect("a secret of Standard Webhooks");
    verifier.verify(&request.body, &headers).ok()?;
    Some(serde_json::from_slice(&request.body).expect("JSON"))
}

async fn change_becomes_a_signed_call_that_is_accounted_for(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let receiver = Receiver::start(|_| Reply::ok().body("thanks")).await;
    let (id, secret) = register(&buyer, &receiver.url("/hook")).await;

    let created = seller.create("called").await;
    let deal = created["deal"]["id"].as_str().expect("an id");
    seller.rename(deal, "called again").await;

    let requests = calls(&receiver, 2).await;
    assert_call_of_change(&requests[0], &secret, ("deal.created", deal, "called"));
    assert_call_of_change(
        &requests[1],
        &secret,
        ("deal.updated", deal, "called again"),
    );
    assert!(
        verified(
            &requests[0],
            "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        )
        .is_none()
    );
    counts(&buyer, &id, [2, 0, 0, 0]).await;
    assert_deliveries_are_listed(&buyer, &id, &requests).await;

    let test = "mutation($id: ID!) { testWebhook(id: $id) { delivery { event state } } }";
    let owed = buyer.data(test, json!({ "id": id })).await["testWebhook"]["delivery"].take();
    assert_eq!(owed["event"], "TEST");
    let body = verified(&calls(&receiver, 3).await[2], &secret).expect("the signature is good");
    assert_eq!(
        (&body["type"], &body["data"]["webhookId"]),
        (&json!("test"), &json!(id))
    );
    counts(&buyer, &id, [3, 0, 0, 0]).await;
    app.stop().await;
}

/// Checks signature, headers and body of a call for a change of a deal, which is given by the
/// event's type and by the deal's id and name.
fn assert_call_of_change(request: &Request, secret: &str, (kind, deal, name): (&str, &str, &str)) {
    assert_eq!(request.target, "/hook");
    assert!(
        request
            .header("user-agent")
            .is_some_and(|agent| agent.starts_with("Dealwire/"))
    );
    assert!(request.header("traceparent").is_some());

    let body = verified(request, secret).expect("the signature is good");
    assert_eq!(
        (&body["type"], &body["data"]["deal"]["name"]),
        (&json!(kind), &json!(name)),
        "{body}"
    );
    assert_eq!(
        (
            &body["data"]["deal"]["id"],
            &body["data"]["deal"]["sellerId"]
        ),
        (&json!(deal), &json!(Party::Seller.id()))
    );
    assert!(
        body["position"].is_string() && body["timestamp"].is_string(),
        "{body}"
    );
}

/// Checks that the deliveries of these two calls, of a creation and of an update, are listed newest
/// first.
async fn assert_deliveries_are_listed(buyer: &Client, id: &str, requests: &[Request]) {
    let query =
        "query($id: ID!, $after: String) { webhookDeliveries(webhookId: $id, first: 1, after: $after) {
        nodes { id event state position nextAttemptAt attempts { number statusCode error responseBody } }
        pageInfo { hasNextPage endCursor } } }";

    let newest = buyer.data(query, json!({ "id": id })).await["webhookDeliveries"].take();
    let delivery = &newest["nodes"][0];
    let attempt =
        json!({ "number": 1, "statusCode": 200, "error": null, "responseBody": "thanks" });
    assert_eq!(delivery["attempts"], json!([attempt]));
    assert_eq!(
        (&delivery["event"], &delivery["state"]),
        (&json!("DEAL_UPDATED"), &json!("DELIVERED"))
    );
    assert_eq!(
        delivery["id"],
        requests[1].header("webhook-id").expect("an id")
    );
    assert_eq!(newest["pageInfo"]["hasNextPage"], true);

    let older = buyer
        .data(
            query,
            json!({ "id": id, "after": newest["pageInfo"]["endCursor"] }),
        )
        .await;
    assert_eq!(
        older["webhookDeliveries"]["nodes"][0]["event"],
        "DEAL_CREATED"
    );
    assert_eq!(older["webhookDeliveries"]["pageInfo"]["hasNextPage"], false);
}

async fn invalid_webhook_inputs_are_reported_with_their_paths(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let mutation =
        "mutation($input: RegisterWebhookInput!) { registerWebhook(input: $input) { secret } }";
    let ask = async |client: &Client, input: Value| {
        client.execute(mutation, json!({ "input": input })).await
    };
    let wrong = json!({ "url": "http://10.0.0.1/", "events": [], "sellerIds": [], "description": "x".repeat(501) });
    let refused = ask(&buyer, wrong).await;
    assert_eq!(refused.code(), "BAD_USER_INPUT");
    assert_eq!(
        refused.paths(),
        [
            "input.url",
            "input.events",
            "input.sellerIds",
            "input.description"
        ]
    );
    for url in [
        "nonsense",
        "ftp://example.com/",
        "https://user@example.com/",
        "http://127.0.0.1:22/",
        "http://[::1]/",
    ] {
        let refused = ask(&buyer, json!({ "url": url, "events": ["DEAL_CREATED"] })).await;
        assert_eq!(
            (refused.code(), refused.paths()),
            ("BAD_USER_INPUT", vec!["input.url"]),
            "{url}"
        );
    }
    let tested = ask(
        &buyer,
        json!({ "url": "https://example.com/", "events": ["TEST"] }),
    )
    .await;
    assert_eq!(
        (tested.code(), tested.paths()),
        ("BAD_USER_INPUT", vec!["input.events"])
    );
    let good = json!({ "url": "https://example.com/hook", "events": ["DEAL_CREATED"] });
    assert_eq!(
        ask(&app.client(SELLER_KEY), good.clone()).await.code(),
        "FORBIDDEN"
    );

    let (id, _) = register(&buyer, "https://example.com/hook").await;
    let stranger = app.client(Party::OtherBuyer.key());
    for mutation in [
        "mutation($id: ID!) { deleteWebhook(id: $id) { id } }",
        "mutation($id: ID!) { rotateWebhookSecret(id: $id) { secret } }",
        "mutation($id: ID!) { testWebhook(id: $id) { delivery { id } } }",
        "mutation($id: ID!) { replayWebhookDelivery(id: $id) { delivery { id } } }",
        "mutation($id: ID!) { replayWebhook(input: { webhookId: $id }) { id } }",
        "mutation($id: ID!) { cancelWebhookReplay(id: $id) { id } }",
        "mutation($id: ID!) { updateWebhook(input: { id: $id, paused: true }) { webhook { id } } }",
    ] {
        assert_eq!(
            stranger.execute(mutation, json!({ "id": id })).await.code(),
            "NOT_FOUND",
            "{mutation}"
        );
    }
    assert_eq!(webhook(&stranger, &id).await, Value::Null);
    let state = "mutation($id: ID!) {
        replayWebhook(input: { webhookId: $id, state: PENDING, ratePerSecond: 101, events: [] }) { id }
    }";
    let refused = buyer.execute(state, json!({ "id": id })).await;
    let paths = ["input.state", "input.events", "input.ratePerSecond"];
    assert_eq!(refused.code(), "BAD_USER_INPUT");
    assert_eq!(refused.paths(), paths);
    for _ in 1..20 {
        register(&buyer, "https://example.com/hook").await;
    }
    assert_eq!(ask(&buyer, good).await.code(), "LIMIT_EXCEEDED");
    app.stop().await;
}

async fn paused_endpoint_collects_and_deleted_one_discards(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let (id, _) = register(&buyer, &receiver.url("/")).await;
    assert_eq!(
        update(&buyer, json!({ "id": id, "paused": true })).await["state"],
        "PAUSED"
    );
    seller.create("collected").await;
    counts(&buyer, &id, [0, 1, 0, 0]).await;
    assert_eq!(receiver.connections().0, 0);
    let active = update(
        &buyer,
        json!({ "id": id, "paused": false, "description": "a note" }),
    )
    .await;
    assert_eq!(
        (&active["state"], &active["description"]),
        (&json!("ACTIVE"), &json!("a note"))
    );
    counts(&buyer, &id, [1, 0, 0, 0]).await;

    // Of another seller only: nothing more is owed here.
    let elsewhere = json!(["nobody"]);
    let refused =
        "mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { webhook { id } } }";
    let refused = buyer
        .execute(
            refused,
            json!({ "input": { "id": id, "sellerIds": elsewhere } }),
        )
        .await;
    assert_eq!(refused.paths(), ["input.sellerIds.0"]);
    let other = Party::OtherSeller.id();
    assert_eq!(
        update(&buyer, json!({ "id": id, "sellerIds": [other] })).await["sellerIds"],
        json!([other])
    );
    seller.create("not wanted").await;
    // Who is owed what is decided when the tables take the change in.
    app.caught_up().await;
    let all = update(
        &buyer,
        json!({ "id": id, "sellerIds": null, "paused": true }),
    )
    .await;
    assert_eq!(
        (&all["sellerIds"], &all["description"]),
        (&Value::Null, &json!("a note"))
    );
    seller.create("discarded").await;
    counts(&buyer, &id, [1, 1, 0, 0]).await;
    buyer
        .data(
            "mutation($id: ID!) { deleteWebhook(id: $id) { id } }",
            json!({ "id": id }),
        )
        .await;
    counts(&buyer, &id, [1, 0, 0, 1]).await;
    let deleted = webhook(&buyer, &id).await;
    assert_eq!(
        (&deleted["state"], &deleted["disabledReason"]),
        (&json!("DISABLED"), &json!("deleted"))
    );
    assert_eq!(
        buyer.data("{ webhooks { id } }", json!({})).await["webhooks"],
        json!([])
    );
    assert_eq!(receiver.requests().len(), 1);
    app.stop().await;
}

async fn dead_deliveries_are_replayed_under_the_same_id(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    // 410 makes a delivery dead at once, and the endpoint disabled.
    let receiver = Receiver::start(|request| match request.number {
        0 => Reply::status(410),
        _ => Reply::ok(),
    })
    .await;
    let (id, secret) = register(&buyer, &receiver.url("/")).await;
    seller.create("gone").await;
    counts(&buyer, &id, [0, 0, 1, 0]).await;
    let disabled = webhook(&buyer, &id).await;
    assert_eq!(disabled["state"], "DISABLED", "{disabled}");
    assert!(disabled["disabledReason"].is_string(), "{disabled}");
    update(&buyer, json!({ "id": id, "paused": false })).await;
    let replay = "mutation($id: ID!, $rate: Int) {
        replayWebhook(input: { webhookId: $id, ratePerSecond: $rate }, idempotencyKey: \"once\") { id state matched }
    }";
    let mut asked = buyer.data(replay, json!({ "id": id })).await;
    let started = asked["replayWebhook"].take();
    assert_eq!(
        (&started["state"], &started["matched"]),
        (&json!("RUNNING"), &json!(1))
    );
    let other = buyer.execute(replay, json!({ "id": id, "rate": 1 })).await;
    assert_eq!(other.code(), "IDEMPOTENCY_KEY_REUSED");
    counts(&buyer, &id, [1, 0, 0, 0]).await;
    let requests = calls(&receiver, 2).await;
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    assert_eq!(requests[0].body, requests[1].body, "the same bytes");
    assert_eq!(
        (
            requests[0].header("webhook-replay"),
            requests[1].header("webhook-replay")
        ),
        (None, Some("true"))
    );
    assert!(verified(&requests[1], &secret).is_some());
    let mut repeated = buyer.data(replay, json!({ "id": id })).await;
    assert_eq!(repeated["replayWebhook"].take()["id"], started["id"]);
    let list = "query($id: ID!) { webhookReplays(webhookId: $id) { id } }";
    assert_eq!(
        buyer.data(list, json!({ "id": id })).await["webhookReplays"],
        json!([{ "id": started["id"] }])
    );

    let delivery = requests[0].header("webhook-id").expect("an id").to_owned();
    let one = "mutation($id: ID!) { replayWebhookDelivery(id: $id) { delivery { id state } } }";
    let replayed =
        buyer.data(one, json!({ "id": delivery })).await["replayWebhookDelivery"]["delivery"]
            .take();
    assert_eq!(replayed["id"], delivery.as_str());
    calls(&receiver, 3).await;
    counts(&buyer, &id, [1, 0, 0, 0]).await;
    let query = "query($id: ID!) { node(id: $id) { ... on WebhookDelivery { attempts { number statusCode } } } }";
    let attempts = buyer.data(query, json!({ "id": delivery })).await["node"]["attempts"].take();
    let made = [(1, 410), (2, 200), (3, 200)]
        .map(|(number, status)| json!({ "number": number, "statusCode": status }));
    assert_eq!(attempts, json!(made));
    app.stop().await;
}

async fn secret_is_shown_once_kept_sealed_and_rotated(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let (id, old) = register(&buyer, &receiver.url("/")).await;
    let rotate = "mutation($id: ID!) { rotateWebhookSecret(id: $id) { secret } }";
    let new = buyer.data(rotate, json!({ "id": id })).await["rotateWebhookSecret"]["secret"].take();
    let new = new.as_str().expect("a secret");
    assert_ne!(new, old);
    seller.create("signed twice").await;
    let requests = calls(&receiver, 1).await;
    assert!(verified(&requests[0], new).is_some() && verified(&requests[0], &old).is_some());
    app.stop().await;
}

async fn imported_secret_signs_calls_and_a_bad_one_is_not_repeated(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let mutation =
        "mutation($input: RegisterWebhookInput!) { registerWebhook(input: $input) { secret } }";
    let ask = async |url: &str, secret: Value| {
        let input = json!({ "url": url, "events": ["DEAL_CREATED"], "secret": secret });
        buyer.execute(mutation, json!({ "input": input })).await
    };

    let text = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
    for wrong in [text(23), text(65), text(32).replace("whsec_", "secret")] {
        let refused = ask("ftp://example.com", json!(wrong)).await;
        assert_eq!(
            (refused.code(), refused.paths()),
            ("BAD_USER_INPUT", vec!["input.url", "input.secret"])
        );
        let answer = refused.body.to_string();
        assert!(!answer.contains(&wrong), "{answer}");
    }

    // Both ends of the permitted lengths, at one receiver that tells them by the path.
    for (path, secret) in [("/24", text(24)), ("/64", text(64))] {
        let registered = ask(&receiver.url(path), json!(secret)).await;
        let shown = registered.data()["registerWebhook"]["secret"].take();
        assert_eq!(shown, secret.as_str());
    }
    seller.create("signed as before").await;

    let requests = calls(&receiver, 2).await;
    for request in &requests {
        let bytes = if request.target == "/24" { 24 } else { 64 };
        assert!(verified(request, &text(bytes)).is_some(), "{request:?}");
        assert!(
            verified(request, &text(88 - bytes)).is_none(),
            "{request:?}"
        );
    }
    app.stop().await;
}
