//! Limit of mutations: one acknowledged JetStream publish per request, of the bytes that Dealwire
//! stored last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::{self, Context, stream};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::announce_port;
use crate::error::BoxError;

/// Stream that the limit publishes to; never the market's own.
const STREAM: &str = "LOADGEN";

/// State of the server.
struct Publisher {
    context: Context,
    headers: HeaderMap,
    payload: Bytes,
    published: AtomicU64,
    /// Random identity of this process, part of every message id.
    run: u128,
}

pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    nats: &str,
    like: &str,
) -> Result<(), BoxError> {
    let context = jetstream::new(async_nats::connect(nats).await?);
    let model = newest_message(&context, like).await?;

    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["loadgen.>".to_owned()],
        // Files, as the market's stream: a stream in memory would be no fair comparison for a
        // durable log.
        storage: stream::StorageType::File,
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await?;

    let publisher = Publisher {
        context,
        headers: portable_headers(&model.headers),
        payload: model.payload,
        published: AtomicU64::new(0),
        run: uuid::Uuid::new_v4().as_u128(),
    };
    let router = Router::new()
        .route("/graphql", post(publish))
        .with_state(Arc::new(publisher));

    announce_port(port);
    Ok(axum::serve(listener, router).await?)
}

async fn newest_message(context: &Context, stream: &str) -> Result<StreamMessage, BoxError> {
    let stream = context.get_stream(stream).await?;
    let newest = stream.cached_info().state.last_sequence;
    Ok(stream.get_raw_message(newest).await?)
}

/// Copies the headers that can be published again: those that NATS interprets (`Nats-…`) state
/// expectations about the market's stream and would be refused in another one.
fn portable_headers(headers: &HeaderMap) -> HeaderMap {
    let mut portable = HeaderMap::new();

    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if !name.starts_with("Nats-") {
            values
                .iter()
                .for_each(|value| portable.insert(name, value.as_str()));
        }
    }

    portable
}

async fn publish(
    State(publisher): State<Arc<Publisher>>,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    // Any server of such requests has to parse them, so the limit does too.
    if !request["query"].is_string() {
        return Err(StatusCode::BAD_REQUEST);
    }

    // Relaxed is enough: the number must be unique, and orders nothing else.
    let number = publisher.published.fetch_add(1, Ordering::Relaxed);

    // A message id makes JetStream look for duplicates, which Dealwire's publishes pay for too. It
    // must never repeat, not even across runs, or JetStream would drop the message and the limit
    // would look faster than it is.
    let mut headers = publisher.headers.clone();
    headers.insert("Nats-Msg-Id", format!("{:x}-{number}", publisher.run));

    let sent = publisher
        .context
        .publish_with_headers(
            format!("loadgen.{number}"),
            headers,
            publisher.payload.clone(),
        )
        .await;
    let acknowledgement = sent.map_err(|_| StatusCode::BAD_GATEWAY)?.await;
    let sequence = acknowledgement
        .map_err(|_| StatusCode::BAD_GATEWAY)?
        .sequence;

    Ok(Json(json!({ "data": { "sequence": sequence } })))
}
