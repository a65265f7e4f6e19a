//! HTTP front: the table of routes, authentication of requests, and the form of error responses.

mod accept;
mod compression;
mod events;
mod graphql;
mod json_body;
mod pages;
mod probes;
mod rest;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use backbone::health::Health;
use backbone::telemetry::{Metrics, TraceContext};
use serde_json::json;

use crate::auth::{Principal, key_in};
use crate::error::{Code, Problem};
use crate::graphql::Executor;
use crate::services::Services;
use crate::sockets::Sockets;

pub use graphql::StatusCodes;

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
    let deal = || get(rest::list).post(rest::create).put(rest::replace);
    let graphql = any(graphql::endpoint);
    let graphql = if state.http_compression {
        graphql.layer(compression::layer())
    } else {
        graphql
    };

    Router::new()
        .route("/graphql", graphql)
        .route("/", get(pages::root))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/", get(pages::graphiql))
        .route("/graphiql/config.json", get(pages::graphiql_config))
        .route("/graphiql/{*path}", get(pages::graphiql_file))
        .route("/deal", deal())
        .route("/deal/{id}", get(rest::show))
        .route("/changes", get(rest::changes))
        .route("/v1/changes", get(rest::changes))
        .route("/v1/deal", deal())
        .route("/v1/deal/{id}", get(rest::show))
        .fallback(async || Problem::new(Code::NotFound, "Nothing exists at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "This path does not support this method",
            )
        })
        // After the routes: a layer covers only what was added before it.
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(state))
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

        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );

        if let Some(after) = self.retry_after {
            body["retryAfterMs"] = json!(after.as_millis() as u64);
            // The header holds whole seconds; 0 would ask the client to repeat at once.
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
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
}
