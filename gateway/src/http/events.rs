//! GraphQL over Server-Sent Events in the mode of distinct connections (graphql-sse, PROTOCOL.md):
//! one operation for each response, with its results as `next` events and a `complete` event at the
//! end.
//!
//! Subscriptions are answered so, and any operation of a client that accepts nothing else.
//!
//! Results are written by a shard, as those of websockets are. Nothing is queued: further results are read when the
//! connection has taken the previous ones.

use async_graphql::ServerError;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use live::Subscriber;
use serde_json::json;

use super::Public;
use crate::auth::Principal;
use crate::error::Problem;
use crate::sockets::Client;

/// Media type of event streams.
const EVENT_STREAM: &str = "text/event-stream";

/// Returns the id of the last event that a client has received, with which it resumes.
pub(super) fn last_event(headers: &HeaderMap) -> Option<&str> {
    let id = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());

    // An empty id means that no event has set one (HTML, section 9.2.6).
    id.filter(|id| !id.is_empty())
}

/// Responds with the results of a subscription as they come.
///
/// # Errors
/// RATE_LIMITED when the key holds as many connections as it may.
pub(super) fn subscribed(
    public: &Public,
    subscriber: Box<Subscriber>,
    principal: Principal,
    positions: bool,
) -> Result<Response, Problem> {
    let client = Client::connect(principal)?;
    let events = public.sockets.open_stream(subscriber, client, positions);

    Ok(respond(Body::from_stream(events)))
}

/// Responds with one result.
pub(super) fn result(json: &str) -> Response {
    let events = format!("event: next\ndata: {json}\n\nevent: complete\ndata:\n\n");

    respond(events.into())
}

/// Responds with errors as an event: an `EventSource` hides responses with another status or media type from its page.
pub(super) fn errors(errors: &[ServerError]) -> Response {
    result(&json!({ "errors": errors }).to_string())
}

fn respond(events: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, EVENT_STREAM),
        (header::CACHE_CONTROL, "no-store"),
        // nginx buffers responses unless it is told not to.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];

    (headers, events).into_response()
}
