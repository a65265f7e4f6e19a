//! REST: the documented calls exactly as they are documented, and the errors of wrong ones.

mod answers;
mod conditional;
mod openapi;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    documented_calls_work_as_documented,
    pages_are_linked,
    idempotency_key_makes_a_repeat_return_the_same_deal,
    wrong_bodies_are_refused_with_their_paths,
    wrong_callers_are_refused_and_the_server_goes_on,
);

const DEMO_DEAL: &str = "56c5e92a-683b-430e-8466-5721c7cacb90";
const SELLER: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcdda";
const ITEM: &str = "9c01d992-7344-44c2-b7d1-a66ac08b1cb7";

fn post_body() -> Value {
    json!({ "name": "john doe", "totalPrice": 122300, "currency": "GBP", "status": "sold",
            "discount": { "type": "flat", "amount": 1234 }, "items": [{ "name": "deal1", "price": 12000 }] })
}

fn put_body() -> Value {
    json!({ "id": DEMO_DEAL, "sellerId": SELLER, "name": "john-asdaasd", "totalPrice": 12133, "currency": "GBP",
            "status": "sold", "discount": { "type": "flat", "amount": 1234 },
            "items": [{ "name": "deal2", "price": 12000 },
                      { "id": ITEM, "name": "deal2", "price": 12000 }],
            "createdAt": "2024-06-17 05:30:12.520", "updatedAt": "2024-06-17 05:30:12.520" })
}

/// Sends a request with these headers and this body, as they are.
async fn send(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let sent = request.body(body.to_owned()).send().await;

    Answer::read(sent.expect("the gateway responds")).await
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut()
        .expect("a body is an object")
        .remove(field);
    body
}

async fn documented_calls_work_as_documented(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);

    let posted = seller.rest(Method::POST, "/deal", Some(post_body())).await;
    assert_eq!(posted.status, 201, "{posted:?}");
    assert_eq!(posted.body["status"], "sold");
    assert_eq!(posted.body["finalPrice"], 121_066);

    app.caught_up().await;
    let location = posted.headers["location"]
        .to_str()
        .expect("a path is ASCII");
    let shown = seller.rest(Method::GET, location, None).await;
    assert_eq!(shown.body, posted.body);

    let replaced = check_put(&seller).await;

    app.caught_up().await;
    let listed = buyer.rest(Method::GET, "/deal", None).await;
    assert_eq!((listed.status, &listed.body[0]), (200, &replaced));
    assert_eq!(listed.body.as_array().expect("a page is an array").len(), 5);
    assert_eq!(
        seller.rest(Method::GET, "/v1/deal", None).await.body,
        listed.body
    );

    app.stop().await;
}

/// Replaces the demo's deal three times, and returns the body of the last response.
async fn check_put(seller: &Client) -> Value {
    let put = seller.rest(Method::PUT, "/v1/deal", Some(put_body())).await;
    assert_eq!(
        (put.status, &put.body["version"]),
        (200, &json!(2)),
        "{put:?}"
    );
    assert_eq!(put.body["items"][1]["id"], ITEM);

    let repeated = seller.rest(Method::PUT, "/deal", Some(put_body())).await;
    assert_eq!(
        repeated.body, put.body,
        "a body without changes changes nothing, not even the generated id of an item"
    );
    assert_eq!(
        repeated.headers["dealwire-position"],
        put.headers["dealwire-position"]
    );

    let body = without(put_body(), "discount");
    let undiscounted = seller.rest(Method::PUT, "/deal", Some(body)).await;
    assert_eq!(
        undiscounted.body.get("discount"),
        None,
        "an absent discount is removed"
    );

    undiscounted.body
}

async fn pages_are_linked(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let mut path = "/deal?first=2".to_owned();
    let mut names = Vec::new();

    loop {
        let page = buyer.rest(Method::GET, &path, None).await;
        let deals = page.body.as_array().expect("a page is an array");
        names.extend(
            deals
                .iter()
                .map(|deal| deal["name"].as_str().expect("a deal has a name").to_owned()),
        );

        let Some(link) = page.headers.get("link") else {
            break;
        };
        let link = link.to_str().expect("a link is ASCII");
        path = link
            .strip_prefix('<')
            .and_then(|link| link.split_once('>'))
            .expect("a link begins with its target in angle brackets")
            .0
            .to_owned();
        assert!(link.ends_with("; rel=\"next\""));
    }

    assert_eq!(
        names,
        ["Roof tiles", "Copper pipe", "Oak boards", "john doe"]
    );
    app.stop().await;
}

async fn idempotency_key_makes_a_repeat_return_the_same_deal(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let post = async |body: Value| {
        let request = seller
            .request(Method::POST, "/deal")
            .header("idempotency-key", "order 7")
            .json(&body);

        Answer::read(request.send().await.expect("the gateway responds")).await
    };

    let first = post(post_body()).await;
    assert_eq!(post(post_body()).await.body, first.body);

    let mut different = post_body();
    different["name"] = json!("somebody else");
    let refused = post(different).await;
    assert_eq!(
        (refused.status, refused.code()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );

    app.stop().await;
}

async fn wrong_bodies_are_refused_with_their_paths(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let post = async |body: Value| seller.rest(Method::POST, "/deal", Some(body)).await;

    // Fields of the wrong type and unknown ones are reported by the front, before any rule is
    // checked.
    let mistyped = post(
        json!({ "name": " ", "totalPrice": -1, "currency": "ZZZ", "colour": 1, "items": "none" }),
    )
    .await;
    assert_eq!((mistyped.status, mistyped.code()), (400, "BAD_USER_INPUT"));
    assert_eq!(mistyped.headers["content-type"], "application/problem+json");
    assert_eq!(mistyped.paths(), ["items", "colour"]);

    let against_rules = post(
        json!({ "name": "a\u{0}b", "totalPrice": 1, "currency": "ZZZ",
                "discount": { "type": "flat", "amount": 2 }, "items": [{ "name": "", "price": -1 }] }),
    )
    .await;
    let paths = against_rules.paths();
    for path in [
        "name",
        "currency",
        "discount.amount",
        "items.0.name",
        "items.0.price",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }

    let mut huge = post_body();
    huge["name"] = json!("x".repeat(300 << 10));
    let huge = post(huge).await;
    assert_eq!((huge.status, huge.code()), (413, "PAYLOAD_TOO_LARGE"));

    let malformed = seller
        .request(Method::POST, "/deal")
        .header("content-type", "application/json")
        .body("{");
    let malformed = Answer::read(malformed.send().await.expect("the gateway responds")).await;
    assert_eq!((malformed.status, malformed.code()), (400, "BAD_REQUEST"));

    assert_eq!(post(post_body()).await.status, 201, "the server goes on");
    app.stop().await;
}

async fn wrong_callers_are_refused_and_the_server_goes_on(app: TestApp) {
    let seller = app.client(SELLER_KEY);

    let mut for_another = post_body();
    for_another["sellerId"] = json!(DEMO_DEAL);
    let for_another = seller.rest(Method::POST, "/deal", Some(for_another)).await;
    assert_eq!((for_another.status, for_another.code()), (403, "FORBIDDEN"));

    let without_key = Client::new(&app.url(), None);
    let unknown_key = app.client("no such key");
    for client in [without_key, unknown_key] {
        let refused = client.rest(Method::GET, "/deal", None).await;
        assert_eq!((refused.status, refused.code()), (401, "UNAUTHENTICATED"));
    }

    let buyer = app.client(BUYER_KEY);
    let refused = buyer.rest(Method::POST, "/deal", Some(post_body())).await;
    assert_eq!((refused.status, refused.code()), (403, "FORBIDDEN"));

    let other_seller = app.client("second-seller-api-key");
    let body = without(put_body(), "sellerId");
    let refused = other_seller.rest(Method::PUT, "/deal", Some(body)).await;
    assert_eq!(
        (refused.status, refused.code()),
        (404, "NOT_FOUND"),
        "another seller's deal does not exist for this one"
    );

    let accepted = seller.rest(Method::POST, "/deal", Some(post_body())).await;
    assert_eq!(accepted.status, 201, "the server goes on");
    app.stop().await;
}
