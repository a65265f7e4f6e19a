//! Debian's nginx in front of a gateway, with the configuration that the documents recommend.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use backbone::testkit::{Port, wait_until};
use listener::Caps;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::kit::{
    Answer, BUYER_KEY, Backing, Client, DEADLINE, Events, SELLER_KEY, Subscription, TestApp,
};

const CONFIGURATION: &str = include_str!("../../../deploy/nginx.conf");
const SUBSCRIPTION: &str = "subscription { dealChanged { deal { name } position } }";

/// Connections through nginx in the test of many, more than one address may have.
const SOCKETS: usize = 8;

/// Running nginx, killed when dropped.
struct Nginx {
    port: Port,
    _child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx with the recommended configuration in front of an address.
    async fn before(upstream: &str) -> Self {
        let port = Port::reserve();
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let configuration = configuration(folder.path(), &port.addr().to_string(), upstream);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the folder can be written to");

        let child = Command::new(program())
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn();

        let nginx = Self {
            port,
            _child: child.expect("nginx is installed; scripts/test installs it on Debian"),
            _folder: folder,
        };
        wait_until(DEADLINE, "nginx listens", async || {
            TcpStream::connect(nginx.port.addr()).await.is_ok()
        })
        .await;
        nginx
    }

    fn url(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    fn client(&self, key: &str) -> Client {
        Client::new(&self.url(), Some(key))
    }
}

/// Path of the program, which is not on everybody's `PATH`.
fn program() -> &'static str {
    let installed = "/usr/sbin/nginx";
    if Path::new(installed).exists() {
        installed
    } else {
        "nginx"
    }
}

/// Wraps the recommended file, with other addresses, into what Debian's main file has around it.
fn configuration(folder: &Path, listen: &str, upstream: &str) -> String {
    let mut site = CONFIGURATION.to_owned();
    for (recommended, here) in [
        ("127.0.0.1:8080", upstream),
        ("listen 80", &format!("listen {listen}")),
    ] {
        assert_eq!(site.matches(recommended).count(), 1, "{recommended}");
        site = site.replace(recommended, here);
    }

    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .collect();
    let pid = folder.join("pid");
    format!(
        "daemon off;\nmaster_process off;\nerror_log stderr warn;\npid {};\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{site}}}\n",
        pid.display()
    )
}

/// Starts an app that trusts nginx, and takes few connections from anybody else.
async fn app() -> TestApp {
    let app = TestApp::start(Backing::Embedded).await;

    app.restarted_with(|config| {
        config.connections.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        config.connections.caps = Caps {
            per_client: 4,
            ..Caps::default()
        };
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_pass_through_nginx_as_they_come() {
    let app = app().await;
    let nginx = Nginx::before(&app.app.address().to_string()).await;
    let seller = nginx.client(SELLER_KEY);

    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(Subscription::deals(&nginx.url(), BUYER_KEY, None).await);
    }
    let request = nginx.client(BUYER_KEY).request(Method::POST, "/graphql");
    let mut stream = Events::open(request.json(&json!({ "query": SUBSCRIPTION }))).await;

    // One after the other: an event that nginx held back would come with the next one only.
    for name in ["first", "second"] {
        seller.create(name).await;
        for socket in &mut sockets {
            assert_eq!(socket.next().await["deal"]["name"], name);
        }
        assert_eq!(next_name(&mut stream).await, name);
    }

    app.stop().await;
}

/// Returns the name in the next event that has one.
async fn next_name(stream: &mut Events) -> String {
    loop {
        let event = stream.next().await.expect("the stream is open");
        let Some(data) = event.get("data").filter(|data| !data.is_empty()) else {
            continue;
        };

        let result: serde_json::Value = serde_json::from_str(data).expect("a result is JSON");
        let name = &result["data"]["dealChanged"]["deal"]["name"];
        return name.as_str().expect("a deal has a name").to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_passes_through_nginx_unchanged() {
    let app = app().await;
    let nginx = Nginx::before(&app.app.address().to_string()).await;
    let seller = nginx.client(SELLER_KEY);

    let body = json!({ "name": "n", "totalPrice": 1, "currency": "GBP", "items": [{ "name": "i", "price": 1 }] });
    let posted = seller.rest(Method::POST, "/v1/deal", Some(body)).await;
    assert_eq!(
        (posted.status, &posted.headers["etag"]),
        (201, &"\"1\"".parse().expect("ASCII"))
    );
    let path = posted.headers["location"]
        .to_str()
        .expect("a path is ASCII");
    app.caught_up().await;

    let tagged = |method, tag: &'static str| {
        let request = seller.request(method, path).header("if-match", tag);
        request.json(&posted.body)
    };
    let put = tagged(Method::PUT, "\"1\"").send().await;
    assert_eq!(
        Answer::read(put.expect("nginx responds")).await.body,
        posted.body
    );
    let refused = tagged(Method::PUT, "\"7\"").send().await;
    let refused = Answer::read(refused.expect("nginx responds")).await;
    assert_eq!((refused.status, refused.code()), (412, "CONFLICT"));

    let cached = seller
        .request(Method::GET, path)
        .header("if-none-match", "W/\"1\"");
    assert_eq!(cached.send().await.expect("nginx responds").status(), 304);

    let huge = json!({ "name": "x".repeat(300 << 10) });
    let huge = seller.rest(Method::POST, "/deal", Some(huge)).await;
    assert_eq!((huge.status, huge.code()), (413, "PAYLOAD_TOO_LARGE"));

    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_names_the_client_and_not_what_it_claims_to_be() {
    let upstream = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = upstream.local_addr().expect("the listener has an address");
    let nginx = Nginx::before(&address.to_string()).await;

    let serve = async {
        let (mut stream, _) = upstream.accept().await.expect("nginx connects");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream
                .read_buf(&mut head)
                .await
                .expect("nginx sends a head");
            assert!(read > 0, "the head ends");
        }
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(answer).await.expect("nginx reads");
        String::from_utf8(head).expect("the head is ASCII")
    };

    let claim = nginx
        .client(BUYER_KEY)
        .request(Method::GET, "/deal")
        .header("x-forwarded-for", "203.0.113.7");
    let (head, answer) = tokio::join!(serve, claim.send());
    assert_eq!(answer.expect("nginx responds").status(), 204);

    let head = head.to_lowercase();
    assert!(
        head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nx-forwarded-proto: http\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nx-api-key: {BUYER_KEY}\r\n")),
        "{head}"
    );
    assert!(!head.contains("203.0.113.7"), "{head}");
}
