//! Clients that send or read too slowly, of every kind. Meanwhile another client is answered.

use listener::Settings;
use tokio::time::Instant;

use crate::kit::frames;
use crate::kit::{Client, LARGE, Pair, SHORT, Server, drip, tls_client};

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_nothing_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_head = SHORT);
    let began = Instant::now();
    let mut client = Client::new(server.connect().await);
    server.answers().await;

    assert_eq!(client.end().await, b"");
    assert!(began.elapsed() >= SHORT);
    server
        .measures("connection_deadlines_total{deadline=\"request_head\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_half_of_the_http2_preface_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_head = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send("PRI * HTTP/2.0\r\n\r\n").await;
    server.answers().await;

    assert_eq!(client.end().await, b"");
    server
        .measures("connection_deadlines_total{deadline=\"request_head\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_a_head_slowly_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_head = SHORT);
    let mut client = server.connect().await;
    let mut head = b"GET / HTTP/1.1\r\nhost: "
        .iter()
        .chain([&b'a'].into_iter().cycle());
    server.answers().await;

    let received = drip(&mut client, || vec![*head.next().unwrap()]).await;
    assert_eq!(received, b"");
    server
        .measures("connection_deadlines_total{deadline=\"request_head\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_its_second_head_slowly_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_head = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("hello").await;
    client.send("GET /").await;

    assert_eq!(drip(&mut client.stream, || b"a".to_vec()).await, b"");
    server
        .measures("connection_deadlines_total{deadline=\"request_head\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_a_body_slowly_is_answered_408_and_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_body = SHORT);
    let mut client = Client::new(server.connect().await);
    client
        .send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
        .await;
    server.answers().await;

    let received = drip(&mut client.stream, || b"a".to_vec()).await;
    let received = String::from_utf8(received).unwrap();
    assert!(received.starts_with("HTTP/1.1 408 "), "{received}");
    assert!(received.contains("connection: close"), "{received}");
    server
        .measures("connection_deadlines_total{deadline=\"request_body\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_sends_chunk_framing_slowly_is_answered_408_and_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_body = SHORT);
    let mut client = Client::new(server.connect().await);
    client
        .send("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;")
        .await;
    server.answers().await;

    // An extension of a chunk's size may be long.
    let received = drip(&mut client.stream, || b"a".to_vec()).await;
    let received = String::from_utf8(received).unwrap();
    assert!(received.starts_with("HTTP/1.1 408 "), "{received}");
    server
        .measures("connection_deadlines_total{deadline=\"request_body\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_further_request_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.idle = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.expect("hello").await;
    let began = Instant::now();
    server.answers().await;

    assert_eq!(client.end().await, b"");
    assert!(began.elapsed() >= SHORT / 2);
    server
        .measures("connection_deadlines_total{deadline=\"idle\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_whose_request_takes_long_is_not_cut() {
    let server = Server::with_deadlines(|deadlines| {
        deadlines.request_head = SHORT;
        deadlines.request_body = SHORT;
        deadlines.idle = SHORT;
        deadlines.write = SHORT;
    });
    let mut client = Client::new(server.connect().await);
    client.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;

    let ended = tokio::time::timeout(SHORT * 4, client.end()).await;
    assert!(ended.is_err(), "cut after {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_read_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.write = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.answers().await;

    server
        .measures("connection_deadlines_total{deadline=\"write\"} 1")
        .await;
    server.measures("connections 0").await;
    assert!(client.end().await.len() < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_reads_a_large_response_gets_all_of_it() {
    let server = Server::with_deadlines(|deadlines| deadlines.write = SHORT);
    let mut client = Client::new(server.connect().await);
    let request = "GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.send(request).await;
    assert!(client.end().await.len() > LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_shakes_hands_slowly_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    let mut settings = Settings {
        tls: Some(pair.write(folder.path())),
        ..Settings::default()
    };
    settings.deadlines.tls_handshake = SHORT;
    let server = Server::start(settings);

    // The beginning of a TLS record of 512 bytes with a ClientHello.
    let mut client = Client::new(server.connect().await);
    client.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
    let bystander = server.connect().await;
    let mut bystander = Client::new(tls_client(bystander, &pair.certificate, &[]).await.unwrap());
    bystander.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    bystander.expect("hello").await;

    assert_eq!(drip(&mut client.stream, || vec![0]).await, b"");
    server
        .measures("connection_deadlines_total{deadline=\"tls_handshake\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_read_over_tls_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    let mut settings = Settings {
        tls: Some(pair.write(folder.path())),
        ..Settings::default()
    };
    settings.deadlines.write = SHORT;
    let server = Server::start(settings);

    let tcp = server.connect().await;
    let mut client = Client::new(tls_client(tcp, &pair.certificate, &[]).await.unwrap());
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server
        .measures("connection_deadlines_total{deadline=\"write\"} 1")
        .await;
    server.measures("connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_announces_its_client_slowly_is_cut() {
    let mut settings = Settings {
        proxy_protocol: true,
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Settings::default()
    };
    settings.deadlines.proxy_header = SHORT;
    let server = Server::start(settings);

    let mut client = server.connect().await;
    let mut header = b"PROXY TCP4 192.0.2.1 192.0.2.2 "
        .iter()
        .chain([&b'1'].into_iter().cycle());
    assert_eq!(
        drip(&mut client, || vec![*header.next().unwrap()]).await,
        b""
    );
    server
        .measures("connection_deadlines_total{deadline=\"proxy_header\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_client_that_sends_a_frame_slowly_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.request_head = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send(frames::hello()).await;
    let head = frames::get(1, "/a-path-that-is-long-enough-to-last");
    let mut head = head.iter();
    server.answers().await;

    drip(&mut client.stream, || {
        head.next().copied().into_iter().collect()
    })
    .await;
    server
        .measures("connection_deadlines_total{deadline=\"request_head\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_client_that_sends_bodies_slowly_is_told_and_cut() {
    const HEADERS: u8 = 1;
    const GO_AWAY: u8 = 7;
    let server = Server::with_deadlines(|deadlines| deadlines.request_body = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send(frames::hello()).await;
    client.send(frames::post(1, "/echo")).await;
    client.send(frames::post(3, "/echo")).await;
    server.answers().await;

    let piece = || [frames::data(1, b"a"), frames::data(3, b"a")].concat();
    let received = drip(&mut client.stream, piece).await;
    let types = frames::types(&received);
    assert!(types.contains(&HEADERS), "{types:?}");
    assert!(types.contains(&GO_AWAY), "{types:?}");
    server
        .measures("connection_deadlines_total{deadline=\"request_body\"} 2")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_client_whose_window_stays_closed_is_cut() {
    let server = Server::with_deadlines(|deadlines| deadlines.write = SHORT);
    let mut client = Client::new(server.connect().await);
    client.send(frames::hello_without_window()).await;
    client.send(frames::get(1, "/")).await;
    server.answers().await;

    client.end().await;
    server
        .measures("connection_deadlines_total{deadline=\"write\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_client_without_a_request_is_told_and_cut() {
    const GO_AWAY: u8 = 7;
    let mut settings = Settings {
        grace: SHORT,
        ..Settings::default()
    };
    settings.deadlines.idle = SHORT;
    let server = Server::start(settings);
    let mut client = Client::new(server.connect().await);
    client.send(frames::hello()).await;
    server.answers().await;

    let received = client.end().await;
    assert!(frames::types(&received).contains(&GO_AWAY));
    server
        .measures("connection_deadlines_total{deadline=\"idle\"} 1")
        .await;
}
