//! GraphQL over Server-Sent Events in the mode of distinct connections (graphql-sse, PROTOCOL.md):
//! one operation for each response, with its results as `next` events and a `complete` event at the
//! end.
//!
//! The id of each event is the position of its result, so a client that reconnects with
//! `Last-Event-ID` resumes where it stopped. Nothing is queued: further results are read when the
//! connection has taken the previous ones.

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;

use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Public;
use crate::auth::{Connection, Principal};
use crate::connections::Connections;
use crate::error::Problem;
use crate::graphql::{Caller, Execution, GraphqlRequest, RequestRules};
use live::{Feed, Subscriber, Update};

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
    let rules = RequestRules {
        readonly,
        streams: true,
        last_event: last,
    };
    let body = match public.executor.execute(request, caller, rules).await {
        Execution::Response(response) => once(&response).into(),
        Execution::Rejected(errors) => error_events(errors).into(),
        Execution::Subscription(subscriber) => {
            let principal = principal.expect("a subscription begins only for a caller with a key");
            match Events::open(&public, subscriber, &principal) {
                Err(problem) => error_events(vec![problem.into()]).into(),
                // The connection pulls: a client that reads slowly delays its own results, and
                // nothing piles up in memory for it.
                Ok(events) => Body::from_stream(stream::unfold(events, |mut events| async {
                    let chunk = events.next().await?;
                    Some((Ok::<_, std::convert::Infallible>(chunk), events))
                })),
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

/// Open event stream of a subscription.
struct Events {
    subscriber: Box<Subscriber>,
    feed: Arc<Feed>,
    trusted: watch::Receiver<bool>,
    heartbeat: Interval,
    /// Completes when the stream must end; the client then reconnects with its last id, here or
    /// elsewhere.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Counts towards the key's limit of connections until the stream is dropped.
    _connection: Connection,
}

impl Events {
    fn open(
        public: &Public,
        subscriber: Box<Subscriber>,
        principal: &Principal,
    ) -> Result<Self, Problem> {
        let connection = principal.connect()?;

        // Delayed rather than caught up: a client that was slow needs one heartbeat, not a burst.
        let mut heartbeat = interval(public.connections.ping());
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);

        Ok(Self {
            subscriber,
            feed: Arc::clone(&public.feed),
            trusted: principal.trusted(),
            heartbeat,
            end: Box::pin(end(&public.connections, principal)),
            _connection: connection,
        })
    }

    /// Returns the next bytes, or `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Pushes stop while the key cannot be confirmed; the position stands, so none is lost.
            let allowed = *self.trusted.borrow_and_update();

            // In this order: a revoked key ends the stream although changes are waiting, and a
            // heartbeat is due only when there are none.
            tokio::select! {
                biased;
                () = &mut self.end => return None,
                Ok(()) = self.trusted.changed() => {}
                updates = self.subscriber.next(), if allowed => return Some(match updates {
                    Ok(updates) => events(&updates),
                    Err(error) => {
                        // The error is the last event: the next poll ends the stream.
                        self.end = Box::pin(std::future::ready(()));
                        error_events(vec![Problem::from(error).into()])
                    }
                }),
                _ = self.heartbeat.tick() => return Some(self.heartbeat_event()),
            }
        }
    }

    /// Returns what keeps a quiet connection open: an event that only sets the id if the client has
    /// seen everything up to the tip (HTML, section 9.2.6), and a comment otherwise.
    fn heartbeat_event(&self) -> Bytes {
        // The tip is read first: a subscriber that is caught up with it afterwards has seen
        // everything up to it.
        let tip = self.feed.tip();
        match tip.filter(|tip| self.subscriber.is_caught_up_with(*tip)) {
            Some(tip) => format!("id: {}\n\n", tip.encode()).into(),
            None => Bytes::from_static(b":\n\n"),
        }
    }
}

/// Waits until the key is revoked, or the gateway drains and this connection's turn has come.
fn end(
    connections: &Connections,
    principal: &Principal,
) -> impl Future<Output = ()> + Send + 'static {
    let revoked = principal.revoked();
    let ended = connections.stagger().drain_turn();

    async move {
        tokio::select! {
            () = revoked.cancelled() => {}
            () = ended => {}
        }
    }
}

fn events(updates: &[Update]) -> Bytes {
    // 64 bytes are enough for the field names around a result and for its position.
    let mut text =
        String::with_capacity(updates.iter().map(|update| update.result.len() + 64).sum());

    for Update { position, result } in updates {
        write!(
            text,
            "id: {}\nevent: next\ndata: {result}\n\n",
            position.encode()
        )
        .expect("a String can be written to");
    }

    text.into()
}
