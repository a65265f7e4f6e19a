//! Tokens of an identity provider: who is accepted, until when, and as whom.

use std::time::Duration;

use backbone::accounts::Role;
use backbone::testkit::wait_until;
use gateway::auth::jwt::{JwtSettings, KeySource};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::kit::issuer::{Issuer, Signer, claims, encode, key_set, settings, unsigned};
use crate::kit::{
    Answer, Backing, Client, DEADLINE, End, Events, Party, SELLER_KEY, Socket, Subscription,
    TestApp, on_both,
};

on_both!(
    token_of_each_algorithm_is_taken_where_a_key_is,
    token_of_a_disabled_account_is_refused,
);

const VIEWER: &str = "{ viewer { role id name } }";
const CHANGES: &str =
    "subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }";
const HOUR: Duration = Duration::from_hours(1);

async fn restarted(app: TestApp, jwt: JwtSettings) -> TestApp {
    let app = app.restarted_with(|config| config.jwt = Some(jwt)).await;

    // The set is loaded beside the start; until it is there, every token is answered with 503.
    let header = json!({ "alg": "EdDSA", "kid": "nobody's" });
    let probe = format!("Bearer {}.x", unsigned(&header, &json!({})));
    wait_until(DEADLINE, "the set of keys is loaded", async || {
        send(&app, &probe).await.status == 401
    })
    .await;
    app
}

/// Sends a query with an `Authorization` header.
async fn send(app: &TestApp, authorization: &str) -> Answer {
    let request = Client::new(&app.url(), None)
        .request(Method::POST, "/graphql")
        .header("accept", "application/graphql-response+json")
        .header("authorization", authorization)
        .json(&json!({ "query": VIEWER }));

    Answer::read(request.send().await.expect("the gateway responds")).await
}

/// Returns how a socket answers to an initialisation with this payload.
async fn init(app: &TestApp, payload: Value) -> Result<Value, End> {
    let mut socket = Socket::connect(&app.url(), Some("graphql-transport-ws")).await;

    socket
        .send(json!({ "type": "connection_init", "payload": payload }))
        .await;
    socket.try_message().await
}

async fn token_of_each_algorithm_is_taken_where_a_key_is(app: TestApp) {
    let signers = [Signer::rs256("r"), Signer::es256("e"), Signer::eddsa("d")];
    let issuer = Issuer::start(&signers).await;
    let app = restarted(app, settings(issuer.source())).await;

    for signer in &signers {
        let token = signer.token(&claims(Party::Buyer, HOUR));
        let bearer = format!("Bearer {token}");

        let viewer = send(&app, &bearer).await.data()["viewer"].take();
        let expected = json!({ "role": "BUYER", "id": Party::Buyer.id(), "name": viewer["name"] });
        assert_eq!(viewer, expected, "{}", signer.algorithm);

        let ack = json!({ "type": "connection_ack" });
        for payload in [
            json!({ "authorization": bearer }),
            json!({ "x-api-key": token }),
        ] {
            assert_eq!(init(&app, payload).await, Ok(ack.clone()));
        }
        let deals = app.client(&token).rest(Method::GET, "/deal", None).await;
        assert_eq!(deals.status, 200);
    }

    let seller = signers[0].token(&claims(Party::Seller, HOUR));
    app.client(&seller).create("by a token").await;
    app.stop().await;
}

async fn token_of_a_disabled_account_is_refused(app: TestApp) {
    let signer = Signer::eddsa("d");
    let issuer = Issuer::start([&signer]).await;
    let app = restarted(app, settings(issuer.source())).await;
    let token = signer.token(&claims(Party::Buyer, HOUR));
    let mut socket = app.socket(&token).await;

    let accounts = app.app.backends().buyers.accounts();
    let id = Party::Buyer.id();
    accounts.disable(id).await.expect("the database answers");
    assert_eq!(socket.close_code().await, 4403);
    assert_eq!(send(&app, &format!("Bearer {token}")).await.status, 401);
    assert_eq!(
        init(&app, json!({ "x-api-key": token })).await,
        Err(End::Closed(4403))
    );

    accounts.enable(id).await.expect("the database answers");
    assert_eq!(send(&app, &format!("Bearer {token}")).await.status, 200);
    app.stop().await;
}

/// Tokens that must be refused, each with what is wrong with it.
fn wrong_tokens(rsa: &Signer, ec: &Signer, stranger: &Signer) -> Vec<(&'static str, String)> {
    let good = claims(Party::Buyer, HOUR);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        ec.token(&claims)
    };
    let exp = good["exp"].as_i64().expect("a number");
    let header = |algorithm: &str, kid: &str| json!({ "alg": algorithm, "kid": kid });
    let mut parts: Vec<String> = with("sub", json!(Party::OtherBuyer.id()))
        .split('.')
        .map(str::to_owned)
        .collect();
    parts[2] = ec
        .token(&good)
        .rsplit('.')
        .next()
        .expect("a part")
        .to_owned();

    let mut wrong = vec![
        ("another issuer", with("iss", json!("https://other.test"))),
        ("no issuer", with("iss", Value::Null)),
        ("another audience", with("aud", json!(["shop"]))),
        ("no audience", with("aud", Value::Null)),
        ("expired", with("exp", json!(exp - 7_200))),
        ("no end", with("exp", Value::Null)),
        ("an end that is no number", with("exp", json!("never"))),
        ("not valid yet", with("nbf", json!(exp))),
        (
            "no account",
            with("sub", json!("4d1f0d52-4c1b-4f0e-9a0e-000000000000")),
        ),
        ("an account that is no id", with("sub", json!("anna"))),
        ("the role of another account", with("role", json!("seller"))),
        ("two roles", with("role", json!(["seller", "buyer"]))),
        ("no role", with("role", Value::Null)),
        ("an administrator by claim", with("role", json!("admin"))),
        ("an unknown key", stranger.token(&good)),
        (
            "another's signature",
            stranger.signed(&header("ES256", "e"), &good),
        ),
        ("another algorithm", ec.signed(&header("RS256", "e"), &good)),
        (
            "a key of another kind",
            rsa.signed(&header("ES256", "e"), &good),
        ),
        (
            "a longer RSA algorithm",
            rsa.signed(&header("RS512", "r"), &good),
        ),
        ("claims of another token", parts.join(".")),
        (
            "no signature",
            format!("{}.", unsigned(&header("ES256", "e"), &good)),
        ),
        ("nothing", "..".to_owned()),
        (
            "too long",
            format!("{}.{}.x", "a".repeat(4_100), "b".repeat(4_100)),
        ),
    ];
    for none in ["none", "None", "NONE"] {
        wrong.push((
            "no algorithm",
            format!("{}.", unsigned(&header(none, "e"), &good)),
        ));
    }
    wrong.extend(shared_secrets(rsa, &good));
    wrong
}

/// Tokens of HS256, with what everybody knows of a public key as the secret.
fn shared_secrets(rsa: &Signer, good: &Value) -> Vec<(&'static str, String)> {
    let jwk = rsa.jwk();
    let modulus = jwk["n"].as_str().expect("a text").to_owned();
    let message = unsigned(&json!({ "alg": "HS256", "kid": "r" }), good);

    let secrets = [modulus.clone(), jwk.to_string(), String::new()];
    secrets
        .map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let signature = encode(hmac::sign(&key, message.as_bytes()));
            ("a public key as a secret", format!("{message}.{signature}"))
        })
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_not_valid_is_refused_everywhere() {
    let rsa = Signer::rs256("r");
    let ec = Signer::es256("e");
    let stranger = Signer::es256("stranger");
    let issuer = Issuer::start([&rsa, &ec]).await;
    let app = TestApp::start(Backing::Embedded).await;
    let app = restarted(app, settings(issuer.source())).await;

    for (fault, token) in wrong_tokens(&rsa, &ec, &stranger) {
        let refused = send(&app, &format!("Bearer {token}")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "UNAUTHENTICATED"),
            "{fault}"
        );
        assert_eq!(refused.headers["www-authenticate"], "Bearer", "{fault}");
        let message = refused.body.to_string();
        assert!(
            token.len() < 3 || !message.contains(&token),
            "{fault}: {message}"
        );

        let socket = init(&app, json!({ "x-api-key": token })).await;
        assert_eq!(socket, Err(End::Closed(4403)), "{fault}");
        let rest = app.client(&token).rest(Method::GET, "/deal", None).await;
        assert_eq!(rest.status, 401, "{fault}");
    }

    let good = ec.token(&claims(Party::Buyer, HOUR));
    assert_eq!(send(&app, &format!("Bearer {good}")).await.status, 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_with_their_token_and_resume_with_another() {
    let signer = Signer::es256("e");
    let issuer = Issuer::start([&signer]).await;
    let app = TestApp::start(Backing::Embedded).await;
    let app = restarted(app, settings(issuer.source())).await;
    let seller = app.client(SELLER_KEY);
    let before = seller.create("before").await["position"].clone();

    let short = signer.token(&claims(Party::Buyer, Duration::from_secs(8)));
    let variables = json!({ "after": before });
    let mut changes = Subscription::open(&app.url(), &short, CHANGES, variables.clone()).await;
    let request = app.client(&short).request(Method::POST, "/graphql");
    let request = request.json(&json!({ "query": CHANGES, "variables": variables }));
    let mut events = Events::open(request).await;
    seller.create("while it is valid").await;
    assert_eq!(changes.next().await["deal"]["name"], "while it is valid");

    assert_eq!(changes.try_next().await.err(), Some(End::Closed(4403)));
    while events.next().await.is_some() {}
    assert_eq!(send(&app, &format!("Bearer {short}")).await.status, 401);
    seller.create("while it is over").await;

    let fresh = signer.token(&claims(Party::Buyer, HOUR));
    let resumed = changes.position.as_deref();
    let mut changes = Subscription::deals(&app.url(), &fresh, resumed).await;
    assert_eq!(changes.next().await["deal"]["name"], "while it is over");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_fetched_when_they_are_used_and_not_more_often() {
    let old = Signer::es256("old");
    let new = Signer::eddsa("new");
    let issuer = Issuer::start([&old]).await;
    let app = TestApp::start(Backing::Embedded).await;
    let app = app
        .restarted_with(|config| config.jwt = Some(settings(issuer.source())))
        .await;
    let status = async |signer: &Signer, lifetime| {
        let token = signer.token(&claims(Party::Buyer, lifetime));
        send(&app, &format!("Bearer {token}")).await.status
    };
    wait_until(DEADLINE, "the set is loaded", async || {
        status(&old, HOUR).await == 200
    })
    .await;
    let loads = issuer.loads();

    issuer.publish([&old, &new]);
    assert_eq!(status(&new, HOUR).await, 200, "its key is fetched");
    for number in 0..5 {
        let unknown = Signer::eddsa(&format!("unknown {number}"));
        assert_eq!(status(&unknown, HOUR).await, 401);
    }
    assert_eq!(issuer.loads(), loads + 1, "within a minute");

    issuer.fail();
    assert_eq!(status(&old, 2 * HOUR).await, 200, "the set stays");
    assert_eq!(status(&new, 2 * HOUR).await, 200, "the set stays");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_withdrawn_key_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("keys.json");
    let kept = Signer::eddsa("kept");
    let withdrawn = Signer::es256("withdrawn");
    let write = |set: Value| std::fs::write(&file, set.to_string()).expect("a file");
    write(key_set([&kept, &withdrawn]));

    let app = TestApp::start(Backing::Embedded).await;
    let app = restarted(app, settings(KeySource::File(file.clone()))).await;
    let token = |signer: &Signer| signer.token(&claims(Party::Buyer, HOUR));
    let mut ending = app.socket(&token(&withdrawn)).await;
    let mut staying = app.socket(&token(&kept)).await;

    // What is not a set changes nothing.
    write(json!({ "keys": "soon" }));
    assert_eq!(
        send(&app, &format!("Bearer {}", token(&withdrawn)))
            .await
            .status,
        200
    );
    write(key_set([&kept]));
    assert_eq!(ending.close_code().await, 4403);
    assert_eq!(
        send(&app, &format!("Bearer {}", token(&withdrawn)))
            .await
            .status,
        401
    );

    staying.subscribe("1", VIEWER, json!({})).await;
    assert_eq!(staying.message().await["type"], "next");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_makes_an_administrator_only_if_a_value_is_set_for_it() {
    let signer = Signer::rs256("r");
    let issuer = Issuer::start([&signer]).await;
    let app = TestApp::start(Backing::Embedded).await;
    let sellers = app.app.backends().sellers.accounts();
    let account = sellers.create(None, Role::Admin, "root").await;
    let mut claims = claims(Party::Seller, HOUR);
    claims["sub"] = json!(account.expect("the database answers").id);
    claims["role"] = json!(["users", "market-admin"]);
    let token = signer.token(&claims);

    let app = restarted(app, settings(issuer.source())).await;
    assert_eq!(send(&app, &format!("Bearer {token}")).await.status, 401);

    let mut jwt = settings(issuer.source());
    jwt.roles.admin = Some("market-admin".to_owned());
    let app = restarted(app, jwt).await;
    let create = "mutation { createBuyer(name: \"made\") { name } }";
    let made = app.client(&token).data(create, json!({})).await;
    assert_eq!(made["createBuyer"]["name"], "made");
    app.stop().await;
}
