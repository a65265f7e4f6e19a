//! graphql-sse in the mode of distinct connections: the same operations and positions as on
//! sockets, in another envelope.

use backbone::accounts::KeyHash;
use backbone::position::Position;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::kit::{
    Answer, BUYER_KEY, Backing, Client, Events, SELLER_KEY, Subscription, TestApp, on_both,
};

on_both!(
    operations_of_every_kind_run,
    stream_resumes_after_its_last_event,
    both_transports_share_positions_and_executions,
    quiet_stream_reports_its_position,
    stream_ends_with_its_key_and_with_its_gateway,
);

const CHANGES: &str =
    "subscription($after: Position) { dealChanged(after: $after) { position deal { name } } }";

impl Events {
    /// Subscribes to changes after a position. `last_id` is the id of the last event of an earlier
    /// stream.
    async fn changes(client: &Client, after: Option<&str>, last_id: Option<&str>) -> Self {
        let request = post(
            client,
            &json!({ "query": CHANGES, "variables": { "after": after } }),
        );

        Self::open(match last_id {
            Some(last_id) => request.header("last-event-id", last_id),
            None => request,
        })
        .await
    }

    /// Returns the next result and the id of its event. Skips events that only carry a position.
    async fn result(&mut self) -> (Value, Option<String>) {
        loop {
            let mut event = self.next().await.expect("the stream goes on");
            if event.get("event").is_some_and(|name| name == "next") {
                let result = serde_json::from_str(&event["data"]).expect("the result is JSON");
                return (result, event.remove("id"));
            }

            assert_eq!(
                event.keys().collect::<Vec<_>>(),
                ["id"],
                "an event that is not a result carries a position"
            );
        }
    }

    /// Returns the deal's name and the position of the next change.
    async fn change(&mut self) -> (String, String) {
        let (result, id) = self.result().await;
        let change = &result["data"]["dealChanged"];
        let id = id.expect("a change has an id");
        assert_eq!(change["position"], json!(id));

        let name = change["deal"]["name"].as_str().expect("a deal has a name");
        (name.to_owned(), id)
    }
}

fn post(client: &Client, body: &Value) -> RequestBuilder {
    client.request(Method::POST, "/graphql").json(body)
}

fn get(client: &Client, query: &str) -> RequestBuilder {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    client.request(Method::GET, &format!("/graphql?query={query}"))
}

/// Creates a deal and returns its position.
async fn create(seller: &Client, name: &str) -> String {
    let created = seller.create(name).await;
    created["position"]
        .as_str()
        .expect("a payload has a position")
        .to_owned()
}

async fn operations_of_every_kind_run(app: TestApp) {
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
        let mut events = Events::open(post(&seller, &json!({ "query": query }))).await;
        let (result, id) = events.result().await;
        assert!(result.to_string().contains(part), "{query}: {result}");
        assert_eq!(id, None, "{query}");

        let complete = events.next().await.expect("the stream goes on");
        assert_eq!(complete["event"], "complete", "{query}");
        assert_eq!(events.next().await, None, "{query}");
    }

    // A status, in a stream's place as well: nothing must take it for something that was done.
    let mutation = get(&seller, "mutation { createBuyer(name: \"x\") { id } }");
    let mutation = mutation.header("accept", "text/event-stream");
    let refused = Answer::read(mutation.send().await.expect("the gateway responds")).await;
    assert_eq!(
        (refused.status, refused.code()),
        (405, "METHOD_NOT_ALLOWED")
    );

    let subscription = "subscription { dealChanged { position deal { name } } }";
    let mut live = Events::open(get(&seller, subscription)).await;
    seller.create("by GET").await;
    assert_eq!(live.change().await.0, "by GET");

    check_keys(&app).await;
    app.stop().await;
}

async fn check_keys(app: &TestApp) {
    let body = json!({ "query": CHANGES });

    let without_key = Client::new(&app.url(), None);
    let (refused, _) = Events::open(post(&without_key, &body)).await.result().await;
    assert!(refused.to_string().contains("UNAUTHENTICATED"), "{refused}");

    // An unknown key is refused before the gateway looks at the operation, so with a status.
    let unknown_key = app.client("unknown");
    let request = post(&unknown_key, &body).header("accept", "text/event-stream");
    let response = request.send().await.expect("the gateway responds");
    assert_eq!(Answer::read(response).await.status, 401);
}

async fn stream_resumes_after_its_last_event(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let begin = create(&seller, "begin").await;
    for name in ["one", "two", "three"] {
        seller.create(name).await;
    }

    let mut events = Events::changes(&buyer, Some(&begin), None).await;
    assert_eq!(events.change().await.0, "one");
    let (name, last_id) = events.change().await;
    assert_eq!(name, "two");
    drop(events);

    // An EventSource repeats its request unchanged, so the header must win over the argument
    // `after`.
    let mut events = Events::changes(&buyer, Some(&begin), Some(&last_id)).await;
    assert_eq!(events.change().await.0, "three");
    seller.create("four").await;
    assert_eq!(events.change().await.0, "four");

    let mut malformed = Events::changes(&buyer, None, Some("garbage")).await;
    let (refused, _) = malformed.result().await;
    assert_eq!(
        refused["errors"][0]["extensions"]["fields"][0]["path"], "Last-Event-ID",
        "{refused}"
    );

    app.stop().await;
}

async fn both_transports_share_positions_and_executions(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let begin = create(&seller, "begin").await;
    let mut events = Events::changes(&buyer, Some(&begin), None).await;
    let mut socket =
        Subscription::open(&app.url(), BUYER_KEY, CHANGES, json!({ "after": begin })).await;

    let executions = push_executions(&buyer).await;
    seller.create("for both").await;
    let (name, id) = events.change().await;
    assert_eq!(name, "for both");
    assert_eq!(socket.next().await["position"], json!(id));
    assert_eq!(
        push_executions(&buyer).await - executions,
        1,
        "one execution for both"
    );

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

/// Returns the number of executed changes. Unlike [`Client::metric`], fails if the metric does not
/// exist.
async fn push_executions(client: &Client) -> u64 {
    let metrics = client.rest(Method::GET, "/metrics", None).await;
    let text = metrics.body.as_str().expect("metrics are text");

    text.lines()
        .find_map(|line| {
            line.strip_prefix("dealwire_push_executions_total ")?
                .parse()
                .ok()
        })
        .expect("the metric exists")
}

async fn quiet_stream_reports_its_position(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);

    let mut events = Events::changes(&buyer, None, None).await;
    let first = events
        .next()
        .await
        .expect("the first heartbeat comes at once");
    let (id, rest): (Vec<_>, Vec<_>) = first.iter().partition(|(name, _)| *name == "id");
    assert!(
        rest.is_empty(),
        "an event without data only sets the id: {first:?}"
    );

    seller.create("later").await;
    let mut resumed = Events::changes(&buyer, None, Some(id[0].1)).await;
    assert_eq!(resumed.change().await.0, "later");

    app.stop().await;
}

async fn stream_ends_with_its_key_and_with_its_gateway(app: TestApp) {
    let sellers = app.app.backends().sellers.accounts();
    let holder = sellers
        .holder(KeyHash::of(SELLER_KEY))
        .await
        .expect("the database is available")
        .expect("the demo has the key");
    let issued = sellers
        .issue(holder.account_id, None)
        .await
        .expect("the key can be issued");

    let mut revoked = Events::changes(&app.client(&issued.key), None, None).await;
    revoked.next().await.expect("the stream has begun");
    sellers
        .revoke(issued.id)
        .await
        .expect("the database is available");
    while revoked.next().await.is_some() {}

    let mut drained = Events::changes(&app.client(BUYER_KEY), None, None).await;
    drained.next().await.expect("the stream has begun");
    let ((), ()) = tokio::join!(
        async { while drained.next().await.is_some() {} },
        app.stop()
    );
}

/// A client may come from another gateway, whose ring was ahead of this one's.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_stream_reports_no_position_before_that_of_its_client() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);

    // While notifications are delayed, the gateway's ring stays behind the position of the
    // mutation.
    let bus = app
        .app
        .backends()
        .bus
        .faults()
        .expect("the bus of an embedded app has faults to inject");
    bus.delay();
    let ahead = create(&seller, "seen elsewhere").await;
    let begin = Position::decode(&ahead)
        .expect("the payload has a position")
        .order();

    let mut events = Events::changes(&app.client(BUYER_KEY), None, Some(&ahead)).await;
    seller.create("later").await;
    bus.release();
    loop {
        let event = events.next().await.expect("the stream goes on");
        let reported = Position::decode(&event["id"])
            .expect("an id is a position")
            .order();
        assert!(reported >= begin, "{reported:?} after {begin:?}");
        if event.contains_key("event") {
            break;
        }
    }

    app.stop().await;
}
