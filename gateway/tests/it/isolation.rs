//! Clients that misbehave, each beside a bystander who must not notice: nothing that they hold is missing to others.

use std::time::Duration;

use backbone::testkit::{Market, Proxy, Services, wait_until};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::kit::{
    BUYER_KEY, CREATE, Client, DEADLINE, End, Process, SELLER_KEY, Socket, Subscription, TestApp,
    on_both, seed,
};

on_both!(
    client_that_never_answers_a_close_holds_nothing,
    clients_that_vanish_amid_queries_hold_nothing,
    sockets_that_open_and_close_leave_nothing_behind,
    client_that_does_not_read_waits_alone,
    operations_of_an_account_are_bounded,
    close_of_the_client_is_answered,
);

/// Page of deals, read from the tables as long as nobody asks for it twice within a short time.
const PAGE: &str = "query ($first: Int) { dealsForBuyer(first: $first) { nodes { id name } } }";

/// Queries of a client that misbehaves.
const QUERIES: usize = 60;

/// Sockets that are opened and closed.
const SOCKETS: usize = 5_000;

/// A buyer who queries all the time.
struct Bystander {
    client: Client,
    times: Vec<Duration>,
}

impl Bystander {
    /// The seller's account, so that no limit of the buyer's is shared.
    fn new(app: &TestApp) -> Self {
        Self {
            client: app.client(SELLER_KEY),
            times: Vec::new(),
        }
    }

    async fn query(&mut self) {
        let begin = Instant::now();
        let answer = self
            .client
            .data("{ dealsForSeller(first: 5) { nodes { id } } }", json!({}))
            .await;

        assert!(answer["dealsForSeller"]["nodes"].is_array());
        self.times.push(begin.elapsed());
    }

    /// Checks that the bystander was served as always.
    fn check(mut self) {
        self.times.sort_unstable();
        let median = self.times[self.times.len() / 2];

        assert!(median < Duration::from_millis(100), "{:?}", self.times);
    }
}

/// Waits until no database connection is in use by requests.
async fn nothing_is_held(app: &TestApp) {
    wait_until(DEADLINE, "no request holds a connection", async || {
        let mut held = app.metric("dealwire_operations").await;
        for database in ["buyer", "seller"] {
            let name = format!(
                "dealwire_database_connections_in_use{{database=\"{database}\",purpose=\"requests\"}}"
            );
            held += app.metric(&name).await;
        }
        held == 0
    })
    .await;
}

async fn send_queries(socket: &mut Socket) {
    for number in 0..QUERIES {
        let variables = json!({ "first": number });
        socket.subscribe(&number.to_string(), PAGE, variables).await;
    }
}

async fn client_that_never_answers_a_close_holds_nothing(app: TestApp) {
    let mut bystander = Bystander::new(&app);
    let mut hostile = Vec::new();

    for _ in 0..5 {
        let mut socket = app.socket(BUYER_KEY).await;
        send_queries(&mut socket).await;
        // From here on the gateway waits for the client's close frame, which never comes.
        socket.send(json!({ "type": "bogus" })).await;
        hostile.push(socket);

        for _ in 0..10 {
            bystander.query().await;
        }
    }

    nothing_is_held(&app).await;
    bystander.check();
    app.stop().await;
}

async fn clients_that_vanish_amid_queries_hold_nothing(app: TestApp) {
    let mut bystander = Bystander::new(&app);

    for _ in 0..20 {
        let mut socket = app.socket(BUYER_KEY).await;
        send_queries(&mut socket).await;
        drop(socket);
        bystander.query().await;
    }

    nothing_is_held(&app).await;
    wait_until(DEADLINE, "their sockets are gone", async || {
        app.metric("dealwire_sockets_open").await == 0
    })
    .await;
    bystander.check();
    app.stop().await;
}

async fn sockets_that_open_and_close_leave_nothing_behind(app: TestApp) {
    let url = app.url();
    let mut bystander = Bystander::new(&app);
    let mut subscription = Subscription::deals(&url, BUYER_KEY, None).await;

    for _ in 0..SOCKETS / 50 {
        let opened = (0..50).map(async |number: usize| {
            let mut socket = Socket::connect(&url, Some("graphql-transport-ws")).await;
            // Some leave before they are known, some with a subscription.
            if number.is_multiple_of(2) {
                socket
                    .send(
                        json!({ "type": "connection_init", "payload": { "x-api-key": BUYER_KEY } }),
                    )
                    .await;
                socket
                    .subscribe("1", "subscription { dealChanged { type } }", json!({}))
                    .await;
            }
        });
        join_all(opened).await;
        bystander.query().await;
    }

    wait_until(DEADLINE, "only the subscriber is left", async || {
        app.metric("dealwire_sockets_open").await == 1
    })
    .await;
    nothing_is_held(&app).await;
    bystander.check();

    app.client(SELLER_KEY).create("after them").await;
    assert_eq!(subscription.next().await["deal"]["name"], "after them");
    app.stop().await;
}

async fn client_that_does_not_read_waits_alone(app: TestApp) {
    let mut bystander = Bystander::new(&app);
    let seller = app.client(SELLER_KEY);
    let items: Vec<Value> = (0..100)
        .map(|number| json!({ "name": "x".repeat(200), "price": number }))
        .collect();
    for number in 0..20 {
        let input = json!({ "name": format!("large {number}"), "totalPrice": 1, "currency": "GBP", "items": items });
        seller.data(CREATE, json!({ "input": input })).await;
    }
    app.caught_up().await;

    // Far more than the buffers on the way hold: the answers wait at the gateway.
    let mut socket = Socket::open_with_small_buffer(&app.url(), BUYER_KEY).await;
    for number in 0..QUERIES {
        let query = "{ dealsForBuyer(first: 20) { nodes { id items { name } } } }";
        socket
            .subscribe(&number.to_string(), query, json!({}))
            .await;
    }

    for _ in 0..20 {
        bystander.query().await;
    }
    let closed = "dealwire_sockets_closed_total{code=\"4290\"}";
    wait_until(DEADLINE, "the gateway gives up on the reader", async || {
        app.metric(closed).await == 1
    })
    .await;

    bystander.check();
    drop(socket);
    nothing_is_held(&app).await;
    app.stop().await;
}

async fn operations_of_an_account_are_bounded(app: TestApp) {
    let app = app
        .restarted_with(|config| config.operations.per_account = 3)
        .await;
    let client = app.client(BUYER_KEY);

    // A position that comes only with the next change: the queries wait for it.
    let head = client
        .data("{ dealsForBuyer(first: 0) { position } }", json!({}))
        .await;
    let waiting = |_| {
        let client = app.client(BUYER_KEY);
        let after = head["dealsForBuyer"]["position"].clone();
        async move {
            let query = "query ($after: Position!) { changes(after: $after, wait: 30) { more } }";
            client.execute(query, json!({ "after": after })).await
        }
    };
    let answers: JoinSet<_> = (0..3).map(waiting).collect();
    wait_until(DEADLINE, "three operations are under way", async || {
        app.metric("dealwire_operations").await == 3
    })
    .await;

    let refused = client.execute("{ viewer { id } }", json!({})).await;
    assert_eq!(refused.code(), "RATE_LIMITED");
    // Another account is not concerned.
    app.client(SELLER_KEY).create("ends the wait").await;
    for answer in answers.join_all().await {
        let answer = answer.data();
        assert_eq!(answer["changes"], json!({ "more": false }));
    }

    client.data("{ viewer { id } }", json!({})).await;
    app.stop().await;
}

async fn close_of_the_client_is_answered(app: TestApp) {
    let mut socket = app.socket(BUYER_KEY).await;

    assert_eq!(socket.close(1000).await, End::Closed(1000));
    app.stop().await;
}

// Goal: a process ends with exit code 0 whatever its clients do.
// Method: SIGTERM while a body is half sent, a response is not read, and a socket does not answer its close.
// Proves: readiness answers 503 on new connections until the end, and the code is 0.
#[tokio::test(flavor = "multi_thread")]
async fn process_ends_whatever_its_clients_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("a path of text");
    let environment = [
        ("DEALWIRE_DATA_DIR", data_dir),
        ("DEALWIRE_DRAIN_SECONDS", "8"),
    ];
    let mut process = Process::spawn(&environment);
    process.ready().await;

    let address = process.url().replace("http://", "");
    let mut half = TcpStream::connect(&address).await.expect("a connection");
    half.write_all(b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        .await
        .expect("the gateway reads");
    let mut idle = Socket::open(&process.url(), BUYER_KEY).await;
    idle.subscribe("1", "subscription { dealChanged { type } }", json!({}))
        .await;

    process.terminate().await;
    wait_until(
        DEADLINE,
        "new connections learn that it drains",
        async || process.ready_status().await == 503,
    )
    .await;
    process.exited().await;

    let mut rest = Vec::new();
    // A status or a reset: the connection is over either way.
    let _ended = half.read_to_end(&mut rest).await;
}

/// A production market whose gateway reaches the buyer database through a proxy.
struct Proxied {
    gateway: Process,
    proxy: Proxy,
    seller: Client,
    _others: Process,
    _market: Market,
    _services: Services,
}

impl Proxied {
    async fn start() -> Self {
        let services = Services::shared_or_private().await;
        let market = services.market().await;
        seed(&market).await;

        let proxy = Proxy::in_front_of(&market.buyer_database_url).await;
        let url = proxy.url(&market.buyer_database_url);
        let others = Process::with_role(&market, "seller,buyer,webhooks", &[]);
        let gateway =
            Process::with_role(&market, "gateway", &[("DEALWIRE_BUYER_DATABASE_URL", &url)]);
        others.ready().await;
        gateway.ready().await;

        Self {
            seller: Client::new(&gateway.url(), Some(SELLER_KEY)),
            gateway,
            proxy,
            _others: others,
            _market: market,
            _services: services,
        }
    }

    async fn wait_for(&self, what: &str, metric: &str) {
        wait_until(DEADLINE, what, async || {
            self.seller.metric(metric).await == Some(0)
        })
        .await;
    }
}

// Goal: an outage of a moment when a subscription begins costs the client nothing, and a longer one a reconnection.
// Method: the buyer database goes away behind an open socket; a subscription begins; the database comes back, or does not.
// Proves: the first subscription gets what changed meanwhile; the second one's socket is closed, not its operation.
#[tokio::test(flavor = "multi_thread")]
async fn subscription_that_begins_in_an_outage_waits_or_comes_back() {
    let market = Proxied::start().await;
    let url = market.gateway.url();
    let subscription = "subscription { dealChanged { deal { name } } }";

    let mut socket = Socket::open(&url, BUYER_KEY).await;
    market.proxy.cut().await;
    socket.subscribe("1", subscription, json!({})).await;
    // Answered after the subscription has arrived, which cannot begin by now.
    let ping = json!({ "type": "ping", "payload": { "n": 1 } });
    socket.send(ping).await;
    assert_eq!(socket.message().await["type"], "pong");
    market.seller.create("meanwhile").await;
    market.proxy.restore().await;
    let change = socket.message().await["payload"]["data"]["dealChanged"].clone();
    assert_eq!(change["deal"]["name"], "meanwhile");

    // With it goes what the gateway knows of the buyer's access.
    drop(socket);
    market
        .wait_for("the socket is gone", "dealwire_sockets_open")
        .await;
    market.gateway.ready().await;
    let mut socket = Socket::open(&url, BUYER_KEY).await;
    market.proxy.cut().await;
    socket.subscribe("1", subscription, json!({})).await;
    assert_eq!(socket.close_code().await, 1013);
}

// Goal: a database that hangs stops the pushes of its own keys, and nobody else.
// Method: the buyer database hangs amid a buyer's queries until its keys are not trusted any more, and comes back.
// Proves: sellers are served all the while; afterwards nothing is held, and the buyer's open socket gets its changes.
#[tokio::test(flavor = "multi_thread")]
async fn client_that_loses_trust_amid_queries_holds_nothing() {
    let market = Proxied::start().await;
    let url = market.gateway.url();
    let mut subscription = Subscription::deals(&url, BUYER_KEY, None).await;
    let mut socket = Socket::open(&url, BUYER_KEY).await;

    market.proxy.half_open();
    send_queries(&mut socket).await;
    let buyer = Client::new(&url, Some(BUYER_KEY));
    wait_until(DEADLINE, "keys of buyers are not trusted", async || {
        let answer = buyer.execute("{ viewer { id } }", json!({})).await;
        answer.body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    })
    .await;
    for _ in 0..10 {
        let query = "{ dealsForSeller(first: 5) { nodes { id } } }";
        market.seller.data(query, json!({})).await;
    }
    market.seller.create("while buyers wait").await;

    market.proxy.restore().await;
    market.gateway.ready().await;
    assert_eq!(
        subscription.next().await["deal"]["name"],
        "while buyers wait"
    );
    market
        .wait_for("no operation is under way", "dealwire_operations")
        .await;
}
