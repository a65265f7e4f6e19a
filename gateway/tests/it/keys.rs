//! API keys and accounts over their life: issued once for each idempotency key, listed, ended, disabled and enabled.

use backbone::accounts::{KeyTerms, Role};
use backbone::clock::Clock;
use backbone::testkit::wait_until;
use backbone::time::Timestamp;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{
    Answer, BUYER_KEY, Client, DEADLINE, End, Events, Party, SELLER_KEY, Socket, TestApp, on_both,
};

on_both!(
    keys_are_listed_without_what_they_are,
    key_ends_at_its_time_with_what_it_opened,
    disabled_account_is_refused_until_it_is_enabled,
    repeated_call_makes_the_same_once,
    repeats_at_the_same_time_make_the_same_once,
    foreign_authorization_counts_only_alone,
);

const VIEWER: &str = "{ viewer { id } }";
const KEYS: &str = "query($account: ID) { apiKeys(accountId: $account) {
    id accountId label createdAt lastUsedAt expiresAt revokedAt } }";
const ISSUE: &str = "mutation($account: ID!, $label: String, $end: DateTime, $key: String) {
    issueApiKey(accountId: $account, label: $label, expiresAt: $end, idempotencyKey: $key) {
        id accountId key } }";
const CHANGES: &str = "subscription($after: Position) { dealChanged(after: $after) { position } }";

/// Creates an administrator's key.
async fn admin(app: &TestApp) -> Client {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts.create(None, Role::Admin, "root").await;
    let issued = accounts
        .issue(account.expect("the database answers").id, None)
        .await;

    app.client(&issued.expect("the database answers").key)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Returns the time of a number of seconds from now.
fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros(Clock::system().now_micros() + seconds * 1_000_000)
}

async fn issue(admin: &Client, variables: Value) -> Value {
    admin.data(ISSUE, variables).await["issueApiKey"].take()
}

async fn keys_are_listed_without_what_they_are(app: TestApp) {
    let admin = admin(&app).await;
    let buyer = Party::Buyer.id();
    let end = after(3_600).to_string();
    let made = issue(
        &admin,
        json!({ "account": buyer, "label": "laptop", "end": end }),
    )
    .await;
    let key = text(&made["key"]);

    let listed = app.client(BUYER_KEY).data(KEYS, json!({})).await;
    let keys = listed["apiKeys"].as_array().expect("a list");
    assert_eq!(keys.len(), 2, "the demo's key, too");
    let newest = &keys[0];
    assert_eq!(
        (&newest["id"], &newest["accountId"], &newest["label"]),
        (&made["id"], &json!(buyer), &json!("laptop")),
    );
    assert_eq!(newest["expiresAt"], json!(end));
    assert_eq!(
        (&newest["lastUsedAt"], &newest["revokedAt"]),
        (&Value::Null, &Value::Null)
    );
    assert!(!listed.to_string().contains(&key[3..]), "{listed}");

    app.client(key).data(VIEWER, json!({})).await;
    wait_until(DEADLINE, "its use is noted", async || {
        let listed = admin.data(KEYS, json!({ "account": buyer })).await;
        listed["apiKeys"][0]["lastUsedAt"].is_string()
    })
    .await;
    let revoke = "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";
    let revoked = admin.data(revoke, json!({ "id": made["id"] })).await;
    let listed = admin.data(KEYS, json!({ "account": buyer })).await;
    assert_eq!(
        listed["apiKeys"][0]["revokedAt"],
        revoked["revokeApiKey"]["revokedAt"]
    );

    let other = json!({ "account": Party::OtherBuyer.id() });
    for key in [BUYER_KEY, SELLER_KEY] {
        let refused = app.client(key).execute(KEYS, other.clone()).await;
        assert_eq!(refused.code(), "FORBIDDEN");
    }
    let own = app
        .client(BUYER_KEY)
        .data(KEYS, json!({ "account": buyer }))
        .await;
    assert_eq!(own["apiKeys"].as_array().map(Vec::len), Some(2));
    assert_eq!(admin.execute(KEYS, json!({})).await.paths(), ["accountId"]);
    let nobody = json!({ "account": "4d1f0d52-4c1b-4f0e-9a0e-000000000000" });
    assert_eq!(admin.execute(KEYS, nobody).await.code(), "NOT_FOUND");
    app.stop().await;
}

async fn key_ends_at_its_time_with_what_it_opened(app: TestApp) {
    let admin = admin(&app).await;
    let buyer = Party::Buyer.id();
    let over = json!({ "account": buyer, "end": after(-1).to_string() });
    assert_eq!(admin.execute(ISSUE, over).await.paths(), ["expiresAt"]);

    let end = json!({ "account": buyer, "end": after(8).to_string() });
    let made = issue(&admin, end).await;
    let key = text(&made["key"]);
    let mut socket = Socket::open(&app.url(), key).await;
    let request = app.client(key).request(Method::POST, "/graphql");
    let mut events = Events::open(request.json(&json!({ "query": CHANGES }))).await;

    assert_eq!(socket.close_code().await, 4403);
    while events.next().await.is_some() {}
    let refused = app.client(key).execute(VIEWER, json!({})).await;
    assert_eq!((refused.status, refused.code()), (401, "UNAUTHENTICATED"));
    app.stop().await;
}

async fn disabled_account_is_refused_until_it_is_enabled(app: TestApp) {
    let admin = admin(&app).await;
    let change = async |field: &str, id: &Value| {
        let mutation = format!("mutation($id: ID!) {{ {field}(id: $id) {{ id disabledAt }} }}");
        let changed = admin.execute(&mutation, json!({ "id": id })).await;
        changed.data()[field].take()
    };
    let buyer = json!(Party::Buyer.id());
    let mut socket = app.socket(BUYER_KEY).await;
    let mut other = app.socket(SELLER_KEY).await;

    let disabled = change("disableAccount", &buyer).await;
    assert!(disabled["disabledAt"].is_string(), "{disabled}");
    assert_eq!(change("disableAccount", &buyer).await, disabled, "once");
    assert_eq!(socket.close_code().await, 4403);
    let refused = app.client(BUYER_KEY).execute(VIEWER, json!({})).await;
    assert_eq!(refused.status, 401);
    let opened = Socket::try_open(&app.url(), BUYER_KEY, crate::kit::Buffer::Default).await;
    assert_eq!(opened.err(), Some(End::Closed(4403)));

    other.subscribe("1", VIEWER, json!({})).await;
    assert_eq!(other.message().await["type"], "next", "others go on");

    let enabled = change("enableAccount", &buyer).await;
    assert_eq!(enabled, json!({ "id": buyer, "disabledAt": null }));
    app.client(BUYER_KEY).data(VIEWER, json!({})).await;

    let own = admin.data(VIEWER, json!({})).await["viewer"]["id"].take();
    let disable = "mutation($id: ID!) { disableAccount(id: $id) { id } }";
    let refused = admin.execute(disable, json!({ "id": own })).await;
    assert_eq!(refused.paths(), ["id"], "nobody could undo it");
    let nobody = json!({ "id": "4d1f0d52-4c1b-4f0e-9a0e-000000000000" });
    assert_eq!(admin.execute(disable, nobody).await.code(), "NOT_FOUND");
    let seller = app.client(SELLER_KEY);
    let refused = seller.execute(disable, json!({ "id": buyer })).await;
    assert_eq!(refused.code(), "FORBIDDEN");
    app.stop().await;
}

/// Creates an account with an idempotency key.
async fn create(admin: &Client, field: &str, name: &str, id: Option<&str>, key: &str) -> Answer {
    let mutation = format!(
        "mutation($name: String!, $id: ID, $key: String) {{
            {field}(name: $name, id: $id, idempotencyKey: $key) {{ id name }} }}"
    );

    let variables = json!({ "name": name, "id": id, "key": key });
    admin.execute(&mutation, variables).await
}

async fn repeated_call_makes_the_same_once(app: TestApp) {
    let admin = admin(&app).await;
    for field in ["createSeller", "createBuyer"] {
        let first = create(&admin, field, "one", None, "k").await.data();
        assert_eq!(
            create(&admin, field, " one ", None, "k").await.data(),
            first
        );
        assert_ne!(
            create(&admin, field, "one", None, "other").await.data(),
            first
        );

        for (name, id) in [
            ("two", None),
            ("one", Some("0b0e9f6e-4d0c-4a86-8d7f-000000000009")),
        ] {
            let reused = create(&admin, field, name, id, "k").await;
            assert_eq!(reused.code(), "IDEMPOTENCY_KEY_REUSED");
        }
        assert_eq!(
            create(&admin, field, "one", None, &"k".repeat(201))
                .await
                .paths(),
            ["idempotencyKey"]
        );
    }

    let end = after(3_600).to_string();
    let call = json!({ "account": Party::Buyer.id(), "label": "l", "end": end, "key": "k" });
    let first = issue(&admin, call.clone()).await;
    assert_eq!(
        issue(&admin, call.clone()).await,
        first,
        "the same key is shown"
    );
    app.client(text(&first["key"]))
        .data(VIEWER, json!({}))
        .await;

    for (name, value) in [
        ("account", json!(Party::Seller.id())),
        ("label", json!("other")),
        ("end", json!(after(7_200).to_string())),
    ] {
        let mut other = call.clone();
        other[name] = value;
        let reused = admin.execute(ISSUE, other).await;
        assert_eq!((reused.code(), name), ("IDEMPOTENCY_KEY_REUSED", name));
    }

    let revoke = "mutation($id: ID!) { revokeApiKey(id: $id) { id } }";
    admin.data(revoke, json!({ "id": first["id"] })).await;
    assert_eq!(issue(&admin, call).await, first);
    let client = app.client(text(&first["key"]));
    wait_until(DEADLINE, "a repeat revives no key", async || {
        client.execute(VIEWER, json!({})).await.status == 401
    })
    .await;
    check_sealed(&app, text(&first["key"])).await;
    app.stop().await;
}

/// Checks that no part of a kept key is stored as it is.
async fn check_sealed(app: &TestApp, key: &str) {
    use backbone::accounts::CallName;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let accounts = app.app.backends().sellers.accounts();
    let admins = accounts.first_of(Role::Admin).await;
    let name = CallName {
        caller: admins
            .expect("the database answers")
            .expect("there is one")
            .id,
        mutation: "issueApiKey",
        key: "k",
    };
    let kept = accounts
        .kept_call(name)
        .await
        .expect("the database answers");
    let sealed = kept
        .expect("the call is kept")
        .sealed
        .expect("it made a key");

    let random = URL_SAFE_NO_PAD.decode(&key[3..]).expect("base64");
    let is_part = |part: &[u8]| sealed.windows(8).any(|stored| stored == part);
    assert!(!random.windows(8).any(is_part));
}

async fn repeats_at_the_same_time_make_the_same_once(app: TestApp) {
    let admin = admin(&app).await;
    let accounts = join_all((0..16).map(|_| create(&admin, "createBuyer", "one", None, "k"))).await;
    let accounts: Vec<Value> = accounts.into_iter().map(Answer::data).collect();
    assert!(accounts.iter().all(|account| *account == accounts[0]));

    let account = accounts[0]["createBuyer"]["id"].clone();
    let call = json!({ "account": account, "key": "k" });
    let keys = join_all((0..16).map(|_| issue(&admin, call.clone()))).await;
    assert!(keys.iter().all(|key| *key == keys[0]));

    let listed = admin.data(KEYS, json!({ "account": account })).await;
    assert_eq!(listed["apiKeys"].as_array().map(Vec::len), Some(1));
    app.client(text(&keys[0]["key"]))
        .data(VIEWER, json!({}))
        .await;
    app.stop().await;
}

async fn foreign_authorization_counts_only_alone(app: TestApp) {
    let send = async |key: Option<&str>, authorizations: &[&str]| {
        let client = Client::new(&app.url(), key);
        let mut request = client.request(Method::POST, "/graphql");
        for authorization in authorizations {
            request = request.header("authorization", *authorization);
        }
        let request = request.json(&json!({ "query": VIEWER }));
        Answer::read(request.send().await.expect("the gateway responds")).await
    };

    for foreign in [
        "Basic dTpw",
        "Negotiate YII=",
        "Digest username=\"u\"",
        "Negotiate",
    ] {
        let taken = send(Some(BUYER_KEY), &[foreign]).await;
        assert_eq!(
            taken.data()["viewer"]["id"],
            json!(Party::Buyer.id()),
            "{foreign}"
        );

        let alone = send(None, &[foreign]).await;
        assert_eq!(
            (alone.status, alone.code()),
            (401, "UNAUTHENTICATED"),
            "{foreign}"
        );
        assert_eq!(alone.headers["www-authenticate"], "Bearer");
        assert_eq!(send(Some("wrong"), &[foreign]).await.status, 401);

        let bearer = format!("Bearer {BUYER_KEY}");
        let both = send(None, &[foreign, bearer.as_str()]).await;
        assert_eq!(both.status, 200, "{foreign} of a proxy");
    }
    let differ = send(Some(BUYER_KEY), &["Bearer other"]).await;
    assert_eq!(differ.code(), "UNAUTHENTICATED");

    let rest = app.client(BUYER_KEY).request(Method::GET, "/deal");
    let rest = rest.header("authorization", "Basic dTpw").send().await;
    assert_eq!(rest.expect("the gateway responds").status(), 200);
    app.stop().await;
}

/// Keys that ended before the gateway saw them are refused like those that it knew.
#[tokio::test(flavor = "multi_thread")]
async fn key_that_has_ended_is_refused_at_once() {
    let app = TestApp::start(crate::kit::Backing::Embedded).await;
    let accounts = app.app.backends().buyers.accounts();
    let terms = KeyTerms {
        label: None,
        expires_at: Some(after(-1)),
    };
    let issued = accounts.issue_on(Party::Buyer.id(), terms).await;
    let key = issued.expect("the database answers").key;

    assert_eq!(
        app.client(&key).execute(VIEWER, json!({})).await.status,
        401
    );
    app.stop().await;
}
