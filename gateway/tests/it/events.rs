//! graphql-sse in distinct connections mode: the same operations and the same positions in another envelope.

use backbone::position::Position;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{
    Answer, BUYER_KEY, Backing, Client, Events, SELLER_KEY, Subscription, TestApp, on_both,
};

on_both!(
    every_kind_of_operation_runs,
    a_stream_goes_on_after_its_last_event,
    both_transports_share_positions_and_executions,
    a_quiet_stream_tells_its_position,
    a_stream_ends_with_its_key_and_its_gateway,
);

const CHANGES: &str =
    "subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }";

impl Events {
    /// Subscribes to changes; `last`: the id of the last event seen.
    async fn changes(client: &Client, after: Option<&str>, last: Option<&str>) -> Self {
        let body = json!({ "query": CHANGES, "variables": { "after": after } });
        let request = client.request(Method::POST, "/graphql").json(&body);
        Self::open(match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        })
        .await
    }

    /// The next event, which is a result, and its id.
    async fn result(&mut self) -> (Value, Option<String>) {
        loop {
            let mut event = self.next().await.expect("the stream goes on");
            if event.get("event").is_some_and(|name| name == "next") {
                let result = serde_json::from_str(&event["data"]).expect("JSON");
                return (result, event.remove("id"));
            }
            assert_eq!(
                event.keys().collect::<Vec<_>>(),
                ["id"],
                "quiet streams tell positions"
            );
        }
    }

    async fn name(&mut self) -> (String, String) {
        let (result, id) = self.result().await;
        let change = &result["data"]["dealChanged"];
        let id = id.expect("a change has an id");
        assert_eq!(change["position"], json!(id));
        (
            change["deal"]["name"].as_str().expect("a name").to_owned(),
            id,
        )
    }
}

async fn every_kind_of_operation_runs(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    for (query, part) in [
        ("{ viewer { role } }", r#""role":"SELLER""#),
        ("mutation { revokeApiKey(id: \"x\") { id } }", "FORBIDDEN"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { dealChanged { nothing } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { dealChanged(after: \"garbage\") { type } }",
            "BAD_USER_INPUT",
        ),
        ("{", "GRAPHQL_PARSE_FAILED"),
    ] {
        let request = seller
            .request(Method::POST, "/graphql")
            .json(&json!({ "query": query }));
        let mut events = Events::open(request).await;
        let (result, id) = events.result().await;
        assert!(result.to_string().contains(part), "{query}: {result}");
        assert_eq!(id, None, "{query}");
        assert_eq!(
            events.next().await.expect("complete")["event"],
            "complete",
            "{query}"
        );
        assert_eq!(events.next().await, None, "{query}");
    }
    let get = |query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        seller.request(Method::GET, &format!("/graphql?query={query}"))
    };
    let mut mutation = Events::open(get("mutation { createBuyer(name: \"x\") { id } }")).await;
    assert!(
        mutation
            .result()
            .await
            .0
            .to_string()
            .contains("not allowed with GET")
    );
    let mut live = Events::open(get(
        "subscription { dealChanged { position deal { name } } }",
    ))
    .await;
    seller.create("by GET").await;
    assert_eq!(live.name().await.0, "by GET");

    let nobody = Client::new(&app.url(), None).request(Method::POST, "/graphql");
    let nobody = nobody
        .header("accept", "text/event-stream")
        .json(&json!({ "query": CHANGES }));
    let mut refused = Events::open(nobody).await;
    assert!(
        refused
            .result()
            .await
            .0
            .to_string()
            .contains("UNAUTHENTICATED")
    );
    let unknown = app
        .client("unknown")
        .request(Method::POST, "/graphql")
        .json(&json!({ "query": CHANGES }));
    let unknown = unknown
        .header("accept", "text/event-stream")
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(Answer::read(unknown).await.status, 401);
    app.stop().await;
}

async fn a_stream_goes_on_after_its_last_event(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let begin = seller.create("begin").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    for name in ["one", "two", "three"] {
        seller.create(name).await;
    }
    let mut events = Events::changes(&buyer, Some(&begin), None).await;
    assert_eq!(events.name().await.0, "one");
    let (name, last) = events.name().await;
    assert_eq!(name, "two");
    drop(events);
    // The request is the same again; what the client has seen wins over where it began.
    let mut events = Events::changes(&buyer, Some(&begin), Some(&last)).await;
    assert_eq!(events.name().await.0, "three");
    seller.create("four").await;
    assert_eq!(events.name().await.0, "four");
    let mut lost = Events::changes(&buyer, None, Some("garbage")).await;
    let (refused, _) = lost.result().await;
    assert_eq!(
        refused["errors"][0]["extensions"]["fields"][0]["path"], "Last-Event-ID",
        "{refused}"
    );
    app.stop().await;
}

async fn both_transports_share_positions_and_executions(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let begin = seller.create("begin").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    let mut events = Events::changes(&buyer, Some(&begin), None).await;
    let mut socket =
        Subscription::open(&app.url(), BUYER_KEY, CHANGES, json!({ "after": begin })).await;
    let metric = async || {
        let metrics = buyer.rest(Method::GET, "/metrics", None).await;
        let line = |text: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix("dealwire_push_executions_total ")?
                    .parse::<u64>()
                    .ok()
            })
        };
        line(metrics.body.as_str().expect("a text")).expect("the metric is there")
    };
    let before = metric().await;
    seller.create("for both").await;
    let (name, id) = events.name().await;
    assert_eq!(name, "for both");
    assert_eq!(socket.next().await["position"], json!(id));
    assert_eq!(metric().await - before, 1, "one execution for both");
    seller.create("then").await;
    let mut resumed =
        Subscription::open(&app.url(), BUYER_KEY, CHANGES, json!({ "after": id })).await;
    assert_eq!(
        resumed.next().await["deal"]["name"],
        "then",
        "an event's id is a socket's position"
    );
    app.stop().await;
}

async fn a_quiet_stream_tells_its_position(app: TestApp) {
    let (seller, buyer) = (app.client(SELLER_KEY), app.client(BUYER_KEY));
    let mut events = Events::changes(&buyer, None, None).await;
    let first = events
        .next()
        .await
        .expect("the first sign of life comes at once");
    let (id, rest): (Vec<_>, Vec<_>) = first.iter().partition(|(name, _)| *name == "id");
    assert!(
        rest.is_empty(),
        "an event without data only sets the id: {first:?}"
    );
    seller.create("later").await;
    let mut resumed = Events::changes(&buyer, None, Some(id[0].1)).await;
    assert_eq!(resumed.name().await.0, "later");
    app.stop().await;
}

async fn a_stream_ends_with_its_key_and_its_gateway(app: TestApp) {
    let sellers = app.app.backends().sellers.accounts();
    let holder = sellers
        .holder(backbone::accounts::KeyHash::of(SELLER_KEY))
        .await;
    let holder = holder
        .expect("the database is there")
        .expect("the demo has it");
    let issued = sellers.issue(holder.account_id, None).await.expect("a key");
    let mut revoked = Events::changes(&app.client(&issued.key), None, None).await;
    revoked.next().await.expect("it has begun");
    sellers
        .revoke(issued.id)
        .await
        .expect("the database is there");
    while revoked.next().await.is_some() {}

    let mut drained = Events::changes(&app.client(BUYER_KEY), None, None).await;
    drained.next().await.expect("it has begun");
    let ((), ()) = tokio::join!(
        async { while drained.next().await.is_some() {} },
        app.stop()
    );
}

/// A client may come from a gateway that was ahead of this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_tells_no_position_before_its_own() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let bus = app
        .app
        .backends()
        .bus
        .faults()
        .expect("a bus inside the process");
    bus.delay();
    let ahead = seller.create("seen elsewhere").await["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    let place = Position::decode(&ahead).expect("a position").order();
    let mut events = Events::changes(&app.client(BUYER_KEY), None, Some(&ahead)).await;
    seller.create("later").await;
    bus.release();
    loop {
        let event = events.next().await.expect("the stream goes on");
        let told = Position::decode(&event["id"]).expect("a position").order();
        assert!(told >= place, "{told:?} after {place:?}");
        if event.contains_key("event") {
            break;
        }
    }
    app.stop().await;
}
