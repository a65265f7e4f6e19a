//! Pushes when there are many: who is far behind, who reads nothing, who asks for too much, and what that costs others.

use backbone::position::Position;
use backbone::testkit::wait_until;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{
    BUYER_KEY, Buffer, CREATE, Client, DEADLINE, SELLER_KEY, Socket, Subscription, TestApp, on_both,
};

on_both!(
    a_position_that_is_no_longer_kept_is_refused,
    a_thousand_that_come_back_cost_a_handful_of_reads,
    a_key_holds_so_many_connections,
    a_flooded_socket_answers_all_the_same,
    a_reader_that_takes_nothing_is_closed_and_others_do_not_notice,
);

const DEALS: &str = "subscription($after: Position, $filter: DealFilter) {
    dealChanged(after: $after, filter: $filter) { position deal { name } } }";
const DEALS_WITH_ITEMS: &str = "subscription($after: Position) {
    dealChanged(after: $after) { position deal { items { name } } } }";

/// A deal of this name with so many items of 100 characters.
fn deal(name: &str, items: usize) -> Value {
    let items: Vec<Value> = (0..items)
        .map(|_| json!({ "name": "x".repeat(100), "price": 1 }))
        .collect();
    json!({ "input": { "name": name, "totalPrice": 1, "currency": "GBP", "items": items } })
}

/// Creates deals with so many items each, several at a time.
async fn create_many(client: &Client, count: usize, items: usize) {
    let mut makers = JoinSet::new();
    for maker in 0..10 {
        let client = client.clone();
        makers.spawn(async move {
            for number in (maker..count).step_by(10) {
                client
                    .data(CREATE, deal(&format!("deal {number}"), items))
                    .await;
            }
        });
    }
    makers.join_all().await;
}

fn position(payload: &Value) -> &str {
    payload["position"].as_str().expect("a position")
}

async fn a_position_that_is_no_longer_kept_is_refused(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let (old, horizon, kept) = (
        seller.create("1").await,
        seller.create("2").await,
        seller.create("3").await,
    );
    let sequence = |payload| {
        Position::decode(position(payload))
            .expect("a position")
            .sequence
    };
    let newest = sequence(&kept);
    wait_until(DEADLINE, "the feed has them", async || {
        app.metric("dealwire_feed_tip").await >= newest
    })
    .await;
    let gone = sequence(&horizon);
    app.on_buyer_database("UPDATE feed_horizon SET sequence = $1", gone as i64)
        .await;
    // A gateway serves from memory what it still has; another one has nothing from before.
    let app = app.restarted().await;
    let mut resumed = Subscription::deals(&app.url(), BUYER_KEY, Some(position(&horizon))).await;
    assert_eq!(
        resumed.next().await["deal"]["name"],
        "3",
        "what follows the horizon is there"
    );

    let after = json!({ "after": position(&old) });
    let mut socket = app.socket(BUYER_KEY).await;
    socket.subscribe("late", DEALS, after.clone()).await;
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
    // The socket goes on, and the id is free.
    socket
        .subscribe("late", DEALS, json!({ "after": position(&horizon) }))
        .await;
    assert_eq!(
        socket.message().await["payload"]["data"]["dealChanged"]["deal"]["name"],
        "3"
    );

    let request = app
        .client(BUYER_KEY)
        .request(Method::POST, "/graphql")
        .header("accept", "text/event-stream");
    let events = request
        .json(&json!({ "query": DEALS, "variables": after }))
        .send()
        .await
        .expect("an answer");
    let events = events.text().await.expect("the stream ends");
    assert!(
        events.contains("POSITION_EXPIRED") && events.ends_with("event: complete\ndata:\n\n"),
        "{events}"
    );
    app.stop().await;
}

async fn a_thousand_that_come_back_cost_a_handful_of_reads(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let marked = async |name: &str| {
        let input = json!({ "name": name, "totalPrice": 1, "currency": "GBP", "status": "SOLD",
                            "items": [{ "name": "item", "price": 1 }] });
        seller.data(CREATE, json!({ "input": input })).await["createDeal"].take()
    };
    let begin = marked("begin").await;
    marked("among the first").await;
    // More than one block, so that a gateway that has just begun does not hold the first in memory.
    create_many(&seller, 1_100, 1).await;
    marked("among the last").await;
    // Else it may begin with tables that are still at the first block, and follow them from there in memory.
    app.caught_up().await;
    let app = app.restarted().await;
    let reads = app.metric("dealwire_feed_table_reads_total").await;
    let mut readers = JoinSet::new();
    for reader in 0..1_000 {
        let (url, after) = (app.url(), position(&begin).to_owned());
        readers.spawn(async move {
            // Two keys: one may not hold so many.
            let key = if reader % 2 == 0 {
                BUYER_KEY
            } else {
                SELLER_KEY
            };
            let mut socket = Socket::open(&url, key).await;
            let variables = json!({ "after": after, "filter": { "statuses": ["SOLD"] } });
            socket.subscribe("1", DEALS, variables).await;
            for name in ["among the first", "among the last"] {
                let next = socket.message().await;
                assert_eq!(
                    next["payload"]["data"]["dealChanged"]["deal"]["name"], name,
                    "{next}"
                );
            }
        });
    }
    readers.join_all().await;
    let reads = app.metric("dealwire_feed_table_reads_total").await - reads;
    assert!(
        (1..=3).contains(&reads),
        "{reads} reads for a thousand readers"
    );
    app.stop().await;
}

async fn a_key_holds_so_many_connections(app: TestApp) {
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
        "the stock client comes again later"
    );
    let stream = async || {
        let request = app.client(SELLER_KEY).request(Method::POST, "/graphql");
        let request = request
            .header("accept", "text/event-stream")
            .json(&json!({ "query": DEALS }));
        request.send().await.expect("an answer")
    };
    let refused = stream().await.text().await.expect("the stream ends");
    assert!(refused.contains("RATE_LIMITED"), "{refused}");
    let _other = Socket::open(&url, BUYER_KEY).await;
    sockets.pop();
    wait_until(DEADLINE, "its place is free again", async || {
        Socket::try_open(&url, SELLER_KEY, Buffer::Default)
            .await
            .is_ok()
    })
    .await;
    drop(sockets);
    app.stop().await;
}

async fn a_flooded_socket_answers_all_the_same(app: TestApp) {
    // Far more than the buffers between hold: the question is asked before either flood can be over.
    const CHANGES: usize = 300;
    let seller = app.client(SELLER_KEY);
    let begin = seller.create("begin").await;
    create_many(&seller, CHANGES, 100).await;
    let mut socket = Socket::open_with_small_buffer(&app.url(), BUYER_KEY).await;
    for flood in ["flood 1", "flood 2"] {
        socket
            .subscribe(
                flood,
                DEALS_WITH_ITEMS,
                json!({ "after": position(&begin) }),
            )
            .await;
    }
    socket
        .subscribe("question", "{ __typename }", json!({}))
        .await;
    let (mut floods, mut answered_after) = ([0; 2], None);
    while floods != [CHANGES; 2] {
        let message = socket.message().await;
        match message["id"].as_str().expect("an id") {
            "question" => answered_after = answered_after.or(Some(floods)),
            flood => floods[usize::from(flood == "flood 2")] += 1,
        }
    }
    let answered_after =
        answered_after.expect("the question is answered before the floods are over");
    assert!(
        answered_after.iter().all(|seen| *seen < CHANGES),
        "{answered_after:?}"
    );
    app.stop().await;
}

async fn a_reader_that_takes_nothing_is_closed_and_others_do_not_notice(app: TestApp) {
    let (url, seller) = (app.url(), app.client(SELLER_KEY));
    let mut stalled = Socket::open_with_small_buffer(&url, BUYER_KEY).await;
    stalled.subscribe("1", DEALS_WITH_ITEMS, json!({})).await;
    let mut other = Subscription::deals(&url, BUYER_KEY, None).await;
    // Far more than the buffers between hold.
    for number in 0..100 {
        let name = format!("large {number}");
        seller.data(CREATE, deal(&name, 100)).await;
        assert_eq!(other.next().await["deal"]["name"], name);
    }
    let closed = "dealwire_sockets_closed_total{code=\"4290\"}";
    wait_until(DEADLINE, "its time is over", async || {
        app.metric(closed).await == 1
    })
    .await;
    // What was on its way arrives, and then why there is no more, whatever the reader has said meanwhile.
    stalled.send(json!({ "type": "ping" })).await;
    assert_eq!(stalled.close_code().await, 4290);
    seller.create("small").await;
    assert_eq!(other.next().await["deal"]["name"], "small");
    app.stop().await;
}
