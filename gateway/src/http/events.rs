//! GraphQL over Server-Sent Events, distinct connections mode (graphql-sse PROTOCOL.md): one operation a response, its
//! results as `next` events, then `complete`.
//!
//! Every result carries its position as the event's id, so a client that comes back with `Last-Event-ID` goes on where
//! it was. Nothing queues: the next results are read when the connection has taken the last ones.

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;

use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Public;
use crate::auth::{Connection, Principal};
use crate::connections::Connections;
use crate::error::Problem;
use crate::graphql::{Caller, Execution, GraphqlRequest};
use live::{Feed, Subscriber, Update};

/// The media type, and what a client says that it accepts.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Whether the client wants events.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(EVENT_STREAM))
}

/// Executes a request as a stream of events. Whatever is wrong with it comes as an event too: with another status, or
/// another media type, an `EventSource` would tell its page nothing.
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
        .filter(|id| !id.is_empty());
    let principal = caller.principal.clone();
    let body = match public.executor.start(request, caller, last, readonly).await {
        Execution::Response(response) => once(&response).into(),
        Execution::Rejected(errors) => refused(errors).into(),
        Execution::Subscription(subscriber) => {
            let principal = principal.expect("nobody subscribes without a key");
            match Events::open(&public, subscriber, &principal) {
                Err(problem) => refused(vec![problem.into()]).into(),
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
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

fn refused(errors: Vec<ServerError>) -> Bytes {
    once(&async_graphql::Response::from_errors(errors))
}

fn once(response: &async_graphql::Response) -> Bytes {
    let result = serde_json::to_string(response).expect("a response is JSON");
    format!("event: next\ndata: {result}\n\nevent: complete\ndata:\n\n").into()
}

/// A subscription's events.
struct Events {
    subscriber: Box<Subscriber>,
    feed: Arc<Feed>,
    trusted: watch::Receiver<bool>,
    heartbeat: Interval,
    /// Ends when the stream is to end: the client comes back with the last id, here or elsewhere.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    _connection: Connection,
}

impl Events {
    fn open(
        public: &Public,
        subscriber: Box<Subscriber>,
        principal: &Principal,
    ) -> Result<Self, Problem> {
        let connection = principal.connect()?;
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

    /// The next bytes; none when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let allowed = *self.trusted.borrow_and_update();
            tokio::select! {
                biased;
                () = &mut self.end => return None,
                Ok(()) = self.trusted.changed() => {}
                updates = self.subscriber.next(), if allowed => return Some(match updates {
                    Ok(updates) => events(&updates),
                    Err(error) => {
                        // What is said next is that there is nothing more to say.
                        self.end = Box::pin(std::future::ready(()));
                        refused(vec![Problem::from(error).into()])
                    }
                }),
                _ = self.heartbeat.tick() => return Some(self.sign_of_life()),
            }
        }
    }

    /// What is said on a quiet connection: the position when all up to it was seen, else only that we are there.
    /// The tip first: whoever is caught up after it was read has seen everything up to it. An event without data only
    /// sets the id (HTML, section 9.2.6).
    fn sign_of_life(&self) -> Bytes {
        let tip = self.feed.tip();
        match tip.filter(|tip| self.subscriber.is_caught_up_with(*tip)) {
            Some(tip) => format!("id: {}\n\n", tip.encode()).into(),
            None => Bytes::from_static(b":\n\n"),
        }
    }
}

/// Until the key is revoked, or the gateway ends and this connection's turn has come.
fn end(
    connections: &Connections,
    principal: &Principal,
) -> impl Future<Output = ()> + Send + 'static {
    let (revoked, ended) = (principal.revoked(), connections.stagger().drain_turn());
    async move {
        tokio::select! {
            () = revoked.cancelled() => {}
            () = ended => {}
        }
    }
}

fn events(updates: &[Update]) -> Bytes {
    let mut text =
        String::with_capacity(updates.iter().map(|update| update.result.len() + 64).sum());
    for Update { position, result } in updates {
        write!(
            text,
            "id: {}\nevent: next\ndata: {result}\n\n",
            position.encode()
        )
        .expect("a text can be written to");
    }
    text.into()
}
