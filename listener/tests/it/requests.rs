//! Requests of ordinary clients.

use listener::Settings;

use crate::kit::{Client, Server};

#[tokio::test(flavor = "multi_thread")]
async fn request_is_answered_and_its_connection_used_again() {
    let server = Server::start(Settings::default());
    let mut client = Client::new(server.connect().await);

    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.expect("hello").await;
    }
    client
        .send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody")
        .await;
    client.expect("\r\n\r\nbody").await;

    server.measures("connections_accepted_total 1").await;
    server.measures("connections 1").await;
    drop(client);
    server.measures("connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_ahead_are_answered_in_order() {
    let server = Server::start(Settings::default());
    let mut client = Client::new(server.connect().await);
    client
        .send(concat!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\none",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\ntwo",
        ))
        .await;
    client.expect("\r\n\r\none").await;
    client.expect("\r\n\r\ntwo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_tells_its_peer() {
    let server = Server::start(Settings::default());
    let stream = server.connect().await;
    let address = stream.local_addr().unwrap();
    let mut client = Client::new(stream);
    client.send("GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect(&format!("{address} encrypted: false")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_whose_handler_panics_is_answered() {
    let server = Server::start(Settings::default());
    let mut client = Client::new(server.connect().await);
    client.send("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 500 ").await;
    client.expect("\r\n\r\n").await;
    server.measures("request_panics_total 1").await;

    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_can_be_waited_for() {
    let server = Server::start(Settings::default());
    let mut client = Client::new(server.connect().await);
    client
        .send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo")
        .await;
    server.answers().await;
    backbone::testkit::wait_until(crate::kit::PATIENCE, "a request", async || {
        server.requests.len() == 1
    })
    .await;

    server.requests.close();
    let waiting = server.requests.wait();
    let sending = async {
        client.send("dy").await;
        client.expect("\r\n\r\nbody").await;
    };
    tokio::join!(waiting, sending);
}
