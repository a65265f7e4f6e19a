//! Exchanges: what a call sends, and what it makes of every response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::telemetry::TraceContext;
use backbone::testkit::{Receiver, Reply, Request, wait_until};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::Webhook;
use tokio::task::JoinSet;
use webhooks::outcome::{ErrorClass, RetryAfter};
use webhooks::sender::{Call, CallLimits};
use webhooks::signature::Secret;

use super::call_kit::{BODY, ID, SECOND, SOON, call, outcome_of, send, sender, within};

/// Returns whether the reference library verifies the request with this secret.
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
async fn call_follows_the_standard() {
    let receiver = Receiver::start(|_| Reply::ok().body("thanks")).await;
    let secrets = [Secret::generate(), Secret::generate()];
    let url = receiver.url("/a%20hook?of=ann");
    let call = call(&url, &secrets);
    let began = Instant::now();
    let outcome = sender(CallLimits::default()).send(&call).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.response_body),
        (Some(200), None, "thanks")
    );
    assert!(
        (Duration::ZERO..began.elapsed()).contains(&outcome.duration),
        "{:?}",
        outcome.duration
    );

    let [request] = &receiver.requests()[..] else {
        panic!("the receiver was called once")
    };
    assert_eq!(
        (&*request.method, &*request.target),
        ("POST", "/a%20hook?of=ann")
    );
    assert_eq!(request.body, BODY.as_bytes());
    assert!((began..Instant::now()).contains(&request.at));

    assert_headers(request, &call, &receiver);

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

/// Checks that a request has the standard's headers with the right values, and no others.
fn assert_headers(request: &Request, call: &Call<'_>, receiver: &Receiver) {
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
}

#[tokio::test]
async fn replay_is_marked_and_a_missing_trace_begins() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let sender = sender(CallLimits::default());
    let url = receiver.url("/");
    let secrets = [Secret::generate()];
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
async fn status_decides_the_outcome() {
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
async fn interim_response_is_skipped() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
    let outcome = outcome_of(move || Reply::raw(early)).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.response_body),
        (Some(202), None, "ok")
    );
}

#[tokio::test]
async fn retry_after_is_part_of_the_outcome() {
    for (value, expected) in [
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
            (Some(429), expected),
            "{value}"
        );
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let target = Receiver::start(|_| Reply::ok()).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url("/");
        let outcome = outcome_of(move || Reply::redirect(status, &location)).await;
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(status), Some(ErrorClass::Redirect))
        );
    }

    assert_eq!(target.connections(), (0, 0), "no connection was made");
}

#[tokio::test]
async fn incomplete_response_is_a_failure() {
    let many = "x: y\r\n".repeat(101);
    let long = "x".repeat(1 << 20);
    for (raw, case) in [
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
            "{case}"
        );
        assert_eq!(outcome.response_body, "", "{case}");
    }

    let outcome = outcome_of(|| Reply::cut_off("so f")).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.response_body),
        (Some(200), None, "so f"),
        "the status says that it arrived"
    );

    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nso f\r\n";
    let outcome = outcome_of(move || Reply::raw(chunk)).await;
    assert_eq!((outcome.status, outcome.error), (Some(200), None));
}

#[tokio::test]
async fn deadline_covers_the_whole_exchange() {
    type Case = (
        &'static str,
        (Option<u16>, Option<ErrorClass>),
        fn() -> Reply,
    );
    let nothing = (None, Some(ErrorClass::Timeout));
    let replies: [Case; 4] = [
        ("nothing", nothing, Reply::hang),
        ("a byte of the head a second", nothing, Reply::dripping_head),
        // Its status says that it arrived.
        (
            "a byte of the body a second",
            (Some(200), None),
            Reply::drip,
        ),
        ("an answer that comes later", nothing, || {
            Reply::ok().after(SOON)
        }),
    ];
    let sender = sender(within(SECOND * 3 / 2));
    for (case, expected, reply) in replies {
        let receiver = Receiver::start(move |_| reply()).await;
        let outcome = send(&sender, &receiver.url("/")).await;
        assert_eq!((outcome.status, outcome.error), expected, "{case}");
        assert!(
            (SECOND * 3 / 2..SECOND * 5).contains(&outcome.duration),
            "{case}: {:?}",
            outcome.duration
        );

        if !case.contains("later") {
            let given_up = async || receiver.connections() == (1, 1);
            wait_until(SOON, "the connection to be given up", given_up).await;
        }
    }
}

#[tokio::test]
async fn failure_status_counts_however_the_body_ends() {
    let raw = "HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\ngon";
    let outcome = outcome_of(move || Reply::raw(raw)).await;
    assert_eq!(
        (outcome.status, outcome.error, &*outcome.response_body),
        (Some(410), Some(ErrorClass::Status), "gon")
    );
}

#[tokio::test]
async fn huge_response_costs_no_more_than_its_beginning() {
    const HUGE: usize = 100 << 20;
    let receiver = Arc::new(Receiver::start(|_| Reply::large(HUGE)).await);
    let sender = sender(CallLimits::default());
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let sender = sender.clone();
        let receiver = Arc::clone(&receiver);
        calls.spawn(async move { send(&sender, &receiver.url("/")).await });
    }

    for outcome in calls.join_all().await {
        assert_eq!(
            (outcome.status, outcome.error),
            (Some(200), None),
            "the status says that it arrived"
        );
        assert_eq!(outcome.response_body, "x".repeat(4_096));
    }

    let given_up = async || receiver.connections() == (8, 8);
    wait_until(SOON, "the connections to be given up", given_up).await;

    // How much the kernel's buffers take is not up to the sender.
    let written = receiver.written() / 8;
    assert!(written < (HUGE / 8) as u64, "{written} bytes a call");
}

#[tokio::test]
async fn endless_response_is_read_to_64_kib() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &format!("400\r\n{}\r\n", "x".repeat(0x400)).repeat(1_000);
    let outcome = outcome_of(move || Reply::raw(endless.clone())).await;
    assert_eq!((outcome.status, outcome.error), (Some(200), None));
    assert_eq!(outcome.response_body.len(), 4_096);
}

#[tokio::test]
async fn compressed_response_stays_compressed() {
    let outcome = outcome_of(|| Reply::gzip_bomb(100 << 10)).await;
    assert_eq!((outcome.status, outcome.error), (Some(200), None));
    assert!(
        outcome.response_body.starts_with("\u{1f}\u{fffd}\u{8}"),
        "{:?}",
        &outcome.response_body[..16]
    );
    assert!(outcome.response_body.len() <= 4_096);
}

#[tokio::test]
async fn connection_is_shared_by_successive_calls() {
    let receiver = Receiver::start(|_| Reply::ok().body("x".repeat(60_000))).await;
    let sender = sender(CallLimits::default());
    for _ in 0..20 {
        assert_eq!(send(&sender, &receiver.url("/")).await.error, None);
    }

    assert_eq!(receiver.connections(), (1, 0));
    assert_eq!(receiver.requests().len(), 20);
}

#[tokio::test]
async fn broken_exchange_is_not_repeated() {
    let receiver = Receiver::start(|request| {
        if request.number == 1 {
            Reply::close()
        } else {
            Reply::ok()
        }
    })
    .await;
    let sender = sender(CallLimits::default());
    assert_eq!(send(&sender, &receiver.url("/")).await.error, None);

    let broken = send(&sender, &receiver.url("/")).await;
    assert_eq!(broken.error, Some(ErrorClass::BrokenOff));
    assert_eq!(
        receiver.requests().len(),
        2,
        "repeating it is up to the schedule"
    );
    assert_eq!(
        send(&sender, &receiver.url("/")).await.error,
        None,
        "on a new connection"
    );
}
