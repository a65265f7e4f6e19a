//! Access as live state: what a buyer sees begins with a grant and ends with a revocation, each at
//! its position in the log.

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Backing, Client, SELLER_KEY, Subscription, TestApp, on_both};

on_both!(
    buyer_without_access_sees_nothing,
    revocation_takes_effect_at_its_position
);

const BUYER: &str = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc";
const OTHER_BUYER: &str = "4d1f0d52-4c1b-4f0e-9a0e-6a8ad1c6a102";
const OTHER_SELLER_KEY: &str = "second-seller-api-key";
const OTHER_BUYER_KEY: &str = "second-buyer-api-key";
const ACCESS: &str = "subscription($after: Position) {
    accessChanged(after: $after) { sellerId buyerId granted position } }";

async fn grant(seller: &Client, buyer: &str) -> Value {
    change_access(seller, "grantAccess", buyer).await
}

async fn revoke(seller: &Client, buyer: &str) -> Value {
    change_access(seller, "revokeAccess", buyer).await
}

async fn change_access(seller: &Client, field: &str, buyer: &str) -> Value {
    let mutation =
        format!("mutation($buyer: ID!) {{ {field}(buyerId: $buyer) {{ granted position }} }}");

    seller.data(&mutation, json!({ "buyer": buyer })).await[field].take()
}

/// Creates a deal and returns its position.
async fn create(seller: &Client, name: &str) -> String {
    let created = seller.create(name).await;
    created["position"]
        .as_str()
        .expect("a payload has a position")
        .to_owned()
}

async fn buyer_without_access_sees_nothing(app: TestApp) {
    let buyer = app.client(OTHER_BUYER_KEY);
    let query = "{ dealsForBuyer { nodes { id } } accessForBuyer { nodes { sellerId } } }";
    assert_eq!(
        buyer.data(query, json!({})).await,
        json!({ "dealsForBuyer": { "nodes": [] }, "accessForBuyer": { "nodes": [] } })
    );

    let mut changes = Subscription::deals(&app.url(), OTHER_BUYER_KEY, None).await;
    let other_seller = app.client(OTHER_SELLER_KEY);
    app.client(SELLER_KEY).create("without access").await;
    grant(&other_seller, OTHER_BUYER).await;
    other_seller.create("with access").await;
    assert_eq!(
        changes.next().await["deal"]["name"],
        "with access",
        "and nothing before it"
    );

    let missing = other_seller.execute(
        "mutation { grantAccess(buyerId: \"4d1f0d52-4c1b-4f0e-9a0e-000000000000\") { granted } }",
        json!({}),
    );
    assert_eq!(missing.await.code(), "NOT_FOUND");

    app.stop().await;
}

async fn revocation_takes_effect_at_its_position(app: TestApp) {
    let first = app.client(SELLER_KEY);
    let second = app.client(OTHER_SELLER_KEY);
    grant(&second, BUYER).await;

    let begin = create(&first, "one").await;
    let mut deals = Subscription::deals(&app.url(), BUYER_KEY, Some(&begin)).await;
    let mut accesses =
        Subscription::open(&app.url(), BUYER_KEY, ACCESS, json!({ "after": begin })).await;

    first.create("two, before").await;
    let revoked = revoke(&first, BUYER).await;
    assert_eq!(revoked["granted"], false);
    first.create("three, while revoked").await;
    second.create("four, of the other seller").await;
    grant(&first, BUYER).await;
    first.create("five, granted again").await;

    let visible = [
        "two, before",
        "four, of the other seller",
        "five, granted again",
    ];
    for name in visible {
        assert_eq!(deals.next().await["deal"]["name"], name);
    }
    for granted in [false, true] {
        let change = accesses.next().await;
        assert_eq!(
            (&change["granted"], &change["buyerId"]),
            (&json!(granted), &json!(BUYER))
        );
    }

    let mut replay = Subscription::deals(&app.url(), BUYER_KEY, Some(&begin)).await;
    for name in visible {
        assert_eq!(
            replay.next().await["deal"]["name"],
            name,
            "a replay follows the same access intervals"
        );
    }

    let again = grant(&first, BUYER).await;
    let unchanged = grant(&first, BUYER).await;
    assert_eq!(
        again, unchanged,
        "a grant to a buyer who has access appends nothing"
    );

    app.stop().await;
}

/// The access intervals that a gateway reads come from tables, which may be ahead of the changes in
/// its ring.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_that_is_read_early_hides_no_change_before_it() {
    let app = TestApp::start(Backing::Embedded).await;
    let first = app.client(SELLER_KEY);
    let second = app.client(OTHER_SELLER_KEY);
    grant(&second, BUYER).await;
    let begin = create(&first, "one").await;
    app.caught_up().await;

    // While notifications are delayed, the tables advance and the gateway's ring does not.
    let bus = app
        .app
        .backends()
        .bus
        .faults()
        .expect("the bus of an embedded app has faults to inject");
    bus.delay();
    first.create("two, before the revoke").await;
    revoke(&first, BUYER).await;
    app.caught_up().await;

    let mut changes = Subscription::deals(&app.url(), BUYER_KEY, Some(&begin)).await;
    second.create("three").await;
    bus.release();
    for name in ["two, before the revoke", "three"] {
        assert_eq!(changes.next().await["deal"]["name"], name);
    }

    app.stop().await;
}
