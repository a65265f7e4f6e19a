//! Client of GraphQL over HTTP and of REST.

use std::time::Duration;

use gateway::commands::install_tls_provider;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Client of one gateway, with one API key or none.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// Response whose body has been read, as JSON if it is JSON and as a string otherwise.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Reads the body of a response.
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();

        let text = response.text().await.expect("the body can be read");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));

        Self {
            status,
            headers,
            body,
        }
    }

    /// Returns the data of a GraphQL response, which must have no errors.
    pub(crate) fn data(self) -> Value {
        assert_eq!(self.body.get("errors"), None, "{}", self.body);

        self.body["data"].clone()
    }

    /// Returns the code of the first error, in GraphQL or REST.
    pub(crate) fn code(&self) -> &str {
        let code = self.body["errors"][0]["extensions"]["code"]
            .as_str()
            .or(self.body["code"].as_str());

        code.unwrap_or_else(|| panic!("no code in {}", self.body))
    }

    /// Returns the code of the first error; `None` for a response without errors.
    pub(crate) fn code_or_none(&self) -> Option<&str> {
        let is_error = self.status != 200 || self.body.get("errors").is_some();

        is_error.then(|| self.code())
    }

    /// Returns the paths of the invalid values of the first error, in GraphQL or REST.
    pub(crate) fn paths(&self) -> Vec<&str> {
        let graphql = self.body["errors"][0]["extensions"]["fields"].as_array();
        let fields = graphql
            .or(self.body["fields"].as_array())
            .expect("the error lists fields");

        fields
            .iter()
            .map(|field| field["path"].as_str().expect("a field has a path"))
            .collect()
    }
}

impl Client {
    /// Creates a client of the gateway at a base URL.
    pub(crate) fn new(url: &str, key: Option<&str>) -> Self {
        install_tls_provider();

        // The environment of a test machine may name a proxy, which must not come between.
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without options can be built");

        Self {
            http,
            url: url.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    /// Begins a request to a path, with the API key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));

        match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    /// Executes a GraphQL request, which may fail.
    pub(crate) async fn execute(&self, query: &str, variables: Value) -> Answer {
        let request = self.request(Method::POST, "/graphql");
        let request = request.json(&json!({ "query": query, "variables": variables }));

        Answer::read(request.send().await.expect("the gateway responds")).await
    }

    /// Executes a GraphQL request, which must succeed, and returns its data.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        self.execute(query, variables).await.data()
    }

    /// Sends a REST request.
    pub(crate) async fn rest(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };

        Answer::read(request.send().await.expect("the gateway responds")).await
    }

    /// Returns the value of a metric, given with its labels if it has any; 0 if it does not exist
    /// yet, `None` if the gateway does not respond.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        let request = self
            .request(Method::GET, "/metrics")
            // A process that is paused would keep the request open for ever.
            .timeout(Duration::from_secs(2));
        let text = request.send().await.ok()?.text().await.ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));

        Some(line.map_or(0, |value| {
            value.trim().parse().expect("a metric is a number")
        }))
    }

    /// Creates a deal, and returns the payload: `deal` and `position`.
    pub(crate) async fn create(&self, name: &str) -> Value {
        let input = json!({ "name": name, "totalPrice": 1000, "currency": "GBP",
                            "items": [{ "name": "item", "price": 1000 }] });

        self.data(CREATE, json!({ "input": input })).await["createDeal"].take()
    }

    /// Renames a deal, and returns the payload: `deal` and `position`.
    pub(crate) async fn rename(&self, deal: &str, name: &str) -> Value {
        self.data(UPDATE, json!({ "input": { "id": deal, "name": name } }))
            .await["updateDeal"]
            .take()
    }
}

/// Mutation that creates a deal.
pub(crate) const CREATE: &str = "mutation($input: CreateDealInput!, $key: String) {
    createDeal(input: $input, idempotencyKey: $key) { position deal { id name version status totalPrice } } }";
/// Mutation that changes a deal.
pub(crate) const UPDATE: &str = "mutation($input: UpdateDealInput!, $key: String) {
    updateDeal(input: $input, idempotencyKey: $key) { position deal { id name version status totalPrice } } }";
