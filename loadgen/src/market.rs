//! What is asked of Dealwire: the documents, and the deals that a scenario needs.

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::client::{Http, address, post};
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
const CHANGES: &str = "subscription Changes($after: Position) { dealChanged(after: $after) {
  type position changedFields deal { id name totalPrice currency status version } } }";

impl Target {
    pub(crate) fn graphql(&self) -> Url {
        self.url.join("graphql").expect("a path can be joined to a URL with a host")
    }

    fn request(&self, key: &str, query: &str, variables: &Value) -> Vec<u8> {
        post(&self.graphql(), key, &json!({ "query": query, "variables": variables }).to_string())
    }

    pub(crate) fn create(&self, name: &str, key: Option<&str>) -> Vec<u8> {
        let items = json!([{ "name": "a board of oak", "price": 90_000 }, { "name": "its transport", "price": 32_300 }]);
        let input = json!({ "name": name, "totalPrice": 122_300, "currency": "GBP", "items": items });
        self.request(&self.seller_key, CREATE, &json!({ "input": input, "key": key }))
    }

    pub(crate) fn rename(&self, deal: Uuid, name: &str) -> Vec<u8> {
        self.request(&self.seller_key, UPDATE, &json!({ "input": { "id": deal, "name": name } }))
    }

    pub(crate) fn page(&self, with_items: bool) -> Vec<u8> {
        self.request(&self.buyer_key, if with_items { ITEMS } else { FLAT }, &json!({}))
    }

    /// The payload of a subscription to every change.
    pub(crate) fn changes(&self, after: Option<&str>) -> Value {
        json!({ "query": CHANGES, "variables": { "after": after } })
    }

    /// Makes deals, or finds those that an earlier run has made; the position after the last.
    pub(crate) async fn deals(&self, count: usize) -> Result<(Vec<Uuid>, String), Failed> {
        let address = address(&self.url)?;
        let share = count.div_ceil(MAKERS);
        let makers = (0..MAKERS).map(|maker| async move {
            let mut http = Http::open(address).await?;
            let (mut made, mut position) = (Vec::new(), String::new());
            for number in maker * share..count.min((maker + 1) * share) {
                let name = format!("loadgen {number}");
                let answer: Value =
                    serde_json::from_slice(http.call(&self.create(&name, Some(&name))).await?)?;
                let written = &answer["data"]["createDeal"];
                let id = written["deal"]["id"].as_str().ok_or_else(|| answer.to_string())?;
                made.push(id.parse()?);
                position = written["position"].as_str().unwrap_or_default().to_owned();
            }
            Ok::<_, Failed>((made, position))
        });
        let made = futures_util::future::try_join_all(makers).await?;
        // Positions sort as their text does within one market.
        let position = made.iter().map(|(_, position)| position.clone()).max().unwrap_or_default();
        Ok((made.into_iter().flat_map(|(made, _)| made).collect(), position))
    }
}
