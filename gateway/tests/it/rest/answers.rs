//! Methods, media types and errors of every path.

use reqwest::Method;

use super::{DEMO_DEAL, post_body, send};
use crate::kit::{Answer, BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    methods_are_told_by_allow,
    media_types_are_negotiated,
    every_error_is_a_problem,
);

/// Paths with their methods, as `Allow` names them.
fn paths() -> Vec<(String, &'static str)> {
    let paths = [
        ("/deal".to_owned(), "GET,HEAD,POST,PUT"),
        (format!("/deal/{DEMO_DEAL}"), "GET,HEAD,PUT"),
        ("/changes".to_owned(), "GET,HEAD"),
        ("/openapi.json".to_owned(), "GET,HEAD"),
    ];
    let versioned = paths
        .iter()
        .map(|(path, allow)| (format!("/v1{path}"), *allow));
    versioned.chain(paths.clone()).collect()
}

/// Checks that an answer is a problem with its status, and returns its code.
fn problem(answer: &Answer) -> &str {
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{answer:?}"
    );
    assert_eq!(answer.body["status"], answer.status, "{answer:?}");
    assert_eq!(answer.body["type"], "about:blank");
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string());

    answer.code()
}

async fn methods_are_told_by_allow(app: TestApp) {
    let anybody = Client::new(&app.url(), None);
    for (path, allow) in paths() {
        let options = anybody.rest(Method::OPTIONS, &path, None).await;
        assert_eq!(
            (options.status, &options.headers["allow"]),
            (204, &allow.parse().expect("ASCII"))
        );

        for method in [Method::DELETE, Method::PATCH, Method::TRACE] {
            let wrong = anybody.rest(method, &path, None).await;
            assert_eq!(
                (wrong.status, problem(&wrong)),
                (405, "METHOD_NOT_ALLOWED"),
                "{path}"
            );
            assert_eq!(wrong.headers["allow"], allow);
        }
    }

    let buyer = app.client(BUYER_KEY);
    for path in [
        "/deal?first=1",
        &format!("/deal/{DEMO_DEAL}"),
        "/openapi.json",
    ] {
        let get = buyer.rest(Method::GET, path, None).await;
        let head = buyer.rest(Method::HEAD, path, None).await;
        assert_eq!((head.status, head.body), (200, "".into()), "{path}");
        for name in ["content-length", "content-type", "cache-control", "vary"] {
            assert_eq!(head.headers[name], get.headers[name], "{path} {name}");
        }
        assert_eq!(head.headers.get("etag"), get.headers.get("etag"));
    }
    let wrong = buyer.rest(Method::HEAD, "/deal/nothing", None).await;
    assert_eq!((wrong.status, wrong.body), (404, "".into()));

    app.stop().await;
}

async fn media_types_are_negotiated(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let body = post_body().to_string();
    let json = ("content-type", "application/json");

    for (path, _) in paths() {
        for accept in [
            "text/html",
            "application/json;q=0",
            "application/problem+json",
        ] {
            let answer = send(&seller, Method::GET, &path, &[("accept", accept)], "").await;
            assert_eq!(
                (answer.status, problem(&answer)),
                (406, "NOT_ACCEPTABLE"),
                "{path} {accept}"
            );
        }
    }
    for accept in ["*/*", "text/html, application/*;q=0.1", "APPLICATION/JSON"] {
        let headers = [("accept", accept), json];
        let answer = send(&seller, Method::POST, "/deal", &headers, &body).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (201, &json.1.parse().expect("ASCII"))
        );
    }

    let not_accepted = [("accept", "text/html"), json];
    let answer = send(&seller, Method::POST, "/deal", &not_accepted, &body).await;
    assert_eq!(
        answer.status, 406,
        "nothing is written that cannot be answered"
    );

    for (headers, hint, told) in [
        (
            vec![("content-type", "text/plain")],
            "accept",
            "application/json",
        ),
        (vec![], "accept", "application/json"),
        (
            vec![json, ("content-encoding", "compress")],
            "accept-encoding",
            "gzip, zstd, br",
        ),
    ] {
        for (method, path) in [
            (Method::POST, "/deal"),
            (Method::PUT, &*format!("/deal/{DEMO_DEAL}")),
        ] {
            let answer = send(&seller, method, path, &headers, &body).await;
            assert_eq!(
                (answer.status, problem(&answer)),
                (415, "UNSUPPORTED_MEDIA_TYPE"),
                "{headers:?}"
            );
            assert_eq!(answer.headers[hint], told);
        }
    }

    app.stop().await;
}

async fn every_error_is_a_problem(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let anybody = Client::new(&app.url(), None);
    let demo = format!("/deal/{DEMO_DEAL}");

    for (path, _) in paths().iter().filter(|(path, _)| !path.contains("openapi")) {
        let refused = anybody.rest(Method::GET, path, None).await;
        assert_eq!(
            (refused.status, problem(&refused)),
            (401, "UNAUTHENTICATED"),
            "{path}"
        );
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        assert_eq!(refused.headers["cache-control"], "no-store");
    }

    for (path, status, code) in [
        ("/nothing", 404, "NOT_FOUND"),
        ("/v1", 404, "NOT_FOUND"),
        ("/v2/deal", 404, "NOT_FOUND"),
        ("/deal/", 404, "NOT_FOUND"),
        ("/deal/nothing", 404, "NOT_FOUND"),
        ("/deal/%FF", 404, "NOT_FOUND"),
        (&format!("{demo}/items"), 404, "NOT_FOUND"),
        (&format!("{demo}?fields=name"), 400, "BAD_USER_INPUT"),
        (&format!("{demo}?minPosition=7"), 400, "BAD_USER_INPUT"),
        ("/deal?first=101", 400, "BAD_USER_INPUT"),
        ("/deal?first=1&first=2", 400, "BAD_USER_INPUT"),
        ("/deal?after=7", 400, "BAD_USER_INPUT"),
        ("/deal?first=%", 400, "BAD_REQUEST"),
        ("/deal?%FF=1", 400, "BAD_REQUEST"),
        ("/changes", 400, "BAD_USER_INPUT"),
        ("/changes?after=7", 400, "BAD_USER_INPUT"),
        ("/changes?after=7&after=8", 400, "BAD_USER_INPUT"),
        ("/changes?after=%zz", 400, "BAD_REQUEST"),
    ] {
        let answer = seller.rest(Method::GET, path, None).await;
        assert_eq!((answer.status, problem(&answer)), (status, code), "{path}");
    }

    let json = ("content-type", "application/json");
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(300 << 10));
    for (path, body, status, code) in [
        (&*demo, &*huge, 413, "PAYLOAD_TOO_LARGE"),
        (&demo, "{", 400, "BAD_REQUEST"),
        (&demo, "", 400, "BAD_REQUEST"),
        (&demo, "[]", 400, "BAD_REQUEST"),
        (&demo, "{}", 400, "BAD_USER_INPUT"),
        ("/deal?first=1", "{}", 400, "BAD_USER_INPUT"),
        ("/deal/nothing", "{}", 404, "NOT_FOUND"),
    ] {
        let answer = send(&seller, Method::PUT, path, &[json], body).await;
        assert_eq!((answer.status, problem(&answer)), (status, code), "{path}");
    }

    app.stop().await;
}
