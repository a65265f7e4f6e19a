//! Pushes under load: subscribers that are far behind, that read nothing or that ask for too much,
//! and what they cost the others.

use backbone::position::Position;
use backbone::testkit::wait_until;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{
    BUYER_KEY, Buffer, CREATE, Client, DEADLINE, SELLER_KEY, Socket, Subscription, TestApp, on_both,
};

on_both!(
    position_behind_the_horizon_is_refused,
    reconnecting_subscribers_share_a_few_reads,
    connections_of_a_key_are_limited,
    flooded_socket_answers_queries_in_between,
    stalled_reader_is_closed_and_others_do_not_notice,
);

const DEALS: &str = "subscription($after: Position, $filter: DealFilter) {
    dealChanged(after: $after, filter: $filter) { position deal { name } } }";
const DEALS_WITH_ITEMS: &str = "subscription($after: Position) {
    dealChanged(after: $after) { position deal { items { name } } } }";

/// Returns the variables that create a deal with a number of items, each with a name of 100
/// characters.
fn deal(name: &str, items: usize) -> Value {
    let items: Vec<Value> = (0..items)
        .map(|_| json!({ "name": "x".repeat(100), "price": 1 }))
        .collect();

    json!({ "input": { "name": name, "totalPrice": 1, "currency": "GBP", "items": items } })
}

/// Creates `count` deals with `items` items each, ten at a time.
async fn create_many(client: &Client, count: usize, items: usize) {
    let mut creators = JoinSet::new();
    for creator in 0..10 {
        let client = client.clone();
        creators.spawn(async move {
            for number in (creator..count).step_by(10) {
                client
                    .data(CREATE, deal(&format!("deal {number}"), items))
                    .await;
            }
        });
    }

    creators.join_all().await;
}

fn position(payload: &Value) -> &str {
    payload["position"]
        .as_str()
        .expect("a payload has a position")
}

fn sequence(payload: &Value) -> u64 {
    Position::decode(position(payload))
        .expect("the position is valid")
        .sequence
}

/// Returns the name of the deal in a `next` message.
fn deal_name(message: &Value) -> &Value {
    &message["payload"]["data"]["dealChanged"]["deal"]["name"]
}

/// Begins a request for an event stream.
fn stream(client: &Client, variables: &Value) -> RequestBuilder {
    client
        .request(Method::POST, "/graphql")
        .header("accept", "text/event-stream")
        .json(&json!({ "query": DEALS, "variables": variables }))
}

async fn position_behind_the_horizon_is_refused(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let old = seller.create("1").await;
    let horizon = seller.create("2").await;
    let kept = seller.create("3").await;

    let newest = sequence(&kept);
    wait_until(DEADLINE, "the feed has the changes", async || {
        app.metric("dealwire_feed_tip").await >= newest
    })
    .await;
    app.on_buyer_database(
        "UPDATE feed_horizon SET sequence = $1",
        sequence(&horizon) as i64,
    )
    .await;

    // A gateway serves from its ring what it still holds there, so only a new one is bound by the
    // horizon.
    let app = app.restarted().await;
    let mut resumed = Subscription::deals(&app.url(), BUYER_KEY, Some(position(&horizon))).await;
    assert_eq!(
        resumed.next().await["deal"]["name"],
        "3",
        "changes after the horizon are kept"
    );

    let expired = json!({ "after": position(&old) });
    check_expired_on_socket(&app, &expired, position(&horizon)).await;

    let response = stream(&app.client(BUYER_KEY), &expired).send().await;
    let events = response.expect("the gateway responds").text().await;
    let events = events.expect("the stream ends");
    assert!(
        events.contains("POSITION_EXPIRED") && events.ends_with("event: complete\ndata:\n\n"),
        "{events}"
    );

    app.stop().await;
}

async fn check_expired_on_socket(app: &TestApp, expired: &Value, horizon: &str) {
    let mut socket = app.socket(BUYER_KEY).await;
    socket.subscribe("late", DEALS, expired.clone()).await;

    let refused = socket.message().await;
    assert_eq!(
        (&refused["type"], &refused["id"]),
        (&json!("error"), &json!("late")),
        "{refused}"
    );
    assert_eq!(
        refused["payload"][0]["extensions"]["code"], "POSITION_EXPIRED",
        "{refused}"
    );

    // The refusal ends the operation only: the socket stays open, and the id is free again.
    socket
        .subscribe("late", DEALS, json!({ "after": horizon }))
        .await;
    assert_eq!(deal_name(&socket.message().await), "3");
}

async fn reconnecting_subscribers_share_a_few_reads(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let create_sold = async |name: &str| {
        let input = json!({ "name": name, "totalPrice": 1, "currency": "GBP", "status": "SOLD",
                            "items": [{ "name": "item", "price": 1 }] });
        seller.data(CREATE, json!({ "input": input })).await["createDeal"].take()
    };

    // More changes than one block of the backlog holds, so that a gateway that has just started
    // does not have the first of them in memory.
    let begin = create_sold("begin").await;
    create_sold("among the first").await;
    create_many(&seller, 1_100, 1).await;
    create_sold("among the last").await;

    // Otherwise the new gateway might start while the tables are still at the first block, and
    // follow them from there in memory.
    app.caught_up().await;
    let app = app.restarted().await;
    let reads = app.metric("dealwire_feed_table_reads_total").await;

    let mut readers = JoinSet::new();
    for reader in 0..1_000 {
        // Two keys: the connections of one are limited to fewer than these.
        let key = [BUYER_KEY, SELLER_KEY][reader % 2];
        readers.spawn(read_sold(app.url(), key, position(&begin).to_owned()));
    }
    readers.join_all().await;

    let reads = app.metric("dealwire_feed_table_reads_total").await - reads;
    assert!(
        (1..=3).contains(&reads),
        "{reads} reads for a thousand readers"
    );

    app.stop().await;
}

/// Resumes a subscription to sold deals, and checks that both changes arrive.
async fn read_sold(url: String, key: &str, after: String) {
    let mut socket = Socket::open(&url, key).await;
    let variables = json!({ "after": after, "filter": { "statuses": ["SOLD"] } });
    socket.subscribe("1", DEALS, variables).await;

    for name in ["among the first", "among the last"] {
        let next = socket.message().await;
        assert_eq!(deal_name(&next), name, "{next}");
    }
}

async fn connections_of_a_key_are_limited(app: TestApp) {
    let url = app.url();
    let mut opening = JoinSet::new();
    for _ in 0..1_000 {
        let url = url.clone();
        opening.spawn(async move { Socket::open(&url, SELLER_KEY).await });
    }
    let mut sockets = opening.join_all().await;

    let init = json!({ "type": "connection_init", "payload": { "x-api-key": SELLER_KEY } });
    let mut one_more = Socket::connect(&url, Some("graphql-transport-ws")).await;
    one_more.send(init).await;
    assert_eq!(
        one_more.close_code().await,
        1013,
        "the graphql-ws client reconnects later after this code"
    );

    let response = stream(&app.client(SELLER_KEY), &json!({})).send().await;
    let refused = response.expect("the gateway responds").text().await;
    let refused = refused.expect("the stream ends");
    assert!(refused.contains("RATE_LIMITED"), "{refused}");

    // Other keys are not affected, and a closed connection makes room for another.
    let _other = Socket::open(&url, BUYER_KEY).await;
    sockets.pop();
    wait_until(
        DEADLINE,
        "the key may open a connection again",
        async || {
            Socket::try_open(&url, SELLER_KEY, Buffer::Default)
                .await
                .is_ok()
        },
    )
    .await;

    drop(sockets);
    app.stop().await;
}

async fn flooded_socket_answers_queries_in_between(app: TestApp) {
    // Far more than the buffers on the way hold, so the query arrives before either flood can be
    // over.
    const CHANGES: usize = 300;
    let seller = app.client(SELLER_KEY);
    let begin = seller.create("begin").await;
    create_many(&seller, CHANGES, 100).await;

    let mut socket = Socket::open_with_small_buffer(&app.url(), BUYER_KEY).await;
    for flood in ["flood 1", "flood 2"] {
        let variables = json!({ "after": position(&begin) });
        socket.subscribe(flood, DEALS_WITH_ITEMS, variables).await;
    }
    socket.subscribe("query", "{ __typename }", json!({})).await;

    let mut received = [0; 2];
    let mut received_before_answer = None;
    while received != [CHANGES; 2] {
        let message = socket.message().await;
        match message["id"].as_str().expect("a message has an id") {
            // The first of `next` and `complete` counts.
            "query" => received_before_answer = received_before_answer.or(Some(received)),
            flood => received[usize::from(flood == "flood 2")] += 1,
        }
    }

    let received_before_answer =
        received_before_answer.expect("the query is answered before the floods are over");
    assert!(
        received_before_answer
            .iter()
            .all(|received| *received < CHANGES),
        "{received_before_answer:?}"
    );

    app.stop().await;
}

async fn stalled_reader_is_closed_and_others_do_not_notice(app: TestApp) {
    let url = app.url();
    let seller = app.client(SELLER_KEY);
    let mut stalled = Socket::open_with_small_buffer(&url, BUYER_KEY).await;
    stalled.subscribe("1", DEALS_WITH_ITEMS, json!({})).await;
    let mut other = Subscription::deals(&url, BUYER_KEY, None).await;

    // Far more than the buffers on the way to the stalled reader hold.
    for number in 0..100 {
        let name = format!("large {number}");
        seller.data(CREATE, deal(&name, 100)).await;
        assert_eq!(other.next().await["deal"]["name"], name);
    }
    let closed = "dealwire_sockets_closed_total{code=\"4290\"}";
    wait_until(DEADLINE, "the gateway gives up on the reader", async || {
        app.metric(closed).await == 1
    })
    .await;

    // Changes that were on their way arrive first and the reason for the end last, whatever the
    // reader has sent meanwhile.
    stalled.send(json!({ "type": "ping" })).await;
    assert_eq!(stalled.close_code().await, 4290);

    seller.create("small").await;
    assert_eq!(other.next().await["deal"]["name"], "small");

    app.stop().await;
}
