//! What is asked of Dealwire: the documents, and the deals that a scenario needs.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::client::{Http, address, in_shares, post};
use crate::{Failed, Target};

/// Connections that deals are made over.
const MAKERS: usize = 32;

const CREATE: &str = "mutation Create($input: CreateDealInput!, $key: String) {
  createDeal(input: $input, idempotencyKey: $key) { position deal { id version } } }";
const UPDATE: &str = "mutation Update($input: UpdateDealInput!) {
  updateDeal(input: $input) { position deal { id version } } }";
const FLAT: &str = "query Flat { dealsForBuyer(first: 20) {
  nodes { id name totalPrice currency status version updatedAt } pageInfo { hasNextPage endCursor } position } }";
const ITEMS: &str = "query Items { dealsForBuyer(first: 20) {
  nodes { id sellerId name totalPrice finalPrice currency status version createdAt updatedAt
    discount { __typename } items { id name price } }
  pageInfo { hasNextPage endCursor } position } }";
const CHANGES: &str = "subscription Changes($filter: DealFilter, $after: Position) {
  dealChanged(filter: $filter, after: $after) {
  type position changedFields deal { id name totalPrice currency status version } } }";

/// A deal that a mutation wrote, and where in the log that stands.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) deal: Version,
    pub(crate) position: String,
}

/// A deal, as it was left.
#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) id: Uuid,
    pub(crate) version: u64,
}

impl Written {
    /// Sends a mutation that writes a deal.
    pub(crate) async fn by(http: &mut Http, request: &[u8]) -> Result<Self, Failed> {
        let mut data = http.ask(request).await?;
        let written = data
            .as_object_mut()
            .and_then(|data| data.values_mut().next())
            .map(Value::take);
        Ok(serde_json::from_value(written.unwrap_or_default())?)
    }
}

impl Target {
    pub(crate) fn graphql(&self) -> Url {
        self.url
            .join("graphql")
            .expect("a path can be joined to a URL with a host")
    }

    pub(crate) fn request(&self, key: &str, query: &str, variables: &Value) -> Vec<u8> {
        post(
            &self.graphql(),
            key,
            &json!({ "query": query, "variables": variables }).to_string(),
        )
    }

    pub(crate) fn create(&self, name: &str, key: Option<&str>) -> Vec<u8> {
        let items = json!([{ "name": "a board of oak", "price": 90_000 }, { "name": "its transport", "price": 32_300 }]);
        let input =
            json!({ "name": name, "totalPrice": 122_300, "currency": "GBP", "items": items });
        self.request(
            &self.seller_key,
            CREATE,
            &json!({ "input": input, "key": key }),
        )
    }

    pub(crate) fn rename(&self, deal: Uuid, name: &str) -> Vec<u8> {
        self.request(
            &self.seller_key,
            UPDATE,
            &json!({ "input": { "id": deal, "name": name } }),
        )
    }

    pub(crate) fn page(&self, with_items: bool) -> Vec<u8> {
        self.request(
            &self.buyer_key,
            if with_items { ITEMS } else { FLAT },
            &json!({}),
        )
    }

    /// The payload of a subscription to every change.
    pub(crate) fn changes(&self, after: Option<&str>) -> Value {
        json!({ "query": CHANGES, "variables": { "after": after } })
    }

    /// The payload of a subscription to one seller's changes.
    pub(crate) fn changes_of(&self, seller: Uuid) -> Value {
        json!({ "query": CHANGES, "variables": { "filter": { "sellerIds": [seller] } } })
    }

    /// Makes deals, or finds those that an earlier run has made.
    pub(crate) async fn deals(&self, count: usize) -> Result<Vec<Uuid>, Failed> {
        let make = async |http: &mut Http, number: usize| {
            let name = format!("loadgen {number}");
            Ok(Written::by(http, &self.create(&name, Some(&name)))
                .await?
                .deal
                .id)
        };
        in_shares(address(&self.url)?, MAKERS, count, make).await
    }
}
