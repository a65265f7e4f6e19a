//! Documents that requests name instead of sending them: automatic persisted queries and trusted documents, over every
//! transport.

use std::path::PathBuf;

use backbone::accounts::Role;
use gateway::app::{App, StartError};
use gateway::settings::Mode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::kit::{Answer, BUYER_KEY, Backing, Client, Events, SELLER_KEY, TestApp};

const ROLE: &str = "query Role { viewer { role } }";
const CHANGES: &str =
    "subscription Changes($after: Position) { dealChanged(after: $after) { deal { name } } }";
const NAME: &str = "query Name { viewer { name } }";

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Extension with which Apollo and urql send the hash of a document.
fn apq(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

async fn answer(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("the gateway responds")).await
}

async fn post(client: &Client, body: &Value) -> Answer {
    answer(client.request(Method::POST, "/graphql").json(body)).await
}

async fn get(client: &Client, parameters: &[(&str, &str)]) -> Answer {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(parameters).finish();

    answer(client.request(Method::GET, &format!("/graphql?{query}"))).await
}

/// Executes a request on a socket and returns its first message.
async fn on_socket(app: &TestApp, key: &str, payload: &Value) -> Value {
    let mut socket = app.socket(key).await;
    socket
        .send(json!({ "type": "subscribe", "id": "1", "payload": payload }))
        .await;

    socket.message().await
}

/// Returns the code of the error that a socket's message tells.
fn socket_code(message: &Value) -> &str {
    let code = &message["payload"][0]["extensions"]["code"];

    code.as_str()
        .unwrap_or_else(|| panic!("no code in {message}"))
}

/// Returns the code of the first error of a stream that is asked for.
async fn stream_code(client: &Client, body: &Value) -> String {
    let request = client.request(Method::POST, "/graphql").json(body);
    let mut events = Events::open(request).await;
    let event = events.next().await.expect("there is a result");
    let result: Value = serde_json::from_str(&event["data"]).expect("the result is JSON");

    let code = result["errors"][0]["extensions"]["code"].as_str();
    code.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn apq_serves_one_document_over_every_transport() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let role = hash(ROLE);
    let by_hash = json!({ "extensions": apq(&role) });
    let expected = json!({ "viewer": { "role": "BUYER" } });

    let missed = post(&buyer, &by_hash).await;
    assert_eq!(missed.code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        missed.body["errors"][0]["message"],
        "PersistedQueryNotFound"
    );
    let missed = on_socket(&app, BUYER_KEY, &by_hash).await;
    assert_eq!(socket_code(&missed), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        stream_code(&buyer, &by_hash).await,
        "PERSISTED_QUERY_NOT_FOUND"
    );

    // Sent once, on a socket, it is known everywhere.
    let both = json!({ "query": ROLE, "extensions": apq(&role) });
    let sent = on_socket(&app, BUYER_KEY, &both).await;
    assert_eq!(sent["payload"]["data"], expected);

    assert_eq!(post(&buyer, &by_hash).await.data(), expected);
    let empty = json!({ "query": "", "extensions": apq(&role), "operationName": "Role" });
    assert_eq!(post(&buyer, &empty).await.data(), expected);
    let document_id = format!("sha256:{role}");
    assert_eq!(
        post(&buyer, &json!({ "documentId": document_id }))
            .await
            .data(),
        expected
    );

    let extensions = apq(&role).to_string();
    let by_get = get(&buyer, &[("extensions", &extensions)]).await;
    assert_eq!(by_get.data(), expected);
    let by_query = Method::from_bytes(b"QUERY").expect("QUERY is a token");
    let by_query = buyer.request(by_query, "/graphql").json(&by_hash);
    assert_eq!(answer(by_query).await.data(), expected);
    let empty = json!({ "query": "", "extensions": apq(&role) });
    assert_eq!(
        on_socket(&app, BUYER_KEY, &empty).await["payload"]["data"],
        expected
    );

    check_subscription_by_hash(&app, &buyer).await;
    assert_eq!(
        app.metric("dealwire_persisted_queries_stored_total").await,
        2
    );
    app.stop().await;
}

/// Opens a stream of a document that came with its hash, and another one by the hash alone.
async fn check_subscription_by_hash(app: &TestApp, buyer: &Client) {
    let both = json!({ "query": CHANGES, "extensions": apq(&hash(CHANGES)) });
    let by_hash = json!({ "extensions": apq(&hash(CHANGES)) });
    let mut streams = Vec::new();
    for body in [both, by_hash] {
        let request = buyer.request(Method::POST, "/graphql").json(&body);
        streams.push(Events::open(request).await);
    }

    app.client(SELLER_KEY).create("pushed").await;
    for events in &mut streams {
        await_event(events, "pushed").await;
    }
}

/// Waits for an event whose data contains a text.
async fn await_event(events: &mut Events, text: &str) {
    loop {
        let event = events.next().await.expect("the stream goes on");
        // Others only tell a position.
        if event.get("data").is_some_and(|data| data.contains(text)) {
            return;
        }
    }
}

#[tokio::test]
async fn apq_stores_nothing_but_valid_documents_under_their_own_hash() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let is_stored = async |text: &str| {
        let answer = post(&buyer, &json!({ "extensions": apq(&hash(text)) })).await;
        answer.body.get("errors").is_none()
    };

    // A hash of another text would let one client decide what others execute.
    let forged = json!({ "query": NAME, "extensions": apq(&hash(ROLE)) });
    assert_eq!(post(&buyer, &forged).await.code(), "BAD_REQUEST");
    let forged = json!({ "query": NAME, "documentId": format!("sha256:{}", hash(ROLE)) });
    assert_eq!(post(&buyer, &forged).await.code(), "BAD_REQUEST");
    assert_eq!(
        socket_code(&on_socket(&app, BUYER_KEY, &forged).await),
        "BAD_REQUEST"
    );
    assert!(!is_stored(ROLE).await && !is_stored(NAME).await);

    let invalid = "{ nothing }";
    let sent = json!({ "query": invalid, "extensions": apq(&hash(invalid)) });
    let refused = post(&buyer, &sent).await;
    assert_eq!(refused.code(), "GRAPHQL_VALIDATION_FAILED");
    let missed = post(&buyer, &json!({ "extensions": apq(&hash(invalid)) })).await;
    assert_eq!(missed.code(), "PERSISTED_QUERY_NOT_FOUND");

    let stranger = Client::new(&app.url(), None);
    let sent = json!({ "query": ROLE, "extensions": apq(&hash(ROLE)) });
    assert_eq!(post(&stranger, &sent).await.code(), "UNAUTHENTICATED");
    assert!(!is_stored(ROLE).await);

    for extension in [
        json!({ "version": 2, "sha256Hash": hash(ROLE) }),
        json!({ "version": 1 }),
        json!({ "version": 1, "sha256Hash": 7 }),
        json!([]),
    ] {
        let refused = post(
            &buyer,
            &json!({ "extensions": { "persistedQuery": extension } }),
        )
        .await;
        assert_eq!(refused.code(), "BAD_REQUEST", "{extension}");
    }

    // Ids that only the client understands count for nothing beside a text.
    let custom = json!({ "query": ROLE, "documentId": "mine", "id": 7 });
    assert_eq!(
        post(&buyer, &custom).await.data(),
        json!({ "viewer": { "role": "BUYER" } })
    );
    let unknown = json!({ "documentId": "mine" });
    assert_eq!(
        post(&buyer, &unknown).await.code(),
        "PERSISTED_QUERY_NOT_FOUND"
    );

    app.stop().await;
}

#[tokio::test]
async fn apq_is_bounded_and_can_be_turned_off() {
    let app = TestApp::start(Backing::Embedded).await;
    let app = app
        .restarted_with(|config| config.documents.rules.apq_bytes = 8 << 10)
        .await;
    let buyer = app.client(BUYER_KEY);

    let texts: Vec<String> = (0..20).map(|n| format!("{{ a{n}: __typename }}")).collect();
    for text in &texts {
        let sent = json!({ "query": text, "extensions": apq(&hash(text)) });
        post(&buyer, &sent).await.data();
    }
    let mut stored = 0;
    for text in &texts {
        let found = post(&buyer, &json!({ "extensions": apq(&hash(text)) })).await;
        stored += usize::from(found.body.get("errors").is_none());
    }
    assert!(
        (1..=8).contains(&stored),
        "{stored} documents of 1 KiB each"
    );

    let app = app
        .restarted_with(|config| config.documents.rules.apq_bytes = 0)
        .await;
    let buyer = app.client(BUYER_KEY);
    let refused = post(&buyer, &json!({ "extensions": apq(&hash(ROLE)) })).await;
    assert_eq!(refused.code(), "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(
        refused.body["errors"][0]["message"],
        "PersistedQueryNotSupported"
    );
    let sent = json!({ "query": ROLE, "extensions": apq(&hash(ROLE)) });
    assert_eq!(
        post(&buyer, &sent).await.data(),
        json!({ "viewer": { "role": "BUYER" } })
    );
    app.stop().await;
}

/// Writes a manifest to a file that is deleted with the value.
fn manifest(content: &Value) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file can be created");
    std::fs::write(file.path(), content.to_string()).expect("the file can be written");
    file
}

/// Manifests as the tools of Apollo, Relay and graphql-codegen write them.
fn manifests() -> [NamedTempFile; 3] {
    let operation = json!({ "id": hash(ROLE), "name": "Role", "type": "query", "body": ROLE });
    let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation] });

    [
        manifest(&apollo),
        // Ids of Relay are MD5, those of older versions of codegen SHA-1.
        manifest(&json!({ "d3b07384d113edec49eaa6238ad5ff00": CHANGES })),
        manifest(&json!({ "da39a3ee5e6b4b0d3255bfef95601890afd80709": NAME })),
    ]
}

fn paths(files: &[NamedTempFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path().to_owned()).collect()
}

#[tokio::test]
async fn trusted_documents_alone_are_executed_on_every_transport() {
    let files = manifests();
    let app = TestApp::start(Backing::Embedded).await;
    let app = app
        .restarted_with(|config| {
            config.documents.trusted = paths(&files);
            config.documents.rules.trusted_only = true;
        })
        .await;
    let buyer = app.client(BUYER_KEY);

    let role = json!({ "viewer": { "role": "BUYER" } });
    for body in [
        json!({ "extensions": apq(&hash(ROLE)) }),
        json!({ "extensions": apq(&hash(ROLE)), "query": ROLE }),
        json!({ "documentId": hash(ROLE) }),
        json!({ "documentId": format!("sha256:{}", hash(ROLE)), "query": "" }),
        json!({ "id": hash(ROLE), "operationName": "Role" }),
        json!({ "doc_id": hash(ROLE), "variables": {} }),
    ] {
        assert_eq!(post(&buyer, &body).await.data(), role, "{body}");
        let on_socket = on_socket(&app, BUYER_KEY, &body).await;
        assert_eq!(on_socket["payload"]["data"], role, "{body}");
    }
    let name = get(
        &buyer,
        &[("documentId", "da39a3ee5e6b4b0d3255bfef95601890afd80709")],
    )
    .await;
    assert!(name.data()["viewer"]["name"].is_string());

    check_trusted_subscription(&app, &buyer).await;
    check_others_are_refused(&app, &buyer).await;
    check_operators_are_not_bound(&app).await;
    app.stop().await;
}

async fn check_trusted_subscription(app: &TestApp, buyer: &Client) {
    let after = create_by_rest(app, "before").await;
    let id = "d3b07384d113edec49eaa6238ad5ff00";
    let body = json!({ "id": id, "variables": { "after": after } });

    let request = buyer.request(Method::POST, "/graphql").json(&body);
    let mut events = Events::open(request).await;
    let mut socket = app.socket(BUYER_KEY).await;
    socket
        .send(json!({ "type": "subscribe", "id": "1", "payload": body }))
        .await;

    create_by_rest(app, "by REST").await;
    let pushed = socket.message().await;
    let name = &pushed["payload"]["data"]["dealChanged"]["deal"]["name"];
    assert_eq!(name, "by REST", "{pushed}");
    await_event(&mut events, "by REST").await;
}

/// Creates a deal by REST, which documents are nothing to, and returns its position.
async fn create_by_rest(app: &TestApp, name: &str) -> String {
    let deal = json!({ "name": name, "totalPrice": 1, "currency": "GBP", "status": "available",
                       "items": [{ "name": "item", "price": 1 }] });
    let seller = app.client(SELLER_KEY);
    let created = seller.rest(Method::POST, "/deal", Some(deal)).await;
    assert_eq!(created.status, 201);

    let position = created.headers["dealwire-position"].to_str();
    position.expect("a position is ASCII").to_owned()
}

async fn check_others_are_refused(app: &TestApp, buyer: &Client) {
    let required = "PERSISTED_QUERY_REQUIRED";
    for body in [
        json!({ "query": "{ __typename }" }),
        json!({ "query": ROLE }),
        json!({ "query": NAME, "documentId": "unknown" }),
        json!({ "documentId": "unknown" }),
        json!({ "extensions": apq(&hash("{ __typename }")) }),
        json!({ "query": "{ __typename }", "extensions": apq(&hash("{ __typename }")) }),
    ] {
        assert_eq!(post(buyer, &body).await.code(), required, "{body}");
        assert_eq!(
            socket_code(&on_socket(app, BUYER_KEY, &body).await),
            required,
            "{body}"
        );
        assert_eq!(stream_code(buyer, &body).await, required, "{body}");
    }
    assert_eq!(
        get(buyer, &[("query", "{__typename}")]).await.code(),
        required
    );

    // An id never stands for a text that the client has chosen.
    let other = json!({ "query": NAME, "documentId": hash(ROLE) });
    assert_eq!(post(buyer, &other).await.code(), "BAD_REQUEST");
}

/// The command line brings documents of its own, with an administrator's key.
async fn check_operators_are_not_bound(app: &TestApp) {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts.create(None, Role::Admin, "operator").await;
    let account = account.expect("the account can be created");
    let issued = accounts.issue(account.id, None).await;
    let admin = app.client(&issued.expect("the key can be issued").key);

    let data = admin.data("{ viewer { role } }", json!({})).await;
    assert_eq!(data["viewer"]["role"], "ADMIN");
}

#[tokio::test]
async fn trusted_documents_that_are_not_valid_stop_the_start() {
    let app = TestApp::start(Backing::Embedded).await;
    let mut config = app.app.config().clone();
    app.stop().await;

    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    config.mode = Mode::Embedded {
        data_dir: folder.path().to_owned(),
    };

    let files = [
        manifest(&json!({ "good": ROLE, "gone": "{ removedField }" })),
        manifest(&json!({ "good": NAME })),
    ];
    config.documents.trusted = paths(&files);
    config.documents.trusted.push("missing.json".into());
    let refused = App::start(config).await.err();
    let Some(StartError::TrustedDocuments(faults)) = refused else {
        panic!("not refused: {refused:?}");
    };

    let expected = [
        "the document gone is not valid",
        "the id good",
        "missing.json: cannot be read",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{fault}");
    }
}
