//! GraphQL requests that the scenarios send, and the deals that they need.

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
    discount { __typename } items { id name price } }
  pageInfo { hasNextPage endCursor } position } }";
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
        let body = json!({ "query": query, "variables": variables }).to_string();
        post(&self.graphql_url(), key, &body)
    }

    /// Returns a request that creates a deal with two items.
    pub(crate) fn create_request(&self, name: &str, idempotency_key: Option<&str>) -> Vec<u8> {
        let input = json!({
            "name": name,
            "totalPrice": 122_300,
            "currency": "GBP",
            "items": [
                { "name": "a board of oak", "price": 90_000 },
                { "name": "its transport", "price": 32_300 },
            ],
        });
        let variables = json!({ "input": input, "key": idempotency_key });

        self.graphql_request(&self.seller_key, CREATE, &variables)
    }

    /// Returns a request that renames a deal.
    pub(crate) fn rename_request(&self, deal: Uuid, name: &str) -> Vec<u8> {
        let variables = json!({ "input": { "id": deal, "name": name } });
        self.graphql_request(&self.seller_key, UPDATE, &variables)
    }

    /// Returns a request for the first page of deals.
    pub(crate) fn page_request(&self, with_items: bool) -> Vec<u8> {
        let query = if with_items { ITEMS } else { FLAT };
        self.graphql_request(&self.buyer_key, query, &json!({}))
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
            let name = format!("loadgen {number}");

            // The name serves as idempotency key too: a repeated create returns the existing deal,
            // so the market does not grow from run to run.
            let request = self.create_request(&name, Some(&name));
            let result = MutationResult::of_request(http, &request).await?;
            Ok(result.deal.id)
        };
        run_over_connections(address(&self.url)?, SETUP_CONNECTIONS, count, create).await
    }
}
