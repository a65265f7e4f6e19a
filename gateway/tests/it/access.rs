//! Access as live state: what a buyer sees begins with a grant and ends with a revoke, at their places in the order.

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Backing, Client, SELLER_KEY, Subscription, TestApp, on_both};

on_both!(
    strangers_see_nothing,
    a_revoke_ends_at_its_place_in_the_order
);

const BUYER: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";
const OTHER_BUYER: &str = "4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102";
const OTHER_SELLER_KEY: &str = "second-seller-api-key";
const OTHER_BUYER_KEY: &str = "second-buyer-api-key";
const ACCESS: &str = "subscription($after: Position) {
    accessChanged(after: $after) { sellerId buyerId granted position } }";

async fn access(seller: &Client, field: &str, buyer: &str) -> Value {
    let mutation =
        format!("mutation($buyer: ID!) {{ {field}(buyerId: $buyer) {{ granted position }} }}");
    seller.data(&mutation, json!({ "buyer": buyer })).await[field].take()
}

async fn strangers_see_nothing(app: TestApp) {
    let stranger = app.client(OTHER_BUYER_KEY);
    let empty = stranger.data(
        "{ dealsForBuyer { nodes { id } } accessForBuyer { nodes { sellerId } } }",
        json!({}),
    );
    assert_eq!(
        empty.await,
        json!({ "dealsForBuyer": { "nodes": [] }, "accessForBuyer": { "nodes": [] } })
    );
    let mut changes = Subscription::deals(&app.url(), OTHER_BUYER_KEY, None).await;
    app.client(SELLER_KEY).create("not for strangers").await;
    let other = app.client(OTHER_SELLER_KEY);
    access(&other, "grantAccess", OTHER_BUYER).await;
    other.create("for friends").await;
    assert_eq!(
        changes.next().await["deal"]["name"],
        "for friends",
        "and nothing before it"
    );
    let missing = other.execute(
        "mutation { grantAccess(buyerId: \"4d1f0d52-4c1b-4f0e-9a0e-000000000000\") { granted } }",
        json!({}),
    );
    assert_eq!(missing.await.code(), "NOT_FOUND");
    app.stop().await;
}

async fn a_revoke_ends_at_its_place_in_the_order(app: TestApp) {
    let (first, second) = (app.client(SELLER_KEY), app.client(OTHER_SELLER_KEY));
    access(&second, "grantAccess", BUYER).await;
    let beginning = first.create("one").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, Some(&beginning)).await;
    let mut told =
        Subscription::open(&app.url(), BUYER_KEY, ACCESS, json!({ "after": beginning })).await;

    first.create("two, before").await;
    let revoked = access(&first, "revokeAccess", BUYER).await;
    assert_eq!(revoked["granted"], false);
    first.create("three, while revoked").await;
    second.create("four, of the other seller").await;
    access(&first, "grantAccess", BUYER).await;
    first.create("five, granted again").await;
    let expected = [
        "two, before",
        "four, of the other seller",
        "five, granted again",
    ];
    for name in expected {
        assert_eq!(changes.next().await["deal"]["name"], name);
    }
    for granted in [false, true] {
        let change = told.next().await;
        assert_eq!(
            (&change["granted"], &change["buyerId"]),
            (&json!(granted), &json!(BUYER))
        );
    }
    let mut replay = Subscription::deals(&app.url(), BUYER_KEY, Some(&beginning)).await;
    for name in expected {
        assert_eq!(
            replay.next().await["deal"]["name"],
            name,
            "replay obeys the same intervals"
        );
    }
    let again = access(&first, "grantAccess", BUYER).await;
    let unchanged = access(&first, "grantAccess", BUYER).await;
    assert_eq!(
        again, unchanged,
        "a grant that holds already appends nothing"
    );
    app.stop().await;
}

/// What a gateway knows of access comes from tables that may be ahead of the changes it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_that_is_known_early_hides_no_change_before_it() {
    let app = TestApp::start(Backing::Embedded).await;
    let (first, second) = (app.client(SELLER_KEY), app.client(OTHER_SELLER_KEY));
    access(&second, "grantAccess", BUYER).await;
    let beginning = first.create("one").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    app.caught_up().await;
    let bus = app
        .app
        .backends()
        .bus
        .faults()
        .expect("a bus inside the process");
    bus.delay();
    first.create("two, before the revoke").await;
    access(&first, "revokeAccess", BUYER).await;
    app.caught_up().await;
    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, Some(&beginning)).await;
    second.create("three").await;
    bus.release();
    for name in ["two, before the revoke", "three"] {
        assert_eq!(changes.next().await["deal"]["name"], name);
    }
    app.stop().await;
}
