//! HTTP front: the table of routes, authentication of requests, and the form of error responses.

mod accept;
mod browser;
mod compression;
mod conditional;
mod events;
mod graphql;
mod guard;
mod json_body;
mod pages;
mod probes;
mod rest;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use backbone::health::Health;
use backbone::telemetry::{Metrics, TraceContext};
use ipnet::IpNet;
use serde_json::json;

use crate::auth::{Principal, key_in};
use crate::error::{Code, Problem, error_id};
use crate::graphql::Executor;
use crate::services::Services;
use crate::sockets::Sockets;
use crate::standing::{whole_millis, whole_seconds};

pub use browser::guarded;
pub use graphql::StatusCodes;
#[cfg(feature = "testkit")]
pub use rest::testkit;

/// Largest accepted request body, in bytes, as it was sent and after decompression.
pub(crate) const MAX_BODY: usize = 256 << 10;

/// State shared by the public routes.
#[derive(Clone)]
pub struct Public {
    /// Both sides of the market, and the API keys.
    pub services: Services,
    /// Executor of GraphQL requests.
    pub executor: Executor,
    /// Websockets and event streams.
    pub sockets: Sockets,
    /// True if results on websockets are compressed for clients that offer it.
    pub compression: bool,
    /// True if responses of the GraphQL endpoint are compressed for clients that accept it.
    pub http_compression: bool,
    /// Status codes of responses of the GraphQL endpoint.
    pub status_codes: StatusCodes,
    /// Networks of the proxies whose `X-Forwarded-For` tells the address of a client.
    pub trusted_proxies: Vec<IpNet>,
}

/// State shared by the probes.
#[derive(Clone)]
pub struct Probes {
    /// Health of each part of the process.
    pub health: Health,
    /// Metrics of the process.
    pub metrics: Metrics,
}

/// Builds the routes of the public API.
pub fn public(state: Public) -> Router {
    let graphql = any(graphql::endpoint);
    let graphql = if state.http_compression {
        graphql.layer(compression::layer())
    } else {
        graphql
    };
    let state = Arc::new(state);

    Router::new()
        .route("/graphql", graphql)
        .route("/", get(pages::root))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/", get(pages::graphiql))
        .route("/graphiql/config.json", get(pages::graphiql_config))
        .route("/graphiql/{*path}", get(pages::graphiql_file))
        .merge(rest::routes())
        .fallback(async || Problem::new(Code::NotFound, "Nothing exists at this path"))
        .method_not_allowed_fallback(wrong_method)
        // After the routes: a layer covers only what was added before it.
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        // Outermost, so that a client beyond its limits costs nothing else.
        .layer(from_fn_with_state(Arc::clone(&state), guard::guard))
        .with_state(state)
}

/// Answers a method that a path does not have; axum adds `Allow`. `OPTIONS` asks for nothing else.
async fn wrong_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }

    let message = "This path does not support this method";
    Problem::new(Code::MethodNotAllowed, message).into_response()
}

/// Builds the routes of probes and metrics.
pub fn probes(state: Probes) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .with_state(state)
}

/// Returns the holder of the request's API key; `None` without a key.
async fn principal(services: &Services, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
    match key_in(headers)? {
        Some(key) => services.keys.authenticate(&key).await.map(Some),
        None => Ok(None),
    }
}

/// Returns the trace that a request belongs to: a child of the caller's (W3C Trace Context), or a
/// new one.
fn trace(headers: &HeaderMap) -> TraceContext {
    let parent = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());

    // A header that cannot be parsed is ignored: tracing must not fail a request.
    parent
        .and_then(|text| text.parse::<TraceContext>().ok())
        .map_or_else(TraceContext::root, |parent| parent.child())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        self.with_status(status)
    }
}

impl Problem {
    /// Renders problem details (RFC 9457), with the code and its facts as extension members.
    fn with_status(self, status: StatusCode) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.message,
            "code": self.code.as_str(),
            "retryable": self.retryable,
        });

        if !self.fields.is_empty() {
            body["fields"] = json!(self.fields);
        }
        if let Some(version) = self.current_version {
            body["currentVersion"] = json!(version);
        }

        if let Some(id) = self.error_id {
            body["errorId"] = json!(error_id(id));
        }

        let mut headers = self.limit_headers();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );

        if let Some(after) = self.retry_after {
            body["retryAfterMs"] = json!(whole_millis(after));
        }
        // A 401 without a challenge is not allowed (RFC 9110, section 15.5.2).
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer"),
            );
        }

        (status, headers, body.to_string()).into_response()
    }

    /// Returns the headers that tell a client when to come back, and within which limit.
    fn limit_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();

        if let Some(after) = self.retry_after {
            // The header holds whole seconds; 0 would ask the client to repeat at once.
            headers.insert(header::RETRY_AFTER, whole_seconds(after).max(1).into());
        }
        if let Some(standing) = &self.standing {
            standing.write_to(&mut headers);
        }
        headers
    }
}
