//! Numbers of connections that are open at once.

use listener::{Caps, Settings};

use crate::kit::{Client, Server};

fn caps(connections: usize, per_client: usize) -> Settings {
    Settings {
        caps: Caps {
            connections,
            per_client,
        },
        ..Settings::default()
    }
}

/// Sends the PROXY header of a client.
async fn announced(server: &Server, address: &str) -> Client<tokio::net::TcpStream> {
    let mut client = Client::new(server.connect().await);
    let header = format!("PROXY TCP4 {address} 192.0.2.99 1000 80\r\n");
    client.send(header).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_the_cap_in_all_is_closed_at_once() {
    let server = Server::start(caps(2, 9));
    let first = server.connect().await;
    let second = server.connect().await;
    server.measures("connections 2").await;

    let mut third = Client::new(server.connect().await);
    assert_eq!(third.end().await, b"");
    server
        .measures("connections_refused_total{reason=\"connections\"} 1")
        .await;

    drop(first);
    server.measures("connections 1").await;
    server.answers().await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_the_cap_of_a_client_is_closed_at_once() {
    let server = Server::start(caps(9, 1));
    let first = server.connect().await;
    server.measures("connections 1").await;

    let mut second = Client::new(server.connect().await);
    assert_eq!(second.end().await, b"");
    server
        .measures("connections_refused_total{reason=\"client\"} 1")
        .await;

    drop(first);
    server.measures("connections 0").await;
    server.answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cap_of_a_client_is_for_those_that_a_proxy_announces() {
    let server = Server::start(Settings {
        proxy_protocol: true,
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..caps(9, 1)
    });

    let mut first = announced(&server, "192.0.2.1").await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.expect("hello").await;

    let mut second = announced(&server, "192.0.2.1").await;
    assert_eq!(second.end().await, b"");
    server
        .measures("connections_refused_total{reason=\"client\"} 1")
        .await;

    let mut other = announced(&server, "192.0.2.2").await;
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    other.expect("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cap_of_a_client_is_not_for_a_proxy_that_announces_none() {
    let server = Server::start(Settings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..caps(9, 1)
    });
    let _first = server.connect().await;
    server.measures("connections 1").await;
    server.answers().await;
}
