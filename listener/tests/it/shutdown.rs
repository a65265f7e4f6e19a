//! End of a listener, whatever its clients do.

use std::time::Duration;

use listener::Settings;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::kit::{Client, LARGE, PATIENCE, SHORT, Server};

/// Longer than the grace of these tests, and shorter than every deadline.
const SOON: Duration = Duration::from_secs(5);

fn server() -> Server {
    Server::start(Settings {
        grace: SHORT,
        ..Settings::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_closes_idle_connections_at_once_and_accepts_no_more() {
    let mut server = Server::start(Settings {
        grace: PATIENCE * 10,
        ..Settings::default()
    });
    let mut used = Client::new(server.connect().await);
    used.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    used.expect("hello").await;
    let mut unused = Client::new(server.connect().await);
    server.measures("connections 2").await;

    server.stopping.cancel();
    server.ends_within(SOON).await;
    assert_eq!(used.end().await, b"");
    assert_eq!(unused.end().await, b"");
    assert!(TcpStream::connect(server.address).await.is_err());
    server.measures("connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_lets_a_request_finish() {
    let mut server = Server::start(Settings {
        grace: PATIENCE,
        ..Settings::default()
    });
    let mut client = Client::new(server.connect().await);
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo";
    client.send(head).await;
    backbone::testkit::wait_until(PATIENCE, "a request", async || server.requests.len() == 1).await;

    server.stopping.cancel();
    backbone::testkit::wait_until(PATIENCE, "a closed port", async || {
        TcpStream::connect(server.address).await.is_err()
    })
    .await;
    client.send("dy").await;
    client.expect("connection: close").await;
    client.expect("\r\n\r\nbody").await;
    assert_eq!(client.end().await, b"");
    server.ends_within(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_a_body_that_never_ends() {
    let mut server = server();
    let mut client = Client::new(server.connect().await);
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo";
    client.send(head).await;
    backbone::testkit::wait_until(PATIENCE, "a request", async || server.requests.len() == 1).await;

    let began = Instant::now();
    server.stopping.cancel();
    server.ends_within(SOON).await;
    assert!(began.elapsed() >= SHORT);
    assert_eq!(client.end().await, b"");
    assert_eq!(server.requests.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_half_a_head() {
    let mut server = server();
    let mut client = Client::new(server.connect().await);
    client.send("GET / HTTP/1.1\r\nhost").await;
    server.measures("connections 1").await;

    server.stopping.cancel();
    server.ends_within(SOON).await;
    assert_eq!(client.end().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_a_client_that_does_not_read() {
    let mut server = server();
    let mut client = Client::new(server.connect().await);
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 200 ").await;

    server.stopping.cancel();
    server.ends_within(SOON).await;
    assert!(client.end().await.len() < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_a_handler() {
    let mut server = server();
    let mut client = Client::new(server.connect().await);
    client.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    backbone::testkit::wait_until(PATIENCE, "a request", async || server.requests.len() == 1).await;

    server.stopping.cancel();
    server.ends_within(SOON).await;
    assert_eq!(client.end().await, b"");
}
