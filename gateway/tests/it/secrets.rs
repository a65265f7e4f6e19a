//! Secrets in logs: none, however much is logged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backbone::testkit::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::issuer::{Signer, claims, key_set};
use crate::kit::{BUYER_KEY, Client, DEADLINE, End, Events, Party, Process, SELLER_KEY, Socket};

const VIEWER: &str = "{ viewer { id } }";

/// Credentials that clients send, and secrets that they are shown.
struct Secrets {
    given: Vec<String>,
    shown: Vec<String>,
}

/// Starts a process that logs everything into a file, as text or as JSON.
fn start(folder: &Path, json: bool) -> (Process, PathBuf) {
    let log = folder.join("log");
    let keys = folder.join("keys.json");
    let text = |path: &Path| path.display().to_string();
    let (folder, log_path, keys) = (text(folder), text(&log), text(&keys));
    // The shell becomes the binary, with its standard error in the file.
    let wrapper = ["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>>\"$LOG_FILE\""];

    let process = Process::spawn_in(
        &wrapper,
        &[
            ("LOG_FILE", log_path.as_str()),
            ("DEALWIRE_DATA_DIR", folder.as_str()),
            ("DEALWIRE_LOG", "debug"),
            ("DEALWIRE_LOG_JSON", if json { "true" } else { "false" }),
            ("DEALWIRE_JWT_JWKS_FILE", keys.as_str()),
            ("DEALWIRE_JWT_ISSUER", "https://issuer.test"),
            ("DEALWIRE_JWT_AUDIENCE", "dealwire"),
            ("DEALWIRE_JWT_LEEWAY_SECONDS", "0"),
        ],
    );
    (process, log)
}

/// Sends each credential over every transport, in every place that one may stand in.
async fn send_all(url: &str, credentials: &[String]) {
    for credential in credentials {
        let client = Client::new(url, Some(credential));
        client.execute(VIEWER, json!({})).await;
        client.execute("{ broken", json!({})).await;
        client
            .execute("mutation { createBuyer(name: \"\") { id } }", json!({}))
            .await;
        for path in ["/deal", "/changes?after=x", "/deal/x", "/nothing"] {
            client.rest(Method::GET, path, None).await;
        }
        client
            .rest(Method::POST, "/deal", Some(json!({ "name": 7 })))
            .await;

        let plain = Client::new(url, None);
        for form in ["Bearer ", "Basic ", ""] {
            let request = plain.request(Method::POST, "/graphql");
            let request = request.header("authorization", format!("{form}{credential}"));
            let request = request.json(&json!({ "query": VIEWER }));
            request.send().await.expect("the gateway responds");
        }

        let bearer = format!("Bearer {credential}");
        for payload in [
            json!({ "x-api-key": credential }),
            json!({ "Authorization": bearer }),
        ] {
            let mut socket = Socket::connect(url, Some("graphql-transport-ws")).await;
            socket
                .send(json!({ "type": "connection_init", "payload": payload }))
                .await;
            if socket.try_message().await.is_ok() {
                socket.subscribe("1", VIEWER, json!({})).await;
                socket.try_message().await.expect("the socket is open");
            }
        }

        let mut malformed = Socket::connect(url, Some("graphql-transport-ws")).await;
        malformed
            .send_raw(&format!("{{ \"type\": \"{credential}"))
            .await;
        assert_eq!(malformed.try_message().await, Err(End::Closed(4400)));
    }
}

/// Makes keys and secrets, and returns them.
async fn make_all(url: &str, admin_key: &str) -> Vec<String> {
    let admin = Client::new(url, Some(admin_key));
    let issue = "mutation($id: ID!) { issueApiKey(accountId: $id, idempotencyKey: \"k\") { key } }";
    let mut shown = Vec::new();
    for _ in 0..2 {
        let issued = admin.data(issue, json!({ "id": Party::Buyer.id() })).await;
        shown.push(text(&issued["issueApiKey"]["key"]));
    }

    let register = "mutation { registerWebhook(input: { url: \"https://example.com/\", events: [DEAL_CREATED] }) { secret } }";
    let buyer = Client::new(url, Some(&shown[0]));
    let registered = buyer.data(register, json!({})).await;
    shown.push(text(&registered["registerWebhook"]["secret"]));
    shown.extend(import_all(&buyer).await);

    let stream = buyer.request(Method::POST, "/graphql");
    let stream = stream.json(&json!({ "query": "subscription { dealChanged { position } }" }));
    let _stream = Events::open(stream).await;
    shown
}

/// Imports secrets of webhooks, a good one and one that is refused, each in the document and as a variable. Returns them.
async fn import_all(buyer: &Client) -> Vec<String> {
    let good = "whsec_dGhlIHJlY2VpdmVyIGtub3dzIHRoaXMu".to_owned();
    let refused = "whsec_bXVjaCB0b28gc2hvcnQ=".to_owned();

    for secret in [&good, &refused] {
        let input =
            format!("url: \"https://example.com/\", events: [DEAL_CREATED], secret: \"{secret}\"");
        let inline = format!("mutation {{ registerWebhook(input: {{ {input} }}) {{ secret }} }}");
        let variable = "mutation($secret: String) { registerWebhook(input: { url: \"https://example.com/\", events: [DEAL_CREATED], secret: $secret }) { secret } }";
        let answers = [
            buyer.execute(&inline, json!({})).await,
            buyer.execute(variable, json!({ "secret": secret })).await,
        ];
        for answer in answers {
            let shown = &answer.body["data"]["registerWebhook"]["secret"];
            assert_eq!(shown == secret.as_str(), *secret == good, "{shown}");
        }
    }
    vec![good, refused]
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

async fn check(json: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let signer = Signer::es256("e");
    let set = key_set([&signer]).to_string();
    std::fs::write(folder.path().join("keys.json"), set).expect("a file");
    let (mut process, log) = start(folder.path(), json);
    process.ready().await;
    let key_file = folder.path().join("admin-key");
    wait_until(DEADLINE, "the server has written its key", async || {
        key_file.exists()
    })
    .await;

    let url = process.url();
    let admin_key = std::fs::read_to_string(key_file).expect("the file is there");
    let admin_key = admin_key.trim().to_owned();
    let hour = Duration::from_hours(1);
    let mut expired = claims(Party::Buyer, hour);
    expired["exp"] = json!(1_000_000_000);
    let given = vec![
        SELLER_KEY.to_owned(),
        BUYER_KEY.to_owned(),
        admin_key.clone(),
        "a-key-that-nobody-has-issued".to_owned(),
        signer.token(&claims(Party::Buyer, hour)),
        signer.token(&expired),
        Signer::eddsa("unknown").token(&claims(Party::Buyer, hour)),
        "bm90.YQ.token-at-all".to_owned(),
    ];
    send_all(&url, &given).await;
    let shown = make_all(&url, &admin_key).await;
    process.stop().await;

    check_log(&log, json, &Secrets { given, shown });
}

fn check_log(log: &Path, json: bool, secrets: &Secrets) {
    let log = std::fs::read_to_string(log).expect("the log is there");
    assert!(
        log.contains("DEBUG") && log.contains("Listening on"),
        "{log}"
    );
    let first = log.lines().next().expect("the log has lines");
    assert_eq!(
        serde_json::from_str::<Value>(first).is_ok(),
        json,
        "{first}"
    );

    for secret in secrets.given.iter().chain(&secrets.shown) {
        // The id of the demo's buyer is its key as well.
        if secret == BUYER_KEY {
            continue;
        }
        // A part would be enough to find it.
        let part = &secret[secret.len() - 12..];
        let line = log.lines().find(|line| line.contains(part));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_as_text_holds_no_secrets() {
    check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_as_json_holds_no_secrets() {
    check(true).await;
}
