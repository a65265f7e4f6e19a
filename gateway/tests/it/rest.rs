//! REST: the documented calls as they stand, and what a wrong one is told.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    the_documented_calls_work_as_they_stand,
    pages_are_linked,
    a_repeat_with_the_same_key_is_the_same_deal,
    wrong_calls_are_told_what_is_wrong,
);

const DEMO_DEAL: &str = "56c5e92a-683b-430e-8466-5721c7cacb90";
const SELLER: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcdda";

fn post_body() -> Value {
    json!({ "name": "john doe", "totalPrice": 122300, "currency": "GBP", "status": "sold",
            "discount": { "type": "flat", "amount": 1234 }, "items": [{ "name": "deal1", "price": 12000 }] })
}

fn put_body() -> Value {
    json!({ "id": DEMO_DEAL, "sellerId": SELLER, "name": "john-asdaasd", "totalPrice": 12133, "currency": "GBP",
            "status": "sold", "discount": { "type": "flat", "amount": 1234 },
            "items": [{ "name": "deal2", "price": 12000 },
                      { "id": "9c01d992-7344-44c2-b7d1-a66ac08b1cb7", "name": "deal2", "price": 12000 }],
            "createdAt": "2024-06-17 05:30:12.520", "updatedAt": "2024-06-17 05:30:12.520" })
}

async fn the_documented_calls_work_as_they_stand(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let posted = seller.rest(Method::POST, "/deal", Some(post_body())).await;
    assert_eq!(posted.status, 201, "{posted:?}");
    assert_eq!(posted.body["status"], "sold");
    assert_eq!(posted.body["finalPrice"], 121_066);
    let location = posted.headers["location"]
        .to_str()
        .expect("text")
        .to_owned();
    app.caught_up().await;
    assert_eq!(
        seller.rest(Method::GET, &location, None).await.body,
        posted.body
    );

    let put = seller.rest(Method::PUT, "/v1/deal", Some(put_body())).await;
    assert_eq!(
        (put.status, &put.body["version"]),
        (200, &json!(2)),
        "{put:?}"
    );
    assert_eq!(
        put.body["items"][1]["id"],
        "9c01d992-7344-44c2-b7d1-a66ac08b1cb7"
    );
    let again = seller.rest(Method::PUT, "/deal", Some(put_body())).await;
    assert_eq!(
        again.body, put.body,
        "what is so already stays as it is, the made item's id included"
    );
    assert_eq!(
        again.headers["dealwire-position"],
        put.headers["dealwire-position"]
    );
    let mut without = put_body();
    without
        .as_object_mut()
        .expect("an object")
        .remove("discount");
    let without = seller.rest(Method::PUT, "/deal", Some(without)).await;
    assert_eq!(
        without.body.get("discount"),
        None,
        "an absent discount is removed"
    );

    app.caught_up().await;
    let seen = buyer.rest(Method::GET, "/deal", None).await;
    assert_eq!((seen.status, &seen.body[0]), (200, &without.body));
    assert_eq!(seen.body.as_array().expect("an array").len(), 5);
    assert_eq!(
        seller.rest(Method::GET, "/v1/deal", None).await.body,
        seen.body
    );
    app.stop().await;
}

async fn pages_are_linked(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let mut path = "/deal?first=2".to_owned();
    let mut names = Vec::new();
    loop {
        let page = buyer.rest(Method::GET, &path, None).await;
        let deals = page.body.as_array().expect("an array");
        names.extend(
            deals
                .iter()
                .map(|deal| deal["name"].as_str().expect("a name").to_owned()),
        );
        let Some(link) = page.headers.get("link") else {
            break;
        };
        let link = link.to_str().expect("text");
        path = link
            .strip_prefix('<')
            .and_then(|link| link.split_once('>'))
            .expect("a link")
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

async fn a_repeat_with_the_same_key_is_the_same_deal(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let post = async |body: Value| {
        let request = seller
            .request(Method::POST, "/deal")
            .header("idempotency-key", "order 7")
            .json(&body);
        Answer::read(request.send().await.expect("the gateway answers")).await
    };
    let first = post(post_body()).await;
    assert_eq!(post(post_body()).await.body, first.body);
    let mut other = post_body();
    other["name"] = json!("somebody else");
    let refused = post(other).await;
    assert_eq!(
        (refused.status, refused.code()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
    app.stop().await;
}

async fn wrong_calls_are_told_what_is_wrong(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let post = async |body: Value| seller.rest(Method::POST, "/deal", Some(body)).await;
    let with = |name: &str, value: Value| {
        let mut body = post_body();
        body[name] = value;
        body
    };
    let wrong = post(
        json!({ "name": " ", "totalPrice": -1, "currency": "ZZZ", "colour": 1, "items": "none" }),
    )
    .await;
    assert_eq!((wrong.status, wrong.code()), (400, "BAD_USER_INPUT"));
    assert_eq!(wrong.headers["content-type"], "application/problem+json");
    assert_eq!(wrong.paths(), ["items", "colour"]);
    let ruled_out = post(
        json!({ "name": "a\u{0}b", "totalPrice": 1, "currency": "ZZZ",
        "discount": { "type": "flat", "amount": 2 }, "items": [{ "name": "", "price": -1 }] }),
    )
    .await;
    for path in [
        "name",
        "currency",
        "discount.amount",
        "items.0.name",
        "items.0.price",
    ] {
        assert!(
            ruled_out.paths().contains(&path),
            "{path} is not in {:?}",
            ruled_out.paths()
        );
    }
    let stranger = post(with("sellerId", json!(DEMO_DEAL))).await;
    assert_eq!((stranger.status, stranger.code()), (403, "FORBIDDEN"));
    let huge = post(with("name", json!("x".repeat(300 << 10)))).await;
    assert_eq!((huge.status, huge.code()), (413, "PAYLOAD_TOO_LARGE"));

    let malformed = seller
        .request(Method::POST, "/deal")
        .header("content-type", "application/json")
        .body("{");
    let malformed = Answer::read(malformed.send().await.expect("the gateway answers")).await;
    assert_eq!((malformed.status, malformed.code()), (400, "BAD_REQUEST"));
    let nobody = Client::new(&app.url(), None)
        .rest(Method::GET, "/deal", None)
        .await;
    assert_eq!((nobody.status, nobody.code()), (401, "UNAUTHENTICATED"));
    let stranger = app
        .client("no such key")
        .rest(Method::GET, "/deal", None)
        .await;
    assert_eq!((stranger.status, stranger.code()), (401, "UNAUTHENTICATED"));
    let buyer = app
        .client(BUYER_KEY)
        .rest(Method::POST, "/deal", Some(post_body()))
        .await;
    assert_eq!((buyer.status, buyer.code()), (403, "FORBIDDEN"));
    let other = app
        .client("second-seller-api-key")
        .rest(Method::PUT, "/deal", Some(with_id(put_body())))
        .await;
    assert_eq!(
        (other.status, other.code()),
        (404, "NOT_FOUND"),
        "another seller's deal is not there"
    );
    assert_eq!(post(post_body()).await.status, 201, "the server goes on");
    app.stop().await;
}

/// As another seller would send it.
fn with_id(mut body: Value) -> Value {
    body.as_object_mut().expect("an object").remove("sellerId");
    body
}
