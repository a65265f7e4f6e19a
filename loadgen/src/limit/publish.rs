//! One acknowledged JetStream publish a request, of the bytes that Dealwire stored last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, stream};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ready;
use crate::Failed;

const STREAM: &str = "LOADGEN";

struct Publisher {
    context: Context,
    headers: HeaderMap,
    payload: Bytes,
    count: AtomicU64,
    run: u128,
}

pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    nats: &str,
    like: &str,
) -> Result<(), Failed> {
    let context = jetstream::new(async_nats::connect(nats).await?);
    let model = context.get_stream(like).await?;
    let model = model
        .get_raw_message(model.cached_info().state.last_sequence)
        .await?;
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["loadgen.>".to_owned()],
        storage: stream::StorageType::File,
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await?;
    // What only Dealwire's subject would fit.
    let mut headers = HeaderMap::new();
    for (name, values) in model.headers.iter() {
        let name: &str = name.as_ref();
        if !name.starts_with("Nats-") {
            values
                .iter()
                .for_each(|value| headers.insert(name, value.as_str()));
        }
    }
    let run = uuid::Uuid::new_v4().as_u128();
    let publisher = Publisher {
        context,
        headers,
        payload: model.payload,
        count: AtomicU64::new(0),
        run,
    };
    let router = Router::new()
        .route("/graphql", post(publish))
        .with_state(Arc::new(publisher));
    ready(port);
    Ok(axum::serve(listener, router).await?)
}

async fn publish(
    State(publisher): State<Arc<Publisher>>,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    if !request["query"].is_string() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let number = publisher.count.fetch_add(1, Ordering::Relaxed);
    let mut headers = publisher.headers.clone();
    headers.insert("Nats-Msg-Id", format!("{:x}-{number}", publisher.run));
    let subject = format!("loadgen.{number}");
    let sent = publisher
        .context
        .publish_with_headers(subject, headers, publisher.payload.clone())
        .await;
    let acknowledged = sent.map_err(|_| StatusCode::BAD_GATEWAY)?.await;
    let sequence = acknowledged.map_err(|_| StatusCode::BAD_GATEWAY)?.sequence;
    Ok(Json(json!({ "data": { "sequence": sequence } })))
}
