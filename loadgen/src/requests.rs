//! GraphQL requests that the scenarios send, and the deals that they need.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::client::{Http, address, post, run_over_connections};
use crate::error::BoxError;
use crate::target::Target;

/// Number of connections that deals are created over before a scenario begins.
const SETUP_CONNECTIONS: usize = 32;

const CREATE: &str = "mutation Create($input: CreateDealInput!, $key: String) {
  createDeal(input: $input, idempotencyKey: $key) { position deal { id version } } }";
const UPDATE: &str = "mutation Update($input: UpdateDealInput!) {
  updateDeal(input: $input) { position deal { id version } } }";
const FLAT: &str = "query Flat { dealsForBuyer(first: 20) {
  nodes { id name totalPrice currency status version updatedAt } \
  pageInfo { hasNextPage endCursor } position } }";
const ITEMS: &str = "query Items { dealsForBuyer(first: 20) {
  nodes { id sellerId name totalPrice finalPrice currency status version createdAt updatedAt
    discount { type amount percentage } items { id name price } }
  pageInfo { hasNextPage endCursor } position } }";
const DEAL: &str = "query Deal($id: ID!, $minPosition: Position) {
  deal(id: $id, minPosition: $minPosition) {
    id sellerId name totalPrice finalPrice currency status version createdAt updatedAt
    discount { type amount percentage } items { id name price } } }";
const CHANGES: &str = "subscription Changes($filter: DealFilter, $after: Position) {
  dealChanged(filter: $filter, after: $after) {
  type position changedFields deal { id name totalPrice currency status version } } }";

/// Result of a mutation that created or updated a deal.
#[derive(Deserialize)]
pub(crate) struct MutationResult {
    pub(crate) deal: DealVersion,
    /// Opaque position of the change in the log.
    pub(crate) position: String,
}

/// Version of a deal after a mutation.
#[derive(Deserialize)]
pub(crate) struct DealVersion {
    pub(crate) id: Uuid,
    pub(crate) version: u64,
}

impl MutationResult {
    /// Sends a request with one mutation and returns its result.
    ///
    /// # Errors
    /// The request fails, or is no mutation of a deal.
    pub(crate) async fn of_request(http: &mut Http, request: &[u8]) -> Result<Self, BoxError> {
        let mut data = http.execute(request).await?;

        // The only field of `data` is named after the mutation, createDeal or updateDeal.
        let result = data
            .as_object_mut()
            .and_then(|data| data.values_mut().next())
            .map(Value::take);

        Ok(serde_json::from_value(result.unwrap_or_default())?)
    }
}

impl Target {
    /// Returns the URL of the GraphQL endpoint.
    pub(crate) fn graphql_url(&self) -> Url {
        self.url
            .join("graphql")
            .expect("a relative path can be joined to a URL with a host")
    }

    /// Returns the bytes of a GraphQL request over HTTP.
    pub(crate) fn graphql_request(&self, key: &str, query: &str, variables: &Value) -> Vec<u8> {
        post(&self.graphql_url(), key, &body(query, variables))
    }

    /// Returns a request that creates a deal with two items.
    pub(crate) fn create_request(&self, name: &str, idempotency_key: Option<&str>) -> Vec<u8> {
        let variables = json!({ "input": deal_input(name), "key": idempotency_key });
        self.graphql_request(&self.seller_key, CREATE, &variables)
    }

    /// Returns a request that creates a numbered deal with two items and a discount, or finds it if
    /// it exists.
    fn ensure_request(&self, number: usize) -> Vec<u8> {
        let name = format!("loadgen deal {number}");

        // Both kinds of discounts alternate, so that each page shows both.
        let mut input = deal_input(&name);
        input["discount"] = if number.is_multiple_of(2) {
            json!({ "amount": 2_300 })
        } else {
            json!({ "percentage": 12.5 })
        };

        // The name serves as idempotency key too: a repeated create returns the existing deal, so
        // the market does not grow from run to run.
        let variables = json!({ "input": input, "key": name });
        self.graphql_request(&self.seller_key, CREATE, &variables)
    }

    /// Returns a request that renames a deal.
    pub(crate) fn rename_request(&self, deal: Uuid, name: &str) -> Vec<u8> {
        let variables = json!({ "input": { "id": deal, "name": name } });
        self.graphql_request(&self.seller_key, UPDATE, &variables)
    }

    /// Returns a request for the first page of deals.
    pub(crate) fn page_request(&self, with_items: bool) -> Vec<u8> {
        post(&self.graphql_url(), &self.buyer_key, &page_body(with_items))
    }

    /// Returns a request for one deal with discount and items, from tables that include a position
    /// if one is given.
    pub(crate) fn deal_request(&self, deal: Uuid, min_position: Option<&str>) -> Vec<u8> {
        let variables = json!({ "id": deal, "minPosition": min_position });
        self.graphql_request(&self.buyer_key, DEAL, &variables)
    }

    /// Returns the payload of a subscription to every change that the buyer may see, after a
    /// position if one is given.
    pub(crate) fn all_changes(&self, after: Option<&str>) -> Value {
        json!({ "query": CHANGES, "variables": { "after": after } })
    }

    /// Returns the payload of a subscription to one seller's changes.
    pub(crate) fn changes_of_seller(&self, seller: Uuid) -> Value {
        json!({ "query": CHANGES, "variables": { "filter": { "sellerIds": [seller] } } })
    }

    /// Creates deals, or finds those that an earlier run has created.
    pub(crate) async fn ensure_deals(&self, count: usize) -> Result<Vec<Uuid>, BoxError> {
        let create = async |http: &mut Http, number: usize| {
            let request = self.ensure_request(number);
            let result = MutationResult::of_request(http, &request).await?;
            Ok(result.deal.id)
        };
        run_over_connections(address(&self.url)?, SETUP_CONNECTIONS, count, create).await
    }
}

/// Requests of one run that rename deals in rotation.
pub(crate) struct Renames {
    deals: Arc<Vec<Uuid>>,
    per_connection: usize,
    run: String,
}

impl Renames {
    pub(crate) fn new(deals: Arc<Vec<Uuid>>, connections: usize) -> Self {
        // Each connection rotates over deals of its own: two connections that update one deal would
        // measure conflicts.
        let per_connection = (deals.len() / connections).max(1);

        // An update to the name that a deal already has changes nothing and is answered without a
        // write. Names that differ from run to run make every request a change.
        let run = Uuid::new_v4().simple().to_string();

        Self {
            deals,
            per_connection,
            run,
        }
    }

    /// Returns a name that no other request has.
    pub(crate) fn name(&self, connection: usize, number: u64) -> String {
        format!("{} {connection} {number}", self.run)
    }

    /// Returns the bytes of a connection's request of this number.
    pub(crate) fn request(&self, target: &Target, connection: usize, number: u64) -> Vec<u8> {
        let index = connection * self.per_connection + number as usize % self.per_connection;
        let deal = self.deals[index % self.deals.len()];

        target.rename_request(deal, &self.name(connection, number))
    }
}

/// Returns the body of a request for the first page of deals.
pub(crate) fn page_body(with_items: bool) -> String {
    body(if with_items { ITEMS } else { FLAT }, &json!({}))
}

fn body(query: &str, variables: &Value) -> String {
    json!({ "query": query, "variables": variables }).to_string()
}

fn deal_input(name: &str) -> Value {
    json!({
        "name": name,
        "totalPrice": 122_300,
        "currency": "GBP",
        "items": [
            { "name": "a board of oak", "price": 90_000 },
            { "name": "its transport", "price": 32_300 },
        ],
    })
}
