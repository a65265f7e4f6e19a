//! GraphQL over Server-Sent Events in the mode of distinct connections (graphql-sse, PROTOCOL.md):
//! one operation for each response, with its results as `next` events and a `complete` event at the
//! end.
//!
//! Results are written by a shard, as those of websockets are. Nothing is queued: further results are read when the
//! connection has taken the previous ones.

use std::sync::Arc;

use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Public;
use crate::graphql::{Caller, Execution, GraphqlRequest, RequestRules};
use crate::sockets::Client;

/// Media type of event streams, in `Accept` and in `Content-Type`.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Returns whether the client accepts an event stream.
pub(super) fn accepted(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());

    accept.is_some_and(|accept| accept.contains(EVENT_STREAM))
}

/// Executes a request and responds with a stream of events. Errors are events as well: an
/// `EventSource` hides responses with another status or media type from its page.
pub(super) async fn execute(
    public: Arc<Public>,
    headers: &HeaderMap,
    request: GraphqlRequest,
    caller: Caller,
    readonly: bool,
) -> Response {
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        // An empty id means that no event has set one (HTML, section 9.2.6).
        .filter(|id| !id.is_empty());

    let principal = caller.principal.clone();
    let origin = caller.origin.clone();
    let positions = request.wants_positions();
    let rules = RequestRules {
        readonly,
        streams: true,
        last_event: last,
        arrived: public.executor.tip(),
    };
    let body = match public.executor.execute(request, caller, rules).await {
        Execution::Response(response, _permit) => once(&response).into(),
        Execution::Rejected(errors) => error_events(errors).into(),
        // The status, not an event: clients repeat a request that failed, and take an event as its end.
        Execution::Limited(problem) | Execution::TryLater(problem) => {
            return problem.into_response();
        }
        Execution::Subscription(subscriber) => {
            let principal = principal.expect("a subscription begins only for a caller with a key");
            match Client::connect(principal, origin) {
                Err(problem) => error_events(vec![problem.into()]).into(),
                Ok(client) => {
                    let events = public.sockets.open_stream(subscriber, client, positions);
                    Body::from_stream(events)
                }
            }
        }
    };

    let headers = [
        (header::CONTENT_TYPE, EVENT_STREAM),
        (header::CACHE_CONTROL, "no-store"),
        // nginx buffers responses unless it is told not to.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

fn error_events(errors: Vec<ServerError>) -> Bytes {
    once(&json!({ "errors": errors }).to_string())
}

fn once(response: &str) -> Bytes {
    format!("event: next\ndata: {response}\n\nevent: complete\ndata:\n\n").into()
}
