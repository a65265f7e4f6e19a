//! The public address with TLS: a websocket whose link is not a plain connection.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use listener::TlsFiles;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::kit::{BUYER_KEY, Backing, CREATE, DEADLINE, SELLER_KEY, TestApp};

/// Changes that are pushed at once, of 100 items each: far more than one write takes.
const CHANGES: usize = 100;

/// Connects to the app, whose certificate is the only one that is trusted.
async fn connect(app: &TestApp, certificate: &CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let tcp = TcpStream::connect(app.app.address())
        .await
        .expect("the gateway accepts");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .expect("the gateway agrees on TLS")
}

async fn message(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> Value {
    let message = timeout(DEADLINE, socket.next()).await.expect("in time");
    let message = message.expect("the socket is open").expect("a message");

    serde_json::from_str(message.to_text().expect("a text")).expect("JSON")
}

/// Creates the changes on the app without TLS. Returns the position before them.
async fn make_changes(app: &TestApp) -> Value {
    let seller = app.client(SELLER_KEY);
    let before = seller.create("before").await["position"].clone();
    let items: Vec<Value> = (0..100)
        .map(|number| json!({ "name": "an item of some length", "price": number }))
        .collect();

    for number in 0..CHANGES {
        let input = json!({ "name": format!("deal {number}"), "totalPrice": 1, "currency": "GBP", "items": items });
        seller.data(CREATE, json!({ "input": input })).await;
    }
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_over_tls_gets_every_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = TlsFiles {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.cert, cert.pem()).expect("a file");
    std::fs::write(&files.key, signing_key.serialize_pem()).expect("a file");

    let app = TestApp::start(Backing::Embedded).await;
    let before = make_changes(&app).await;
    let app = app
        .restarted_with(|config| {
            config.connections.tls = Some(files);
            // Later than the test waits: nothing else may carry along what a write has left behind.
            config.ping = DEADLINE * 2;
        })
        .await;

    let stream = connect(&app, cert.der()).await;
    let mut request = "wss://localhost/graphql"
        .into_client_request()
        .expect("a request");
    request.headers_mut().insert(
        "sec-websocket-protocol",
        "graphql-transport-ws".parse().expect("a header"),
    );
    let (mut socket, _) = client_async(request, stream).await.expect("an upgrade");

    let init = json!({ "type": "connection_init", "payload": { "x-api-key": BUYER_KEY } });
    let query = "subscription ($after: Position) {
        dealChanged(after: $after) { deal { name items { name } } } }";
    let payload = json!({ "query": query, "variables": { "after": before } });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
    for (sent, number_of_answers) in [(init, 1), (subscribe, CHANGES)] {
        let is_subscribe = sent["type"] == "subscribe";
        let sent = Message::text(sent.to_string());
        socket.send(sent).await.expect("the socket is open");

        for number in 0..number_of_answers {
            let answer = message(&mut socket).await;
            if is_subscribe {
                let deal = &answer["payload"]["data"]["dealChanged"]["deal"];
                assert_eq!(deal["name"], format!("deal {number}"));
            } else {
                assert_eq!(answer["type"], "connection_ack");
            }
        }
    }
    app.stop().await;
}
