//! What operators see: requests by client and operation, fields by client, and the first lines of a process.

use std::process::Stdio;

use backbone::testkit::{Port, Services};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::kit::{BUYER_KEY, Client, DEADLINE, SELLER_KEY, Socket, TestApp, on_both};

on_both!(
    usage_is_counted_by_client_and_operation,
    usage_of_fields_is_counted_if_wanted,
    usage_by_names_is_bounded,
);

async fn send(client: &Client, header: &'static str, name: &str, query: &str) {
    let request = client
        .request(Method::POST, "/graphql")
        .header(header, name)
        .json(&json!({ "query": query }));

    let response = request.send().await.expect("the gateway responds");
    assert_eq!(response.status(), 200);
}

fn requests(client: &str, operation: &str, kind: &str) -> String {
    let labels = format!("client=\"{client}\",operation=\"{operation}\",kind=\"{kind}\"");

    format!("dealwire_graphql_requests_total{{{labels}}}")
}

async fn usage_is_counted_by_client_and_operation(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let mine = "query Mine { viewer { id } }";

    send(&buyer, "apollographql-client-name", "desk", mine).await;
    send(&buyer, "graphql-client-name", "job", mine).await;
    send(&buyer, "graphql-client-name", "job", "{ viewer { id } }").await;
    buyer.data(mine, json!({})).await;

    // Browsers name their client in the payload, for everything that the socket does.
    let mut socket = Socket::connect(&app.url(), Some("graphql-transport-ws")).await;
    let payload = json!({ "x-api-key": BUYER_KEY, "graphql-client-name": "page" });
    socket
        .send(json!({ "type": "connection_init", "payload": payload }))
        .await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    let follow = "subscription Follow { dealChanged { type } }";
    socket.subscribe("1", follow, json!({})).await;
    socket.subscribe("2", mine, json!({})).await;
    assert_eq!(socket.message().await["type"], "next");

    // Names of callers without a key are counted only if somebody with a key has sent them.
    let nobody = Client::new(&app.url(), None);
    for name in ["desk", "stranger"] {
        send(
            &nobody,
            "graphql-client-name",
            name,
            "query New { __typename }",
        )
        .await;
    }

    for (client, operation, kind, count) in [
        ("desk", "Mine", "query", 1),
        ("job", "Mine", "query", 1),
        ("job", "none", "query", 1),
        ("none", "Mine", "query", 1),
        ("page", "Follow", "subscription", 1),
        ("page", "Mine", "query", 1),
        ("desk", "other", "query", 1),
        ("other", "other", "query", 1),
        ("stranger", "New", "query", 0),
    ] {
        let metric = requests(client, operation, kind);
        assert_eq!(app.metric(&metric).await, count, "{metric}");
    }
    app.stop().await;
}

async fn usage_of_fields_is_counted_if_wanted(app: TestApp) {
    let query = "query Mine { viewer { id } dealsForSeller { nodes { ...D } } } fragment D on Deal { name }";
    let field = |client: &str, field: &str| {
        format!("dealwire_graphql_field_requests_total{{client=\"{client}\",field=\"{field}\"}}")
    };

    send(
        &app.client(SELLER_KEY),
        "graphql-client-name",
        "desk",
        query,
    )
    .await;
    assert_eq!(app.metric(&field("desk", "Deal.name")).await, 0);

    let app = app.restarted_with(|config| config.field_usage = true).await;
    let seller = app.client(SELLER_KEY);
    for _ in 0..2 {
        send(&seller, "graphql-client-name", "desk", query).await;
    }
    seller.data("{ viewer { id } }", json!({})).await;

    for (client, name, count) in [
        ("desk", "Deal.name", 2),
        ("desk", "Viewer.id", 2),
        ("desk", "Query.dealsForSeller", 2),
        ("desk", "Deal.version", 0),
        ("none", "Viewer.id", 1),
    ] {
        assert_eq!(
            app.metric(&field(client, name)).await,
            count,
            "{client} {name}"
        );
    }
    app.stop().await;
}

async fn usage_by_names_is_bounded(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    for number in 0..40 {
        let name = format!("client {number}");
        send(&buyer, "graphql-client-name", &name, "{ viewer { id } }").await;
    }

    assert_eq!(app.metric(&requests("client 0", "none", "query")).await, 1);
    assert_eq!(app.metric(&requests("client 39", "none", "query")).await, 0);
    assert_eq!(app.metric(&requests("other", "none", "query")).await, 10);
    app.stop().await;
}

/// Starts a process with these roles, whose output can be read.
fn start(environment: &[(&str, &str)], roles: &str, port: &Port) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dealwire"));
    command
        .arg("serve")
        .envs(environment.iter().copied())
        .env("DEALWIRE_ROLES", roles)
        .env("DEALWIRE_LOG", "warn")
        .env("DEALWIRE_LISTEN", port.addr().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);

    command.spawn().expect("the binary starts")
}

async fn first_line(process: &mut Child) -> String {
    let output = process.stdout.take().expect("the output is piped");
    let mut lines = BufReader::new(output).lines();
    let line = timeout(DEADLINE, lines.next_line()).await;

    let line = line.expect("a line comes in time").expect("it can be read");
    line.expect("there is a line")
}

// Goal: what a process says at its start is true, and a start without trouble warns of nothing.
// Method: start a process with all roles and one with the role webhooks, on servers that are there.
// Proves: only a gateway prints a GraphQL address, and neither has logged a warning when it is ready.
#[tokio::test(flavor = "multi_thread")]
async fn start_of_a_process_says_what_it_serves_and_warns_of_nothing() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    crate::kit::seed(&market).await;

    for (roles, expected) in [
        ("gateway,seller,buyer,webhooks", "/graphql"),
        (
            "webhooks",
            "with the roles webhooks; health and metrics on http://",
        ),
    ] {
        let port = Port::reserve();
        let mut process = start(&market.environment(), roles, &port);
        let line = first_line(&mut process).await;
        assert!(line.contains(expected), "{line}");
        assert_eq!(
            line.contains("graphql"),
            roles.contains("gateway"),
            "{line}"
        );

        let url = format!("http://{}", port.addr());
        backbone::testkit::wait_until(DEADLINE, "the process is ready", async || {
            let request = Client::new(&url, None).request(Method::GET, "/health/ready");
            let response = request.send().await;
            response.is_ok_and(|response| response.status() == 200)
        })
        .await;

        process.kill().await.expect("a child can be killed");
        let mut log = String::new();
        let mut errors = process.stderr.take().expect("the log is piped");
        let read = errors.read_to_string(&mut log).await;
        read.expect("the log is text");
        assert_eq!(log, "", "{roles}");
    }
}
