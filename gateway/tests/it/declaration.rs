//! The declaration of the schema, executed by its own library, against the gateway's engine: simple documents have the
//! same answers, so the declared resolvers cannot rot unseen.

use std::sync::Arc;

use async_graphql::{Request, Variables};
use async_graphql_axum::GraphQLResponse;
use axum::body::to_bytes;
use axum::response::IntoResponse;
use backbone::ids::SellerId;
use backbone::telemetry::{Metrics, TraceContext};
use gateway::accounts::MarketAccounts;
use gateway::admission::{Admission, OperationLimits};
use gateway::auth::KeyRing;
use gateway::graphql::{Caller, execute_declared};
use gateway::origin::Origin;
use gateway::rates::{RateLimits, Rates};
use gateway::seller_position::SellerPosition;
use gateway::services::Services;
use live::{Feed, Reads, ViewSettings};
use serde_json::{Value, json};
use webhooks::Webhooks;
use webhooks::egress::Egress;
use webhooks::seal::SealKey;

use crate::kit::{BUYER_KEY, Backing, CREATE, Client, SELLER_KEY, TestApp, UPDATE};

const DEAL_FIELDS: &str =
    "id sellerId name totalPrice finalPrice currency status discount { type amount percentage }
    items { id name price } version createdAt updatedAt";

#[tokio::test]
async fn declared_resolvers_answer_as_the_engine_does() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let created = seller.create("declared").await;
    let id = created["deal"]["id"].as_str().expect("a deal has an id");
    app.caught_up().await;

    let node =
        format!("query($id: ID!) {{ node(id: $id) {{ id ... on Deal {{ {DEAL_FIELDS} }} }} }}");
    let deal = format!("query($id: ID!) {{ deal(id: $id) {{ {DEAL_FIELDS} }} }}");
    let page = format!(
        "query($f: DealFilter) {{ dealsForSeller(first: 2, filter: $f) {{ edges {{ cursor node {{ id }} }} nodes {{ {DEAL_FIELDS} }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} position }} }}"
    );
    let by_seller = "{ viewer { role id name } accessForSeller { nodes { sellerId buyerId since } pageInfo { hasNextPage } } }";
    let filter =
        json!({ "f": { "statuses": ["AVAILABLE"], "currency": "GBP", "minTotalPrice": 1 } });
    let as_seller = [
        (node.as_str(), json!({ "id": id })),
        (deal.as_str(), json!({ "id": id })),
        (deal.as_str(), json!({ "id": "not an id" })),
        (page.as_str(), filter),
        (by_seller, json!({})),
        ("{ dealsForBuyer { nodes { id } } }", json!({})),
        (UPDATE, json!({ "input": { "id": id, "name": "declared" } })),
        (
            UPDATE,
            json!({ "input": { "id": id, "expectedVersion": 9 } }),
        ),
        (
            CREATE,
            json!({ "input": { "name": "", "totalPrice": -1, "currency": "X", "items": [] } }),
        ),
    ];
    let peer = Peer::new(&app, SELLER_KEY).await;
    for (query, variables) in as_seller {
        peer.compare(&seller, query, variables).await;
    }

    let by_buyer = "{ dealsForBuyer(first: 3) { nodes { id name } position } accessForBuyer { edges { cursor node { since } } }
        webhooks { id } webhookDeliveries { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let buyer = app.client(BUYER_KEY);
    let peer = Peer::new(&app, BUYER_KEY).await;
    for (query, variables) in [
        (by_buyer, json!({})),
        ("mutation { deleteWebhook(id: \"x\") { id } }", json!({})),
        (
            "mutation($b: ID!) { grantAccess(buyerId: $b) { granted } }",
            json!({ "b": SellerId(uuid::Uuid::nil()) }),
        ),
    ] {
        peer.compare(&buyer, query, variables).await;
    }

    app.stop().await;
}

/// The declaration, executed for one caller.
struct Peer {
    services: Services,
    caller: Caller,
}

impl Peer {
    async fn new(app: &TestApp, key: &str) -> Self {
        let backends = app.app.backends();
        let sellers = backends.sellers.clone();
        let buyers = backends.buyers.clone();
        let keys = KeyRing::new(
            sellers.accounts().clone(),
            buyers.accounts().clone(),
            Vec::new(),
        );
        let caller = Caller {
            principal: Some(keys.authenticate(key).await.expect("the key is valid")),
            trace: TraceContext::root(),
            origin: Origin::default(),
        };

        let metrics = Metrics::new();
        let feed = Feed::new(buyers.clone(), backends.log.clone(), &metrics);
        let seal = SealKey::generate();
        let limits = OperationLimits {
            per_account: 64,
            in_all: 64,
        };
        let services = Services {
            reads: Reads::new(
                buyers.clone(),
                Arc::clone(&feed),
                ViewSettings::default(),
                &metrics,
            ),
            feed,
            admission: Admission::new(limits, &metrics),
            rates: Rates::new(RateLimits::default(), &metrics),
            seller_position: SellerPosition::new(sellers.clone(), &metrics),
            lifecycle: app.app.lifecycle().clone(),
            webhooks: Webhooks::new(
                &buyers,
                backends.webhooks.clone(),
                backends.bus.clone(),
                Egress::default(),
                seal,
            ),
            accounts: MarketAccounts::new(&sellers, &buyers, None),
            log: backends.log.clone(),
            keys,
            sellers,
            buyers,
        };

        Self { services, caller }
    }

    /// Compares the answers of both engines: the data, and code, values and path of every error.
    async fn compare(&self, client: &Client, query: &str, variables: Value) {
        let engine = client.execute(query, variables.clone()).await.body;
        let declared = self.execute(query, variables).await;

        assert_eq!(faults(&engine), faults(&declared), "{query}");
        // The library leaves failed fields out, and null is what a client must get (specification, section 6.4.4).
        if engine.get("errors").is_none() {
            assert_eq!(engine["data"], declared["data"], "{query}");
        }
    }

    /// Executes a request, in the envelope of the library's own transport.
    async fn execute(&self, query: &str, variables: Value) -> Value {
        let request = Request::new(query).variables(Variables::from_json(variables));
        let response = execute_declared(request, self.services.clone(), self.caller.clone()).await;

        let body = GraphQLResponse::from(response).into_response().into_body();
        let body = to_bytes(body, usize::MAX)
            .await
            .expect("the body is in memory");
        serde_json::from_slice(&body).expect("the body is JSON")
    }
}

fn faults(body: &Value) -> Vec<(Value, Value)> {
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let fault = |error: Value| (error["path"].clone(), error["extensions"].clone());

    errors.into_iter().map(fault).collect()
}
