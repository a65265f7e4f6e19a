//! A client of GraphQL over HTTP and of REST.

use std::time::Duration;

use gateway::commands::install_tls_provider;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Speaks to one gateway with one key.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// An answer: status, headers of interest, JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the answer has a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            headers,
            body,
        }
    }

    /// The data of a GraphQL answer without errors.
    pub(crate) fn data(self) -> Value {
        assert_eq!(self.body.get("errors"), None, "{}", self.body);
        self.body["data"].clone()
    }

    /// The code of the first error, in GraphQL or REST.
    pub(crate) fn code(&self) -> &str {
        let code = self.body["errors"][0]["extensions"]["code"]
            .as_str()
            .or(self.body["code"].as_str());
        code.unwrap_or_else(|| panic!("no code in {}", self.body))
    }

    /// The paths of the wrong fields of the first error, in GraphQL or REST.
    pub(crate) fn paths(&self) -> Vec<&str> {
        let graphql = self.body["errors"][0]["extensions"]["fields"].as_array();
        let fields = graphql
            .or(self.body["fields"].as_array())
            .expect("fields are told");
        fields
            .iter()
            .map(|field| field["path"].as_str().expect("a path"))
            .collect()
    }
}

impl Client {
    pub(crate) fn new(url: &str, key: Option<&str>) -> Self {
        install_tls_provider();
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            http,
            url: url.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    /// A GraphQL request, whatever comes of it.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Answer {
        let request = self.request(Method::POST, "/graphql");
        let request = request.json(&json!({ "query": query, "variables": variables }));
        Answer::read(request.send().await.expect("the gateway answers")).await
    }

    /// The data of a GraphQL request that must succeed.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        self.ask(query, variables).await.data()
    }

    /// A REST request.
    pub(crate) async fn rest(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::read(request.send().await.expect("the gateway answers")).await
    }

    /// What a metric without labels, or with just these, stands at; 0 when it is not there yet, `None` when nobody
    /// answers.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        let request = self
            .request(Method::GET, "/metrics")
            .timeout(Duration::from_secs(2));
        let text = request.send().await.ok()?.text().await.ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(line.map_or(0, |value| value.trim().parse().expect("a number")))
    }

    /// Creates a deal with this name; its payload: `deal { … }` and `position`.
    pub(crate) async fn create(&self, name: &str) -> Value {
        let input = json!({ "name": name, "totalPrice": 1000, "currency": "GBP",
                            "items": [{ "name": "item", "price": 1000 }] });
        self.data(CREATE, json!({ "input": input })).await["createDeal"].take()
    }

    /// Gives a deal a name; its payload.
    pub(crate) async fn rename(&self, deal: &str, name: &str) -> Value {
        self.data(UPDATE, json!({ "input": { "id": deal, "name": name } }))
            .await["updateDeal"]
            .take()
    }
}

pub(crate) const CREATE: &str = "mutation($input: CreateDealInput!, $key: String) {
    createDeal(input: $input, idempotencyKey: $key) { position deal { id name version status totalPrice } } }";
pub(crate) const UPDATE: &str = "mutation($input: UpdateDealInput!, $key: String) {
    updateDeal(input: $input, idempotencyKey: $key) { position deal { id name version status totalPrice } } }";
