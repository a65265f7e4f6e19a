//! One call against receivers that do what receivers do: what it sends, what it makes of every answer, and that it
//! goes nowhere it may not.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::clock::Clock;
use backbone::telemetry::TraceContext;
use backbone::testkit::wait_until;
use bytes::Bytes;
use reqwest::Certificate;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use uuid::Uuid;
use webhooks::egress::Egress;
use webhooks::outcome::{ErrorClass, Outcome, RetryAfter};
use webhooks::resolver::Resolver;
use webhooks::sender::{Call, Limits, Sender};
use webhooks::signature::Secret;

use crate::kit::install_tls_provider;
use crate::name_server::{NameServer, Says};
use backbone::testkit::{Receiver, Reply, Request};

const ID: Uuid = Uuid::from_u128(0x0198_f000_7000_8000_0000_0000_0000_0001);
const BODY: &str = r#"{"type":"deal.updated","data":"£"}"#;
const SECOND: Duration = Duration::from_secs(1);
/// Where something must have happened, however busy the machine is.
const SOON: Duration = Duration::from_secs(10);
const HERE: [u8; 4] = [127, 0, 0, 1];
/// Loopback as well, but not let through.
const PRIVATE: [u8; 4] = [127, 0, 0, 2];

/// Lets plain http to 127.0.0.1 through, and nothing else of what is special.
fn egress() -> Egress {
    Egress {
        allow_http: true,
        allow_nets: vec!["127.0.0.1/32".parse().unwrap()],
    }
}

fn sender(limits: Limits) -> Sender {
    asking(Resolver::system().unwrap(), limits)
}

fn asking(resolver: Resolver, limits: Limits) -> Sender {
    install_tls_provider();
    Sender::with_limits(egress(), resolver, limits).unwrap()
}

fn within(exchange: Duration) -> Limits {
    Limits {
        exchange,
        ..Limits::default()
    }
}

fn call<'a>(url: &'a str, secrets: &'a [Secret]) -> Call<'a> {
    let (at, body) = (Clock::system().now(), Bytes::from_static(BODY.as_bytes()));
    Call {
        url,
        id: ID,
        at,
        secrets,
        body,
        trace: None,
        replay: false,
    }
}

async fn send(sender: &Sender, url: &str) -> Outcome {
    sender
        .send(&call(url, &[Secret::from_bytes([1; 32])]))
        .await
}

/// What one call to a receiver with this script comes to.
async fn outcome_of(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Outcome {
    let receiver = Receiver::start(move |_| reply()).await;
    send(&sender(Limits::default()), &receiver.url("/")).await
}

/// Whether the reference library takes the request, with this secret.
fn verifies(request: &Request, secret: &Secret) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::try_from(value).unwrap(),
        );
    }
    Webhook::new(&secret.reveal())
        .unwrap()
        .verify(&request.body, &headers)
        .is_ok()
}

#[tokio::test]
async fn a_call_is_sent_as_the_standard_says() {
    let receiver = Receiver::start(|_| Reply::ok().body("thanks")).await;
    let secrets = [Secret::generate(), Secret::generate()];
    let (url, trace) = (receiver.url("/a%20hook?of=ann"), TraceContext::root());
    let call = Call {
        trace: Some(trace),
        ..call(&url, &secrets)
    };
    let began = Instant::now();
    let outcome = sender(Limits::default()).send(&call).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.answer),
        (Some(200), None, "thanks")
    );
    assert!(
        (Duration::ZERO..began.elapsed()).contains(&outcome.duration),
        "{:?}",
        outcome.duration
    );

    let [request] = &receiver.requests()[..] else {
        panic!("it came once")
    };
    assert_eq!(
        (&*request.method, &*request.target),
        ("POST", "/a%20hook?of=ann")
    );
    assert_eq!(request.body, BODY.as_bytes());
    assert!((began..Instant::now()).contains(&request.at));
    let timestamp = (call.at.as_micros() / 1_000_000).to_string();
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(names, expected);
    for (name, value) in [
        ("content-type", "application/json"),
        ("webhook-id", &ID.to_string()),
        ("webhook-timestamp", &timestamp),
        (
            "user-agent",
            concat!("Dealwire/", env!("CARGO_PKG_VERSION")),
        ),
        ("host", &format!("127.0.0.1:{}", receiver.port())),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let parent: TraceContext = request.header("traceparent").unwrap().parse().unwrap();
    assert_eq!(parent.trace_id(), trace.trace_id());
    assert_ne!(parent, trace, "each try is a span of its own");

    for secret in &secrets {
        assert!(
            verifies(request, secret),
            "whichever of the two the receiver knows"
        );
    }
    assert!(!verifies(request, &Secret::generate()));
    let mut forged = request.clone();
    forged.body[0] = b' ';
    assert!(!verifies(&forged, &secrets[0]));
}

#[tokio::test]
async fn a_replay_says_so_and_a_call_without_a_trace_begins_one() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let (sender, url, secrets) = (
        sender(Limits::default()),
        receiver.url("/"),
        [Secret::generate()],
    );
    let outcome = sender
        .send(&Call {
            replay: true,
            ..call(&url, &secrets)
        })
        .await;
    assert_eq!(outcome.error, None);
    let request = &receiver.requests()[0];
    assert_eq!(request.header("webhook-replay"), Some("true"));
    assert!(
        request
            .header("traceparent")
            .unwrap()
            .parse::<TraceContext>()
            .is_ok()
    );
    assert!(verifies(request, &secrets[0]));
}

#[tokio::test]
async fn statuses_decide() {
    for status in [200, 201, 202, 204, 299] {
        let outcome = outcome_of(move || Reply::status(status)).await;
        assert_eq!((outcome.status, outcome.error), (Some(status), None));
    }
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        let outcome = outcome_of(move || Reply::status(status)).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(status), Some(ErrorClass::Redirect))
        );
    }
    for status in [
        101, 400, 401, 404, 410, 422, 429, 500, 502, 503, 504, 599, 999,
    ] {
        let outcome = outcome_of(move || Reply::status(status).body("no")).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(status), Some(ErrorClass::Status))
        );
    }
}

#[tokio::test]
async fn an_answer_before_the_answer_is_not_it() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
    let outcome = outcome_of(move || Reply::raw(early)).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.answer),
        (Some(202), None, "ok")
    );
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    for (value, read) in [
        ("120", Some(RetryAfter::In(SECOND * 120))),
        (
            "Sun, 22 Nov 2026 08:49:37 GMT",
            RetryAfter::parse("Sun, 22 Nov 2026 08:49:37 GMT"),
        ),
        ("soon", None),
    ] {
        let outcome = outcome_of(move || Reply::status(429).header("retry-after", value)).await;
        assert_eq!(
            (outcome.status, outcome.retry_after),
            (Some(429), read),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Receiver::start(|_| Reply::ok()).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url("/");
        let outcome = outcome_of(move || Reply::redirect(status, &location)).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(status), Some(ErrorClass::Redirect))
        );
    }
    assert_eq!(target.connections(), (0, 0), "nobody came");
}

#[tokio::test]
async fn what_is_no_whole_answer_is_a_failure() {
    let many = "x: y\r\n".repeat(101);
    let long = "x".repeat(1 << 20);
    for (raw, told) in [
        (String::new(), "nothing"),
        ("HTTP/1.1 20".to_owned(), "half a line"),
        ("HTTP/1.1 200 OK\r\ncontent-le".to_owned(), "half a head"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "another protocol"),
        ("HTTP/1.1 2000 OK\r\n\r\n".to_owned(), "no status"),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "too many headers"),
        (
            format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n"),
            "too long a header",
        ),
    ] {
        let outcome = outcome_of(move || Reply::raw(raw.clone())).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::BrokenOff)),
            "{told}"
        );
        assert_eq!(outcome.answer, "", "{told}");
    }
    let outcome = outcome_of(|| Reply::cut_off("so f")).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.answer),
        (Some(200), Some(ErrorClass::BrokenOff), "so f")
    );
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nso f\r\n";
    let outcome = outcome_of(move || Reply::raw(chunk)).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (Some(200), Some(ErrorClass::BrokenOff))
    );
}

#[tokio::test]
async fn the_deadline_is_for_all_of_it() {
    type Case = (&'static str, Option<u16>, fn() -> Reply);
    let replies: [Case; 4] = [
        ("nothing", None, Reply::hang),
        ("a byte of the head a second", None, Reply::dripping_head),
        ("a byte of the body a second", Some(200), Reply::drip),
        ("an answer that comes later", None, || {
            Reply::ok().after(SOON)
        }),
    ];
    let sender = sender(within(SECOND * 3 / 2));
    for (told, status, reply) in replies {
        let receiver = Receiver::start(move |_| reply()).await;
        let outcome = send(&sender, &receiver.url("/")).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (status, Some(ErrorClass::Timeout)),
            "{told}"
        );
        let (least, most) = (SECOND * 3 / 2, SECOND * 5);
        assert!(
            (least..most).contains(&outcome.duration),
            "{told}: {:?}",
            outcome.duration
        );
        if !told.contains("later") {
            let given_up = async || receiver.connections() == (1, 1);
            wait_until(SOON, "the connection to be given up", given_up).await;
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_by_its_status_however_its_body_ends() {
    let raw = "HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\ngon";
    let outcome = outcome_of(move || Reply::raw(raw)).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.answer),
        (Some(410), Some(ErrorClass::Status), "gon")
    );
}

#[tokio::test]
async fn a_hundred_megabytes_cost_no_more_than_their_beginning() {
    const HUGE: usize = 100 << 20;
    let receiver = Arc::new(Receiver::start(|_| Reply::large(HUGE)).await);
    let sender = sender(Limits::default());
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let (sender, receiver) = (sender.clone(), Arc::clone(&receiver));
        calls.spawn(async move { send(&sender, &receiver.url("/")).await });
    }
    for outcome in calls.join_all().await {
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(200), None),
            "what it had to say it has said"
        );
        assert_eq!(outcome.answer, "x".repeat(4_096));
    }
    let given_up = async || receiver.connections() == (8, 8);
    wait_until(SOON, "the connections to be given up", given_up).await;
    // What the kernel's buffers take does not depend on us.
    let written = receiver.written() / 8;
    assert!(written < (HUGE / 8) as u64, "{written} bytes a call");
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_64_kib() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &format!("400\r\n{}\r\n", "x".repeat(0x400)).repeat(65);
    let outcome = outcome_of(move || Reply::raw(endless.clone())).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (Some(200), None),
        "that it breaks off later is not seen"
    );
    let shorter = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &format!("400\r\n{}\r\n", "x".repeat(0x400)).repeat(63);
    let outcome = outcome_of(move || Reply::raw(shorter.clone())).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (Some(200), Some(ErrorClass::BrokenOff))
    );
}

#[tokio::test]
async fn a_compressed_answer_stays_compressed() {
    let outcome = outcome_of(|| Reply::gzip_bomb(100 << 10)).await;
    assert_eq!((outcome.status, outcome.error), (Some(200), None));
    assert!(
        outcome.answer.starts_with("\u{1f}\u{fffd}\u{8}"),
        "{:?}",
        &outcome.answer[..16]
    );
    assert!(outcome.answer.len() <= 4_096);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let receiver = Receiver::start(|_| Reply::ok().body("x".repeat(60_000))).await;
    let sender = sender(Limits::default());
    for _ in 0..20 {
        assert_eq!(send(&sender, &receiver.url("/")).await.error, None);
    }
    assert_eq!(receiver.connections(), (1, 0));
    assert_eq!(receiver.requests().len(), 20);
}

#[tokio::test]
async fn a_broken_exchange_is_not_repeated() {
    let receiver = Receiver::start(|request| {
        if request.number == 1 {
            Reply::close()
        } else {
            Reply::ok()
        }
    })
    .await;
    let sender = sender(Limits::default());
    assert_eq!(send(&sender, &receiver.url("/")).await.error, None);
    let broken = send(&sender, &receiver.url("/")).await;
    assert_eq!(broken.error, Some(ErrorClass::BrokenOff));
    assert_eq!(
        receiver.requests().len(),
        2,
        "the schedule says when it comes again"
    );
    assert_eq!(
        send(&sender, &receiver.url("/")).await.error,
        None,
        "on a new connection"
    );
}

#[tokio::test]
async fn nobody_there_cannot_be_connected_to() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = send(&sender(Limits::default()), &format!("http://{nobody}/")).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (None, Some(ErrorClass::CannotConnect))
    );

    // Takes connections and never says a word of TLS.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", mute.local_addr().unwrap());
    let outcome = send(
        &sender(Limits {
            connect: SECOND / 2,
            ..Limits::default()
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
async fn a_literal_address_is_dialled_only_where_it_may_be() {
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
    assert_eq!(receiver.connections(), (0, 0), "nobody came");

    let sender = sender(Limits::default());
    for host in ["127.0.0.1", "2130706433", "localhost", "localhost."] {
        let outcome = send(&sender, &format!("http://{host}:{port}/")).await;
        assert_eq!(outcome.error, None, "{host}, which is let through");
    }
}

#[tokio::test]
async fn a_name_is_dialled_only_at_addresses_that_may_be() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let private = Unvisited::at(&receiver);
    let names = NameServer::start(|name, _| match name {
        "private.example" => addresses(&[PRIVATE]),
        "mapped.example" => Says::Addresses(vec!["::ffff:127.0.0.1".parse().unwrap()]),
        "mixed.example" => addresses(&[PRIVATE, [10, 0, 0, 1], HERE, [192, 168, 0, 1]]),
        _ => addresses(&[HERE]),
    })
    .await;
    let sender = asking(
        Resolver::asking(&[names.address], SECOND).unwrap(),
        Limits::default(),
    );
    let port = receiver.port();
    for name in ["private.example", "mapped.example"] {
        let outcome = send(&sender, &format!("http://{name}:{port}/")).await;
        assert_eq!(outcome.error, Some(ErrorClass::RefusedAddress), "{name}");
    }
    assert_eq!(receiver.connections(), (0, 0), "nobody came");
    for name in ["mixed.example", "hooks.example"] {
        let outcome = send(&sender, &format!("http://{name}:{port}/")).await;
        assert_eq!(outcome.error, None, "{name}");
    }
    private.still();
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let receiver = Receiver::start(|_| Reply::ok().header("connection", "close")).await;
    let private = Unvisited::at(&receiver);
    let names =
        NameServer::start(|_, before| addresses(&[if before == 0 { HERE } else { PRIVATE }])).await;
    let sender = asking(
        Resolver::asking(&[names.address], SECOND).unwrap(),
        Limits::default(),
    );
    let url = format!("http://rebinding.example:{}/", receiver.port());
    assert_eq!(send(&sender, &url).await.error, None);
    assert_eq!(
        send(&sender, &url).await.error,
        Some(ErrorClass::RefusedAddress)
    );
    assert_eq!(receiver.connections().0, 1);
    private.still();
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_its_owner_s_and_silent_name_servers_are_ours() {
    let healthy = NameServer::start(|name, _| match name {
        "none.example" => Says::NoSuchName,
        "empty.example" | "." => addresses(&[]),
        "failing.example" => Says::Fails,
        "silent.example" => Says::Nothing,
        _ => Says::Half(vec![HERE.into()]),
    })
    .await;
    let sender = asking(
        Resolver::asking(&[healthy.address], SECOND).unwrap(),
        Limits::default(),
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
    assert_eq!(outcome.error, None, "one kind of address is enough");

    let failing = NameServer::start(|_, _| Says::Fails).await;
    let silent = NameServer::start(|_, _| Says::Nothing).await;
    let absent = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for (told, servers) in [
        ("failing", vec![failing.address]),
        ("silent", vec![silent.address]),
        ("absent", vec![absent]),
        ("none", vec![]),
    ] {
        let sender = asking(
            Resolver::asking(&servers, SECOND).unwrap(),
            Limits::default(),
        );
        let outcome = send(&sender, "http://hooks.example:8080/").await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::NoNameServer)),
            "{told}"
        );
    }
}

#[tokio::test]
async fn tls_is_taken_from_those_who_can_prove_their_name() {
    install_tls_provider();
    let names = ["127.0.0.1".to_owned(), "hooks.example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain = vec![made.cert.der().clone()];
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let receiver =
        Receiver::start_tls(Arc::new(config).into(), |_| Reply::ok().body("sealed")).await;

    let roots = vec![Certificate::from_der(made.cert.der()).unwrap()];
    let names = NameServer::start(|_, _| addresses(&[HERE])).await;
    let resolver = Resolver::asking(&[names.address], SECOND).unwrap();
    let trusting = asking(
        resolver,
        Limits {
            roots,
            ..Limits::default()
        },
    );
    for host in ["127.0.0.1", "hooks.example"] {
        let outcome = send(&trusting, &format!("https://{host}:{}/", receiver.port())).await;
        assert_eq!(
            (outcome.status, outcome.error, &*outcome.answer),
            (Some(200), None, "sealed"),
            "{host}"
        );
    }
    let another = send(
        &trusting,
        &format!("https://other.example:{}/", receiver.port()),
    )
    .await;
    assert_eq!(
        (another.status, another.error),
        (None, Some(ErrorClass::Tls)),
        "not its name"
    );
    let unknown = send(&sender(Limits::default()), &receiver.url("/")).await;
    assert_eq!(
        (unknown.status, unknown.error),
        (None, Some(ErrorClass::Tls)),
        "nobody vouches for it"
    );
    assert_eq!(receiver.requests().len(), 2);

    for says in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let (url, _listening) = saying(says).await;
        let outcome = send(&trusting, &url).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (None, Some(ErrorClass::Tls)),
            "no TLS but {says:?}"
        );
    }
    let outcome = send(&trusting, &receiver.url("/").replace("https:", "http:")).await;
    assert_eq!(
        (outcome.status, outcome.error),
        (None, Some(ErrorClass::BrokenOff)),
        "nothing but TLS"
    );
}

/// The https URL of one who takes a connection, hears the first byte, says this and ends it.
async fn saying(says: &'static str) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        stream.read_u8().await.unwrap();
        stream.write_all(says.as_bytes()).await.unwrap();
    });
    (url, listening)
}

fn addresses(of: &[[u8; 4]]) -> Says {
    Says::Addresses(of.iter().map(|octets| IpAddr::from(*octets)).collect())
}

/// An address that is not let through, with a receiver's port, at which a connection would be taken.
struct Unvisited(std::net::TcpListener);

impl Unvisited {
    fn at(receiver: &Receiver) -> Self {
        let listener =
            std::net::TcpListener::bind(SocketAddr::from((PRIVATE, receiver.port()))).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn still(&self) {
        let nobody = self.0.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "nobody came");
    }
}
