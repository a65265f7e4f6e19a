//! Requests of pages in browsers: whose may reach the API, and what a response tells a browser.

use gateway::browser::{BrowserRules, Origins};
use reqwest::{Method, Response};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::kit::{Backing, Client, SELLER_KEY, TestApp};

const QUERY: &str = "{ viewer { id } }";

/// Sends a query with headers of the client's choice.
async fn post(app: &TestApp, headers: &[(&str, &str)]) -> Response {
    let mut request = app.client(SELLER_KEY).request(Method::POST, "/graphql");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }

    let request = request.json(&json!({ "query": QUERY }));
    request.send().await.expect("the gateway responds")
}

/// Returns the status of the answer to a handshake with these headers.
async fn handshake(app: &TestApp, headers: &[(&'static str, &str)]) -> u16 {
    let address = app.app.address();
    let mut request = format!("ws://{address}/graphql")
        .into_client_request()
        .expect("the URL is valid");
    for (name, value) in headers {
        let value = value.parse().expect("the value is ASCII");
        request.headers_mut().insert(*name, value);
    }

    let connection = TcpStream::connect(address)
        .await
        .expect("the gateway accepts");
    match client_async(request, connection).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(refused)) => refused.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

async fn with_rules(hosts: &[&str], origins: Origins) -> TestApp {
    let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
    let rules = BrowserRules::new(true, hosts, origins);

    TestApp::start(Backing::Embedded)
        .await
        .restarted_with(|config| config.browser = rules)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_server_is_reached_by_its_own_names_only() {
    let app = with_rules(&["market.test"], Origins::These(Vec::new())).await;
    let port = app.app.address().port();

    for own in [
        format!("localhost:{port}"),
        "[::1]".to_owned(),
        "market.test".to_owned(),
    ] {
        let own = own.as_str();
        assert_eq!(post(&app, &[("host", own)]).await.status(), 200, "{own}");
        assert_eq!(handshake(&app, &[("host", own)]).await, 101, "{own}");
    }

    // As a page of evil.example sees it whose name has begun to resolve to 127.0.0.1.
    for foreign in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
    ] {
        let refused = post(&app, &[("host", foreign)]).await;
        assert_eq!(refused.status(), 421, "{foreign}");
        assert_eq!(
            handshake(&app, &[("host", foreign)]).await,
            421,
            "{foreign}"
        );

        let visitor = Client::new(&app.url(), None);
        for path in ["/graphiql", "/graphiql/config.json", "/deal", "/nothing"] {
            let request = visitor.request(Method::GET, path).header("host", foreign);
            let refused = request.send().await.expect("the gateway responds");
            assert_eq!(refused.status(), 421, "{path}");
        }
        let probe = visitor
            .request(Method::GET, "/health/live")
            .header("host", foreign);
        assert_eq!(
            probe.send().await.expect("the gateway responds").status(),
            200
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_server_is_reached_by_every_name() {
    let rules = BrowserRules::new(false, Vec::new(), Origins::These(Vec::new()));
    let app = TestApp::start(Backing::Embedded).await;
    let app = app.restarted_with(|config| config.browser = rules).await;

    assert_eq!(post(&app, &[("host", "any.example")]).await.status(), 200);
    let foreign = [("host", "any.example"), ("origin", "https://evil.example")];
    assert_eq!(
        post(&app, &foreign).await.status(),
        403,
        "its page is still foreign"
    );
    let own = [("host", "any.example"), ("origin", "https://any.example")];
    assert_eq!(post(&app, &own).await.status(), 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_another_site_can_change_nothing_and_open_no_websocket() {
    let app = with_rules(&["market.test"], Origins::These(Vec::new())).await;
    let own = app.url();

    for accepted in [own.as_str(), "https://market.test"] {
        assert_eq!(post(&app, &[("origin", accepted)]).await.status(), 200);
        assert_eq!(handshake(&app, &[("origin", accepted)]).await, 101);
    }
    for foreign in [
        "https://evil.example",
        "http://127.0.0.1:1",
        "null",
        "file://",
        "",
    ] {
        let refused = post(&app, &[("origin", foreign)]).await;
        assert_eq!(refused.status(), 403, "{foreign}");
        assert!(
            !refused
                .headers()
                .contains_key("access-control-allow-origin")
        );
        assert_eq!(
            handshake(&app, &[("origin", foreign)]).await,
            403,
            "{foreign}"
        );

        let client = app.client(SELLER_KEY);
        let write = client
            .request(Method::PUT, "/deal")
            .header("origin", foreign);
        assert_eq!(
            write
                .json(&json!({}))
                .send()
                .await
                .expect("an answer")
                .status(),
            403
        );
        // What reads only is answered, and no page of another origin can see the answer.
        let read = client
            .request(Method::GET, "/deal")
            .header("origin", foreign);
        let read = read.send().await.expect("the gateway responds");
        assert_eq!(read.status(), 200);
        assert!(!read.headers().contains_key("access-control-allow-origin"));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_origin_is_told_to_browsers() {
    let page = "https://app.example.com";
    let app = with_rules(&[], Origins::These(vec![page.to_owned()])).await;
    let preflight = async |origin: &str| {
        let client = Client::new(&app.url(), None);
        let request = client
            .request(Method::OPTIONS, "/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-api-key");
        request.send().await.expect("the gateway responds")
    };

    let allowed = preflight(page).await;
    assert_eq!(allowed.status(), 200);
    let header = |name: &str| allowed.headers().get(name).map(|value| value.as_bytes());
    assert_eq!(header("access-control-allow-origin"), Some(page.as_bytes()));
    assert_eq!(header("access-control-allow-methods"), Some(&b"POST"[..]));
    assert_eq!(
        header("access-control-allow-headers"),
        Some(&b"content-type,x-api-key"[..])
    );
    assert_eq!(header("access-control-allow-credentials"), None);

    let answer = post(&app, &[("origin", page)]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], page);
    assert_eq!(handshake(&app, &[("origin", page)]).await, 101);

    let foreign = preflight("https://evil.example").await;
    assert!(
        !foreign
            .headers()
            .contains_key("access-control-allow-origin")
    );
    assert_eq!(
        post(&app, &[("origin", "https://evil.example")])
            .await
            .status(),
        403
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_origin_is_accepted_where_an_operator_says_so() {
    let app = with_rules(&[], Origins::Any).await;

    let answer = post(&app, &[("origin", "https://any.example")]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        handshake(&app, &[("origin", "https://any.example")]).await,
        101
    );
    assert_eq!(post(&app, &[("host", "evil.example")]).await.status(), 421);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_carry_security_headers() {
    let app = TestApp::start(Backing::Embedded).await;
    let visitor = Client::new(&app.url(), None);
    let get = async |path: &str| {
        let request = visitor.request(Method::GET, path);
        request.send().await.expect("the gateway responds")
    };

    for path in [
        "/graphiql",
        "/graphiql/config.json",
        "/deal",
        "/nothing",
        "/graphql",
    ] {
        let response = get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
    }

    let page = get("/graphiql").await;
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.headers()[name], value);
    }
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("ASCII");
    let address = app.app.address();
    assert!(
        policy.ends_with(&format!(
            "connect-src 'self' ws://{address} wss://{address}"
        )),
        "{policy}"
    );
    app.stop().await;
}
