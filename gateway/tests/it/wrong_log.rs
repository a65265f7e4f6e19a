//! A log that is not the market's, and events in it that are not the market's: nothing is acknowledged that nobody would
//! see, nothing stops for good, and readiness says what is wrong.

use async_nats::{HeaderMap, HeaderName};
use backbone::checkpoint::Tables;
use backbone::clock::Clock;
use backbone::contract::{Event, Fact, Subject, wire};
use backbone::event_log::EventLog;
use backbone::ids::{DealId, EventId, SellerId};
use backbone::position::Epoch;
use backbone::telemetry::Metrics;
use backbone::testkit::{Market, NatsServer, Services, wait_for, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::kit::{Client, DEADLINE, Process, SELLER_KEY, dealwire, seed};

const ALL: &str = "gateway,seller,buyer,webhooks";
const SELLER: SellerId = SellerId(uuid!("90d57fe0-0fa1-4dae-a51c-917cc82bcdda"));

// Goal: a gateway that meets an empty server acknowledges nothing.
// Method: a market's processes are started again with the address of a server that has just been installed.
// Proves: mutations are refused, queries go on, readiness says why, and no stream is created.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_on_an_empty_server() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let mut process = Process::with_role(&market, ALL, &[]);
    process.ready().await;
    let client = Client::new(&process.url(), Some(SELLER_KEY));
    client.create("before").await;
    let tables = "the deal is in the tables";
    wait_until(DEADLINE, tables, async || {
        names(&client).await.contains("before")
    })
    .await;
    process.stop().await;

    let empty = NatsServer::start().await;
    let mut lost = Process::with_role(&market, ALL, &[("DEALWIRE_NATS_URL", &empty.url())]);
    wait_until(DEADLINE, "the process listens", async || {
        lost.ready_status().await != 0
    })
    .await;
    let client = Client::new(&lost.url(), Some(SELLER_KEY));
    let readiness = "readiness names the log";
    wait_until(DEADLINE, readiness, async || {
        ready_body(&client).await["down"]["event log"]
            .as_str()
            .is_some_and(|why| why.contains("missing"))
    })
    .await;

    let input = json!({ "name": "lost", "totalPrice": 1, "currency": "GBP",
                        "items": [{ "name": "item", "price": 1 }] });
    let create =
        "mutation ($input: CreateDealInput!) { createDeal(input: $input) { deal { id } } }";
    let answer = client.execute(create, json!({ "input": input })).await;
    assert_eq!(answer.code(), "UNAVAILABLE");
    assert!(names(&client).await.contains("before"));
    let nats = async_nats::connect(empty.url()).await.expect("NATS is up");
    let streams = async_nats::jetstream::new(nats);
    let stream = market.market.to_uppercase();
    assert!(streams.get_stream(&stream).await.is_err(), "it was created");
    lost.kill().await;

    process.start();
    process.ready().await;
    Client::new(&process.url(), Some(SELLER_KEY))
        .create("after")
        .await;
}

// Goal: an event that no process can apply is told by every gateway, and an operator can end it.
// Method: an event of a newer version is published; the operator skips it with the command.
// Proves: the gateway names the event; afterwards the projections go on, and a replay of the log agrees with them.
#[tokio::test(flavor = "multi_thread")]
async fn event_of_a_newer_version_is_told_and_can_be_skipped() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let process = Process::with_role(&market, ALL, &[]);
    process.ready().await;
    let client = Client::new(&process.url(), Some(SELLER_KEY));
    let sequence = publish_newer(&market).await;
    client.create("behind it").await;

    let told = "readiness names the projection and the event";
    wait_until(DEADLINE, told, async || {
        let body = ready_body(&client).await;
        let why = &body["degraded"]["progress of the buyer projection"];
        why.as_str()
            .is_some_and(|why| why.contains(&format!("before event {sequence}")))
    })
    .await;
    let stuck = "dealwire_projection_stuck_event{projection=\"buyer\"}";
    assert_eq!(client.metric(stuck).await, Some(sequence));
    assert!(!names(&client).await.contains("behind it"));

    let sequence = sequence.to_string();
    let decide = [
        "dead-events",
        "skip",
        &sequence,
        "--by",
        "ann",
        "--why",
        "a trial",
    ];
    let said = dealwire(&market.environment(), &decide).await.done();
    assert!(said.contains("skipped by event"), "{said}");

    let applied = "the projections go on";
    wait_until(DEADLINE, applied, async || {
        names(&client).await.contains("behind it")
    })
    .await;
    let listed = dealwire(&market.environment(), &["dead-events", "list"]).await;
    let listed = listed.done();
    assert!(listed.contains("skipped by ann: a trial"), "{listed}");
    let recovered = "the process is ready again";
    wait_until(DEADLINE, recovered, async || {
        ready_body(&client).await["down"] == json!({})
    })
    .await;
    let verified = dealwire(&market.environment(), &["verify"]).await.done();
    assert!(verified.contains("0 differ"), "{verified}");
}

// Goal: what an operator does with the commands can be done over the API, by administrators alone.
// Method: an event of a newer version is published; an administrator looks at it, and skips it.
// Proves: the decision names the administrator and the person, the event shows as dead, and the projections go on.
#[tokio::test(flavor = "multi_thread")]
async fn administrators_decide_about_events_over_the_api() {
    let services = Services::shared_or_private().await;
    let market = services.market().await;
    seed(&market).await;
    let process = Process::with_role(&market, ALL, &[]);
    process.ready().await;
    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    let issued = dealwire(
        &market.environment(),
        &["admin", "issue-key", "--role", "admin"],
    )
    .await;
    let issued = issued.done();
    let key = issued.split_whitespace().last().expect("it prints the key");
    let admin = Client::new(&process.url(), Some(key));
    let sequence = publish_newer(&market).await;
    seller.create("behind it").await;

    let event =
        "query($it: ID!) { storedEvent(sequence: $it) { subject problem headers { name } body } }";
    let stored = admin
        .data(event, json!({ "it": sequence.to_string() }))
        .await;
    let problem = stored["storedEvent"]["problem"]
        .as_str()
        .expect("it has one");
    assert!(
        problem.contains("newer than this binary knows"),
        "{problem}"
    );
    let none = admin.data(event, json!({ "it": 9_000_000 })).await;
    assert_eq!(none["storedEvent"], Value::Null);
    let state = "{ projections { side sequence head generation } }";
    let waiting = (sequence - 1).to_string();
    wait_until(DEADLINE, "both sides are before the event", async || {
        let states = admin.data(state, json!({})).await["projections"].take();
        states[0]["sequence"] == waiting && states[1]["sequence"] == waiting
    })
    .await;

    let skip = "mutation($it: ID!, $why: String!, $by: String) {
        skipEvent(sequence: $it, why: $why, by: $by) { sequence position } }";
    let decision = |why: &str| json!({ "it": sequence.to_string(), "why": why, "by": "ann" });
    assert_eq!(
        seller.execute(skip, decision("a trial")).await.code(),
        "FORBIDDEN"
    );
    let unexplained = admin.execute(skip, decision(" ")).await;
    assert_eq!(unexplained.paths(), ["why"]);
    let unknown = admin
        .execute(skip, json!({ "it": "x", "why": "a trial" }))
        .await;
    assert_eq!(unknown.paths(), ["sequence"]);
    let skipped = admin.data(skip, decision("a trial")).await;
    assert_eq!(skipped["skipEvent"]["sequence"], sequence.to_string());

    wait_until(DEADLINE, "the projections go on", async || {
        names(&seller).await.contains("behind it")
    })
    .await;
    let dead = "{ deadEvents(side: SELLER) { sequence reason settled } }";
    let dead = admin.data(dead, json!({})).await["deadEvents"].take();
    assert_eq!(dead[0]["sequence"], sequence.to_string());
    let reason = dead[0]["reason"].as_str().expect("it has a reason");
    assert!(
        reason.contains("skipped by ann (") && reason.ends_with("): a trial"),
        "{reason}"
    );
}

async fn names(client: &Client) -> String {
    let query = "{ dealsForSeller(first: 50) { nodes { name } } }";
    client.data(query, json!({})).await.to_string()
}

async fn ready_body(client: &Client) -> Value {
    client.rest(Method::GET, "/health/ready", None).await.body
}

/// Publishes an event of the market as a newer version would. Returns its sequence.
async fn publish_newer(market: &Market) -> u64 {
    let epoch = epoch(market).await;
    let deal = Subject::Deal {
        seller: SELLER,
        deal: DealId(Uuid::from_u128(7)),
    };
    let event = Event {
        id: EventId(Uuid::from_u128(77)),
        subject: deal,
        time: Clock::system().now(),
        trace: None,
        fact: Fact::MarketOpened { epoch },
    };
    let mut message = wire::encode(&market.market, epoch, &event);
    message
        .headers
        .insert("ce-schemaversion".into(), "2".to_owned());

    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        let name: HeaderName = name.parse().expect("it is a name");
        headers.insert(name, value.as_str());
    }
    let nats = async_nats::connect(&market.nats_url)
        .await
        .expect("NATS is up");
    // Kept until the answer has come, which ends with its client.
    let context = async_nats::jetstream::new(nats);
    let published = context
        .publish_with_headers(format!("{}.{deal}", market.market), headers, message.body)
        .await
        .expect("it is sent");
    published.await.expect("it is stored").sequence
}

async fn epoch(market: &Market) -> Epoch {
    let log = EventLog::jetstream(
        &market.nats_url,
        &market.market,
        Tables::none(),
        Clock::system(),
        &Metrics::new(),
    )
    .expect("a URL of NATS");
    wait_for(DEADLINE, "the log is there", async || {
        log.epoch().await.ok()
    })
    .await
}
