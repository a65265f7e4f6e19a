//! Names, addresses and TLS: a call goes nowhere it may not, and failures are told apart.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use backbone::testkit::{Receiver, Reply};
use reqwest::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use webhooks::egress::Egress;
use webhooks::outcome::ErrorClass;
use webhooks::resolver::Resolver;
use webhooks::sender::{CallLimits, Sender};

use super::call_kit::{HERE, PRIVATE, SECOND, send, sender, sender_with};
use super::kit::install_tls_provider;
use super::name_server::{DnsAnswer, NameServer};

#[tokio::test]
async fn unreachable_server_fails_to_connect() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = send(&sender(CallLimits::default()), &format!("http://{closed}/")).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (None, Some(ErrorClass::CannotConnect))
    );

    // Accepts connections and never answers the TLS handshake.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", mute.local_addr().unwrap());
    let outcome = send(
        &sender(CallLimits {
            connect: SECOND / 2,
            ..CallLimits::default()
        }),
        &url,
    )
    .await;
    assert_eq!(outcome.error, Some(ErrorClass::CannotConnect));
    assert!(
        (SECOND / 2..SECOND * 5).contains(&outcome.duration),
        "{:?}",
        outcome.duration
    );
}

#[tokio::test]
async fn literal_address_is_called_only_if_permitted() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    install_tls_provider();
    let strict = Egress {
        allow_http: true,
        ..Egress::default()
    };
    let strict = Sender::new(strict, Resolver::system().unwrap()).unwrap();
    let port = receiver.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0177.1",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
    ] {
        let outcome = send(&strict, &format!("http://{host}:{port}/")).await;
        assert_eq!(outcome.error, Some(ErrorClass::RefusedAddress), "{host}");
    }

    for url in [
        format!("ftp://127.0.0.1:{port}/"),
        format!("http://ann@127.0.0.1:{port}/"),
        "nonsense".into(),
    ] {
        let outcome = send(&strict, &url).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::RefusedUrl)),
            "{url}"
        );
    }

    assert_eq!(receiver.connections(), (0, 0), "no connection was made");

    let sender = sender(CallLimits::default());
    for host in ["127.0.0.1", "2130706433", "localhost", "localhost."] {
        let outcome = send(&sender, &format!("http://{host}:{port}/")).await;
        assert_eq!(outcome.error, None, "{host} is permitted");
    }
}

#[tokio::test]
async fn name_is_called_only_at_permitted_addresses() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let private = UnvisitedListener::at(&receiver);
    let names = NameServer::start(|name, _| match name {
        "private.example" => addresses(&[PRIVATE]),
        "mapped.example" => DnsAnswer::Addresses(vec!["::ffff:127.0.0.1".parse().unwrap()]),
        "mixed.example" => addresses(&[PRIVATE, [10, 0, 0, 1], HERE, [192, 168, 0, 1]]),
        _ => addresses(&[HERE]),
    })
    .await;
    let sender = sender_with(
        Resolver::with_servers(&[names.address], SECOND).unwrap(),
        CallLimits::default(),
    );
    let port = receiver.port();
    for name in ["private.example", "mapped.example"] {
        let outcome = send(&sender, &format!("http://{name}:{port}/")).await;
        assert_eq!(outcome.error, Some(ErrorClass::RefusedAddress), "{name}");
    }

    assert_eq!(receiver.connections(), (0, 0), "no connection was made");

    for name in ["mixed.example", "hooks.example"] {
        let outcome = send(&sender, &format!("http://{name}:{port}/")).await;
        assert_eq!(outcome.error, None, "{name}");
    }

    private.assert_unvisited();
}

#[tokio::test]
async fn name_is_checked_again_at_every_call() {
    let receiver = Receiver::start(|_| Reply::ok().header("connection", "close")).await;
    let private = UnvisitedListener::at(&receiver);
    let names =
        NameServer::start(|_, before| addresses(&[if before == 0 { HERE } else { PRIVATE }])).await;
    let sender = sender_with(
        Resolver::with_servers(&[names.address], SECOND).unwrap(),
        CallLimits::default(),
    );
    let url = format!("http://rebinding.example:{}/", receiver.port());
    assert_eq!(send(&sender, &url).await.error, None);
    assert_eq!(
        send(&sender, &url).await.error,
        Some(ErrorClass::RefusedAddress)
    );
    assert_eq!(receiver.connections().0, 1);

    private.assert_unvisited();
}

#[tokio::test]
async fn missing_name_is_the_owner_s_failure() {
    let healthy = NameServer::start(|name, _| match name {
        "none.example" => DnsAnswer::NoSuchName,
        "empty.example" | "." => addresses(&[]),
        "failing.example" => DnsAnswer::ServerFailure,
        "silent.example" => DnsAnswer::Silence,
        _ => DnsAnswer::OnlyIpv4(vec![HERE.into()]),
    })
    .await;
    let sender = sender_with(
        Resolver::with_servers(&[healthy.address], SECOND).unwrap(),
        CallLimits::default(),
    );

    for name in [
        "none.example",
        "empty.example",
        "failing.example",
        "silent.example",
    ] {
        let outcome = send(&sender, &format!("http://{name}:8080/")).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::NameNotFound)),
            "{name}"
        );
    }

    let receiver = Receiver::start(|_| Reply::ok()).await;
    let outcome = send(
        &sender,
        &format!("http://half.example:{}/", receiver.port()),
    )
    .await;
    assert_eq!(outcome.error, None, "one address family is enough");
}

#[tokio::test]
async fn silent_name_servers_are_the_operator_s_failure() {
    let failing = NameServer::start(|_, _| DnsAnswer::ServerFailure).await;
    let silent = NameServer::start(|_, _| DnsAnswer::Silence).await;
    let absent = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();

    for (case, servers) in [
        ("failing", vec![failing.address]),
        ("silent", vec![silent.address]),
        ("absent", vec![absent]),
        ("none", vec![]),
    ] {
        let sender = sender_with(
            Resolver::with_servers(&servers, SECOND).unwrap(),
            CallLimits::default(),
        );
        let outcome = send(&sender, "http://hooks.example:8080/").await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::NoNameServer)),
            "{case}"
        );
    }
}

/// Returns the configuration of a TLS server with a new certificate for these names, and the
/// certificate.
fn self_signed(names: &[&str]) -> (ServerConfig, Certificate) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let chain = vec![certificate.cert.der().clone()];

    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let certificate = Certificate::from_der(certificate.cert.der()).unwrap();
    (config, certificate)
}

#[tokio::test]
async fn tls_requires_a_trusted_certificate_for_the_name() {
    install_tls_provider();
    let (config, certificate) = self_signed(&["127.0.0.1", "hooks.example"]);
    let receiver =
        Receiver::start_tls(Arc::new(config).into(), |_| Reply::ok().body("sealed")).await;

    let roots = vec![certificate];
    let names = NameServer::start(|_, _| addresses(&[HERE])).await;
    let resolver = Resolver::with_servers(&[names.address], SECOND).unwrap();
    let trusting = sender_with(
        resolver,
        CallLimits {
            roots,
            ..CallLimits::default()
        },
    );

    for host in ["127.0.0.1", "hooks.example"] {
        let outcome = send(&trusting, &format!("https://{host}:{}/", receiver.port())).await;
        assert_eq!(
            (outcome.status, outcome.error, &*outcome.response_body),
            (Some(200), None, "sealed"),
            "{host}"
        );
    }

    let url = format!("https://other.example:{}/", receiver.port());
    let another = send(&trusting, &url).await;
    assert_eq!(
        (another.status, another.error),
        (None, Some(ErrorClass::Tls)),
        "the certificate is for other names"
    );

    let unknown = send(&sender(CallLimits::default()), &receiver.url("/")).await;
    assert_eq!(
        (unknown.status, unknown.error),
        (None, Some(ErrorClass::Tls)),
        "no trusted authority signed it"
    );
    assert_eq!(receiver.requests().len(), 2);

    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let (url, _listening) = server_that_replies(reply).await;
        let outcome = send(&trusting, &url).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::Tls)),
            "no TLS but {reply:?}"
        );
    }

    let outcome = send(&trusting, &receiver.url("/").replace("https:", "http:")).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (None, Some(ErrorClass::BrokenOff)),
        "the server speaks TLS only"
    );
}

/// Starts a server that accepts a connection, waits for the first byte, sends `reply` and closes.
/// Returns its https URL.
async fn server_that_replies(reply: &'static str) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        stream.read_u8().await.unwrap();
        stream.write_all(reply.as_bytes()).await.unwrap();
    });
    (url, listening)
}

fn addresses(octets: &[[u8; 4]]) -> DnsAnswer {
    DnsAnswer::Addresses(octets.iter().map(|octets| IpAddr::from(*octets)).collect())
}

/// Listener at the address that is not permitted, with a receiver's port: it would accept a
/// connection.
struct UnvisitedListener(std::net::TcpListener);

impl UnvisitedListener {
    fn at(receiver: &Receiver) -> Self {
        let listener =
            std::net::TcpListener::bind(SocketAddr::from((PRIVATE, receiver.port()))).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn assert_unvisited(&self) {
        let refused = self.0.accept().unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::WouldBlock,
            "no connection was made"
        );
    }
}
