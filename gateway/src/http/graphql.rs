//! GraphQL over HTTP: `POST` with JSON for any operation, `GET` and `QUERY` for those that change nothing, and the upgrade
//! to a websocket. Subscriptions are answered with event streams (`events.rs`).
//!
//! Bodies must be `application/json`: a page of another site can send that only after a preflight request, which fails.

mod read;
mod reply;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use super::{Public, events, json_body, principal, trace, websocket};
use crate::error::{Code, Problem};
use crate::graphql::{Caller, Execution, GraphqlRequest, RequestRules};
use read::Fault;
pub use reply::StatusCodes;
use reply::{METHODS, Reply, with_header};

/// `/graphql`, with any method.
pub(super) async fn endpoint(State(public): State<Arc<Public>>, request: Request) -> Response {
    let method = request.method().clone();
    // Before the parameters are read: an upgrade has no query, and a rejected one must say why instead of reporting that
    // the query is missing.
    if method == Method::GET && websocket::is_requested(request.headers()) {
        return websocket::upgrade(&public, request);
    }
    if method == Method::OPTIONS {
        return reply::options();
    }

    let reply = Reply::new(request.headers(), public.status_codes);
    if ![Method::GET, Method::HEAD, Method::POST, Method::QUERY].contains(&method) {
        let refused = reply.refused(wrong_method());
        return with_header(refused, header::ALLOW, METHODS);
    }

    let headers = request.headers().clone();
    let has_body = method == Method::POST || method == Method::QUERY;
    let read = if has_body {
        read_body(&headers, request).await
    } else {
        let query = request.uri().query().unwrap_or_default();
        read::parameters(query).map_err(Fault::from)
    };

    // Before anything is executed, since a mutation cannot be taken back.
    if reply.accepted.is_nothing() {
        return reply.refused(nothing_acceptable());
    }
    match read {
        Ok(request) => {
            let readonly = method != Method::POST;
            execute(&public, &headers, request, readonly, reply).await
        }
        Err(fault) => reply.unread(fault),
    }
}

async fn read_body(headers: &HeaderMap, request: Request) -> Result<GraphqlRequest, Fault> {
    // Even if it cannot be used: a client that is still sending when its connection is closed misses the answer.
    let sent = Bytes::from_request(request, &()).await;

    let encoding = json_body::check_headers(headers)?;
    let body = json_body::decode(encoding, sent)?;
    Ok(read::body(&body)?)
}

async fn execute(
    public: &Public,
    headers: &HeaderMap,
    request: GraphqlRequest,
    readonly: bool,
    reply: Reply,
) -> Response {
    // Before the operation is looked at: a wrong key has the status 401 for event streams as well.
    let principal = match principal(&public.services, headers).await {
        Ok(principal) => principal,
        Err(problem) => return reply.refused(problem),
    };

    let caller = Caller {
        principal: principal.clone(),
        trace: trace(headers),
    };
    let streams = reply.accepted.stream;
    let rules = RequestRules {
        readonly,
        streams,
        last_event: events::last_event(headers),
        arrived: streams.then(|| public.executor.tip()).flatten(),
    };

    let positions = request.wants_positions();
    match public.executor.execute(request, caller, rules).await {
        Execution::Response(executed, _permit) => reply.executed(executed),
        Execution::Rejected(errors) => reply.rejected(errors),
        // The status, not an event: clients repeat a request that failed, and take an event as its end.
        Execution::TryLater(problem) => reply.refused(problem),
        Execution::Subscription(subscriber) => {
            let principal = principal.expect("a subscription begins only for a caller with a key");
            events::subscribed(public, subscriber, principal, positions)
                .unwrap_or_else(|problem| reply.rejected(vec![problem.into()]))
        }
    }
}

fn wrong_method() -> Problem {
    let message = "This path does not support this method; use POST, GET or QUERY";

    Problem::new(Code::MethodNotAllowed, message)
}

fn nothing_acceptable() -> Problem {
    let message = "The header Accept must allow application/graphql-response+json or application/json, \
                   or text/event-stream for subscriptions";

    Problem::new(Code::NotAcceptable, message)
}
