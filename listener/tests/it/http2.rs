//! HTTP/2: in clear text by prior knowledge, and over TLS by agreement.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Version};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use listener::Settings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::kit::{LARGE, Pair, Server, tls_client};

/// A client, and the task of its connection.
async fn client<S>(stream: S) -> (SendRequest<Body>, JoinSet<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _ended = connection.await;
    });
    (client, task)
}

async fn fetch(client: &mut SendRequest<Body>, path: &str, body: Option<&'static str>) -> Vec<u8> {
    let request = Request::builder()
        .method(if body.is_some() { "POST" } else { "GET" })
        .uri(format!("http://localhost{path}"))
        .body(body.map_or_else(Body::empty, Body::from))
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.status(), 200);
    let body = to_bytes(Body::new(response.into_body()), usize::MAX).await;
    body.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_served_in_clear_text_by_prior_knowledge() {
    let server = Server::start(Settings::default());
    let (mut client, _task) = client(server.connect().await).await;

    assert_eq!(fetch(&mut client, "/", None).await, b"hello");
    assert_eq!(fetch(&mut client, "/echo", Some("body")).await, b"body");
    assert_eq!(fetch(&mut client, "/large", None).await.len(), LARGE);

    let mut other = client.clone();
    let both = tokio::join!(
        fetch(&mut client, "/large", None),
        fetch(&mut other, "/", None)
    );
    assert_eq!((both.0.len(), &*both.1), (LARGE, &b"hello"[..]));
    server.measures("connections_accepted_total 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_agreed_on_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    let server = Server::start(Settings {
        tls: Some(pair.write(folder.path())),
        ..Settings::default()
    });

    let offers = ["h2", "http/1.1"];
    let stream = tls_client(server.connect().await, &pair.certificate, &offers)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, _task) = client(stream).await;
    let peer = fetch(&mut client, "/peer", None).await;
    assert!(
        String::from_utf8(peer)
            .unwrap()
            .ends_with("encrypted: true")
    );

    let stream = tls_client(server.connect().await, &pair.certificate, &["http/1.1"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_connection_ends_after_its_requests_when_the_process_stops() {
    let mut server = Server::start(Settings::default());
    let (mut client, mut task) = client(server.connect().await).await;
    assert_eq!(fetch(&mut client, "/", None).await, b"hello");

    server.stopping.cancel();
    task.join_next().await.unwrap().unwrap();
    server.ends_within(crate::kit::PATIENCE).await;
    assert!(client.ready().await.is_err());
}
