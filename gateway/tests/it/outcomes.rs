//! Outcomes as clients are told them: every code of the table, provoked over every transport that it can occur on, with the
//! status, the message and the close code that the table has for it.

mod ask;
mod fault_log;
mod unconfirmed;

use std::collections::HashSet;

use backbone::deal_table::{Cursor, DealKey};
use backbone::position::Position;
use backbone::testkit::Proxy;
use gateway::error::{Code, Transport};
use gateway::rates::RateLimits;
use gateway::settings::{Mode, Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::kit::{Answer, BUYER_KEY, Backing, Client, SELLER_KEY, Socket, TestApp, on_both};
use ask::{Ask, close_code, over_rest, told_on};

on_both!(
    outcomes_of_requests_are_those_of_the_table,
    outcomes_of_positions_are_those_of_the_table,
    outcome_of_a_fault_has_an_id_and_nothing_else,
    outcome_of_a_rate_limit_is_that_of_the_table,
);

/// Codes that a request provokes by itself.
const BY_REQUEST: [Code; 12] = [
    Code::Unauthenticated,
    Code::Forbidden,
    Code::BadRequest,
    Code::BadUserInput,
    Code::NotFound,
    Code::Conflict,
    Code::IdempotencyKeyReused,
    Code::LimitExceeded,
    Code::PayloadTooLarge,
    Code::QueryTooComplex,
    Code::GraphqlParseFailed,
    Code::GraphqlValidationFailed,
];
/// Codes about positions.
const BY_POSITION: [Code; 2] = [Code::PositionExpired, Code::PositionNotReached];
/// Codes of the other tests here.
const BY_STATE: [Code; 4] = [
    Code::RateLimited,
    Code::Internal,
    Code::Unavailable,
    Code::UnknownOutcome,
];
/// Codes of HTTP alone, and of documents that are named by a hash: `http.rs` and `persisted.rs` provoke them.
const BY_OTHER_TESTS: [Code; 6] = [
    Code::MethodNotAllowed,
    Code::NotAcceptable,
    Code::UnsupportedMediaType,
    Code::PersistedQueryNotFound,
    Code::PersistedQueryNotSupported,
    Code::PersistedQueryRequired,
];
/// Pairs that no request of a test can provoke: REST has no `expectedVersion`, and hundreds of writers on several gateways
/// would have to fight over one deal for five seconds.
const NOT_PROVOKED: [(Code, Transport); 1] = [(Code::Conflict, Transport::Rest)];

/// Deal of the demo market.
const DEAL: &str = "56c5e92a-683b-430e-8466-5721c7cacb90";

#[test]
fn outcomes_of_all_codes_are_provoked() {
    let here = BY_REQUEST.iter().chain(&BY_POSITION).chain(&BY_STATE);
    let provoked = here.chain(&BY_OTHER_TESTS);
    let provoked: HashSet<Code> = provoked.copied().collect();

    assert_eq!(provoked, HashSet::from(Code::ALL));
}

async fn outcomes_of_requests_are_those_of_the_table(app: TestApp) {
    prepare(&app).await;

    for code in BY_REQUEST {
        for transport in code.row().over {
            if NOT_PROVOKED.contains(&(code, *transport)) {
                continue;
            }
            if *transport == Transport::Rest {
                over_rest(rest(code, &app)).await.check(code, *transport);
            } else if let Some(ask) = ask_for(code) {
                // A socket without a key, or a message that is malformed, ends before there is an operation.
                if *transport == Transport::WebSocket && code == Code::Unauthenticated {
                    continue;
                }
                ask.over(*transport, &app).await.check(code, *transport);
            } else {
                check_malformed(code, *transport, &app).await;
            }
        }
    }

    check_close_codes(&app).await;
    app.stop().await;
}

/// Uses up an idempotency key, and the number of webhooks that a buyer may have.
async fn prepare(app: &TestApp) {
    let seller = app.client(SELLER_KEY);
    seller.data(CREATE, create("first")).await;

    let buyer = app.client(BUYER_KEY);
    for _ in 0..20 {
        buyer.data(REGISTER, json!({})).await;
    }
}

const REGISTER: &str = "mutation {
    registerWebhook(input: { url: \"http://127.0.0.1:65535/\", events: [DEAL_CREATED] }) { webhook { id } } }";
const CREATE: &str =
    "mutation($name: String!) { createDeal(idempotencyKey: \"used\", input: { name: $name, totalPrice: 1,
    currency: \"GBP\", items: [{ name: \"i\", price: 1 }] }) { deal { id } } }";

fn create(name: &str) -> Value {
    json!({ "name": name })
}

/// Returns the GraphQL request that provokes a code; `None` for those that no well-formed request does.
fn ask_for(code: Code) -> Option<Ask> {
    let update = "mutation($input: UpdateDealInput!) { updateDeal(input: $input) { deal { id } } }";
    let nobody = "0b0e9f6e-4d0c-4a86-8d7f-000000000002";
    let query = |text: &str| Some(Ask::new(BUYER_KEY, text, json!({})));

    match code {
        Code::Unauthenticated => Some(Ask {
            key: Some("unknown"),
            query: "{ viewer { id } }".to_owned(),
            variables: json!({}),
        }),
        Code::Forbidden => query("{ dealsForSeller { nodes { id } } }"),
        Code::BadUserInput => query("{ deal(id: \"7\") { id } }"),
        Code::NotFound => {
            let input = json!({ "input": { "id": nobody, "name": "x" } });
            Some(Ask::new(SELLER_KEY, update, input))
        }
        Code::Conflict => {
            let input = json!({ "input": { "id": DEAL, "name": "x", "expectedVersion": 99 } });
            Some(Ask::new(SELLER_KEY, update, input))
        }
        Code::IdempotencyKeyReused => Some(Ask::new(SELLER_KEY, CREATE, create("second"))),
        Code::LimitExceeded => query(REGISTER),
        Code::QueryTooComplex => {
            let aliases: String = (0..60).map(|n| format!("a{n}: __typename ")).collect();
            query(&format!("{{ {aliases} }}"))
        }
        Code::GraphqlParseFailed => query("{"),
        Code::GraphqlValidationFailed => query("{ nothing }"),
        _ => None,
    }
}

/// Provokes a code with a body that is not a GraphQL request.
async fn check_malformed(code: Code, transport: Transport, app: &TestApp) {
    let client = app.client(SELLER_KEY);
    let request = match (code, transport) {
        (Code::BadRequest, Transport::Get) => client.request(Method::GET, "/graphql"),
        (Code::BadRequest, _) => json_body(&client, "/graphql", "{".to_owned()),
        (Code::PayloadTooLarge, _) => json_body(&client, "/graphql", "x".repeat(300 << 10)),
        _ => panic!("{code:?} has no request"),
    };
    let accept = match transport {
        Transport::EventStream => "text/event-stream",
        _ => "application/graphql-response+json",
    };

    let response = request.header("accept", accept).send().await;
    let answer = Answer::read(response.expect("the gateway responds")).await;
    assert_eq!(
        (answer.code(), answer.status),
        (code.as_str(), code.status().as_u16()),
        "{transport:?}"
    );
}

fn json_body(client: &Client, path: &str, body: String) -> RequestBuilder {
    let request = client.request(Method::POST, path);

    request
        .header("content-type", "application/json")
        .body(body)
}

/// Returns the REST request that provokes a code.
fn rest(code: Code, app: &TestApp) -> RequestBuilder {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let deal = json!({ "name": "rest", "totalPrice": 1, "currency": "GBP",
                       "items": [{ "name": "i", "price": 1 }] });

    match code {
        Code::Unauthenticated => app.client("unknown").request(Method::GET, "/deal"),
        Code::Forbidden => buyer.request(Method::POST, "/deal").json(&deal),
        Code::BadRequest => json_body(&seller, "/deal", "[]".to_owned()),
        Code::BadUserInput => buyer.request(Method::GET, "/deal?first=1000"),
        Code::NotFound => buyer.request(Method::GET, "/deal/7"),
        Code::IdempotencyKeyReused => {
            let request = seller.request(Method::POST, "/deal").json(&deal);
            request.header("idempotency-key", "used")
        }
        Code::PayloadTooLarge => json_body(&seller, "/deal", "x".repeat(300 << 10)),
        _ => panic!("{code:?} has no request"),
    }
}

/// Compares the close codes of sockets that end for a reason which has a code.
async fn check_close_codes(app: &TestApp) {
    let unknown = close_code(app, json!({ "x-api-key": "unknown" })).await;
    assert_eq!(Some(unknown), Code::Unauthenticated.row().close);

    for (code, message) in [
        (Code::BadRequest, "{".to_owned()),
        (Code::PayloadTooLarge, "x".repeat(70 << 10)),
    ] {
        let mut socket = app.socket(BUYER_KEY).await;
        socket.send_raw(&message).await;
        assert_eq!(Some(socket.close_code().await), code.row().close);
    }

    // One operation more than a socket may have. Its limit is told like that of webhooks.
    let mut socket = app.socket(BUYER_KEY).await;
    for id in 0..=100 {
        let query = "subscription { dealChanged { type } }";
        socket.subscribe(&id.to_string(), query, json!({})).await;
    }
    let told = told_on(&mut socket).await;
    told.check(Code::LimitExceeded, Transport::WebSocket);
}

async fn outcomes_of_positions_are_those_of_the_table(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let first = seller.create("first").await;
    let second = seller.create("second").await;
    app.caught_up().await;
    let horizon = decoded(&second["position"]);
    let update = "UPDATE feed_horizon SET sequence = $1";
    app.on_buyer_database(update, horizon.sequence as i64).await;
    // The ring has what the table no longer says that it keeps.
    let app = app.restarted().await;

    let mut ahead = horizon;
    ahead.sequence += 1_000;
    let expired = first["position"].as_str().expect("a position").to_owned();
    let changes = "query($p: Position!) { changes(after: $p) { more } }";
    let deal = "query($p: Position) { deal(id: \"56c5e92a-683b-430e-8466-5721c7cacb90\", minPosition: $p) { id } }";
    let asks = [
        (Code::PositionExpired, changes, expired),
        (Code::PositionNotReached, deal, ahead.encode()),
    ];

    for (code, query, position) in asks {
        let ask = Ask::new(BUYER_KEY, query, json!({ "p": position }));
        for transport in code.row().over {
            let told = match transport {
                Transport::Rest => {
                    let path = rest_position(code, &position, ahead);
                    over_rest(app.client(BUYER_KEY).request(Method::GET, &path)).await
                }
                _ => ask.over(*transport, &app).await,
            };
            told.check(code, *transport);
        }
    }

    app.stop().await;
}

fn rest_position(code: Code, position: &str, ahead: Position) -> String {
    match code {
        Code::PositionExpired => format!("/changes?after={position}"),
        // A cursor of a page that another gateway has shown, and this one cannot show yet.
        _ => {
            let cursor = Cursor::new(DealKey::Change(u64::MAX >> 2), ahead);
            format!("/deal?after={}", cursor.encode())
        }
    }
}

fn decoded(position: &Value) -> Position {
    let text = position.as_str().expect("a position");

    Position::decode(text).expect("a position decodes")
}

async fn outcome_of_a_fault_has_an_id_and_nothing_else(app: TestApp) {
    // A row that no release has ever written.
    let update = "UPDATE deal SET status = 'BROKEN' WHERE sequence > $1";
    app.on_buyer_database(update, 0).await;

    let ask = Ask::new(
        BUYER_KEY,
        "query($id: ID!) { deal(id: $id) { id } }",
        json!({ "id": DEAL }),
    );
    for transport in Code::Internal.row().over {
        let told = match transport {
            Transport::Rest => {
                let path = format!("/deal/{DEAL}");
                over_rest(app.client(BUYER_KEY).request(Method::GET, &path)).await
            }
            _ => ask.over(*transport, &app).await,
        };
        told.check(Code::Internal, *transport);
    }

    let client = app.client(BUYER_KEY);
    let answer = client.execute(&ask.query, ask.variables).await;
    let error = &answer.body["errors"][0];
    assert_eq!(error["message"], "An internal error occurred");
    let extensions = error["extensions"].as_object().expect("extensions");
    let names: HashSet<&str> = extensions.keys().map(String::as_str).collect();
    assert_eq!(names, HashSet::from(["code", "retryable", "errorId"]));
    let id = extensions["errorId"].as_str().expect("an id");
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));

    app.stop().await;
}

async fn outcome_of_a_rate_limit_is_that_of_the_table(app: TestApp) {
    let lowest = RateLimits {
        query_cost: 1,
        ..RateLimits::default()
    };
    let app = app.restarted_with(|config| config.rates = lowest).await;
    let ask = Ask::new(BUYER_KEY, "{ viewer { id } }", json!({}));
    app.client(BUYER_KEY).data(&ask.query, json!({})).await;

    for transport in Code::RateLimited.row().over {
        let told = match transport {
            Transport::Rest => over_rest(app.client(BUYER_KEY).request(Method::GET, "/deal")).await,
            _ => ask.over(*transport, &app).await,
        };
        told.check(Code::RateLimited, *transport);
    }

    let app = app
        .restarted_with(|config| {
            config.rates = RateLimits {
                handshakes: 1,
                ..RateLimits::default()
            };
        })
        .await;
    let _first = app.socket(BUYER_KEY).await;
    let second = close_code(&app, json!({ "x-api-key": BUYER_KEY })).await;
    assert_eq!(Some(second), Code::RateLimited.row().close);

    app.stop().await;
}

// Goal: a store that is away is told as such over every transport.
// Method: cut the buyer database off behind a proxy, and ask.
// Proves: UNAVAILABLE with the status, message and close code of the table, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_an_outage_is_that_of_the_table() {
    let (app, proxy) = behind_proxy(TestApp::start(Backing::Production).await).await;
    let ask = Ask::new(
        BUYER_KEY,
        "query($id: ID!) { deal(id: $id) { id } }",
        json!({ "id": DEAL }),
    );
    let mut socket = app.socket(BUYER_KEY).await;
    proxy.cut().await;

    for transport in Code::Unavailable.row().over {
        let told = match transport {
            Transport::Rest => {
                let path = format!("/deal/{DEAL}");
                over_rest(app.client(BUYER_KEY).request(Method::GET, &path)).await
            }
            Transport::WebSocket => over_open_socket(&ask, &mut socket).await,
            _ => ask.over(*transport, &app).await,
        };
        told.check(Code::Unavailable, *transport);
    }

    let unknown = close_code(&app, json!({ "x-api-key": "unknown" })).await;
    assert_eq!(Some(unknown), Code::Unavailable.row().close);
    proxy.restore().await;
    app.ready().await;
    app.stop().await;
}

async fn over_open_socket(ask: &Ask, socket: &mut Socket) -> ask::Told {
    socket
        .subscribe("1", &ask.query, ask.variables.clone())
        .await;

    told_on(socket).await
}

/// Restarts an app with a proxy in front of its buyer database.
async fn behind_proxy(app: TestApp) -> (TestApp, Proxy) {
    let Mode::Production { buyer_database, .. } = app.app.config().mode.clone() else {
        panic!("the app runs on servers");
    };
    let proxy = Proxy::in_front_of(buyer_database.reveal()).await;
    let behind = proxy.url(buyer_database.reveal());

    let app = app
        .restarted_with(|config| {
            if let Mode::Production { buyer_database, .. } = &mut config.mode {
                *buyer_database = Secret::from(behind.as_str());
            }
        })
        .await;
    (app, proxy)
}
