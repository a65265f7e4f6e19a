//! TLS, and its certificate changed while the process runs.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use backbone::telemetry::Metrics;
use listener::{Listener, Settings, TlsFiles};

use crate::kit::{Client, Pair, Server, tls_client};

fn encrypted(files: TlsFiles) -> Settings {
    Settings {
        tls: Some(files),
        tls_check: Duration::from_millis(20),
        ..Settings::default()
    }
}

/// Returns whether a client that trusts only this certificate is answered.
async fn answers(server: &Server, pair: &Pair) -> bool {
    let tcp = server.connect().await;
    let Ok(stream) = tls_client(tcp, &pair.certificate, &["http/1.1"]).await else {
        return false;
    };
    let mut client = Client::new(stream);
    client.send("GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("encrypted: true").await;
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_replaced_when_its_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let first = Pair::new();
    let second = Pair::new();
    let server = Server::start(encrypted(first.write(folder.path())));
    assert!(answers(&server, &first).await);
    assert!(!answers(&server, &second).await);

    let old = tls_client(server.connect().await, &first.certificate, &[]).await;
    let mut old = Client::new(old.unwrap());
    second.write(folder.path());
    server.measures("tls_reloads_total 1").await;
    assert!(answers(&server, &second).await);
    assert!(!answers(&server, &first).await);

    // A connection that is open stays so.
    old.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    old.expect("hello").await;
    server.measures("tls_reload_failures_total 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_certificate_is_not_used_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let first = Pair::new();
    let second = Pair::new();
    let files = first.write(folder.path());
    let server = Server::start(encrypted(files.clone()));

    // The certificate of another key.
    second.write_cert(folder.path());
    server.measures("tls_reload_failures_total 1").await;
    assert!(answers(&server, &first).await);

    fs::write(&files.cert, "no certificate").unwrap();
    server.measures("tls_reload_failures_total 2").await;
    assert!(answers(&server, &first).await);

    fs::remove_file(&files.key).unwrap();
    server.measures("tls_reload_failures_total 3").await;
    assert!(answers(&server, &first).await);

    second.write(folder.path());
    server.measures("tls_reloads_total 1").await;
    assert!(answers(&server, &second).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_in_clear_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(encrypted(Pair::new().write(folder.path())));
    let mut client = Client::new(server.connect().await);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.end().await;
    server
        .measures("connections_refused_total{reason=\"tls\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_at_the_start_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = Pair::new().write(folder.path());
    let bind = |files: &TlsFiles| {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = Listener::bind(here, encrypted(files.clone()), &Metrics::new());
        bound.err().expect("an error").to_string()
    };

    let swapped = TlsFiles {
        cert: files.key.clone(),
        key: files.cert.clone(),
    };
    assert!(bind(&swapped).contains("key.pem: it holds no PEM certificate"));
    let without_key = TlsFiles {
        key: files.cert.clone(),
        ..files.clone()
    };
    assert!(bind(&without_key).contains("cannot use the TLS file "));

    Pair::new().write_cert(folder.path());
    assert!(bind(&files).contains("key.pem: with the certificate "));
    fs::remove_file(&files.cert).unwrap();
    assert!(bind(&files).contains("cert.pem: "));
}
