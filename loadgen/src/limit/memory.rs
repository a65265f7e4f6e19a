//! Limit of pages from memory: the request is parsed, and the answer is a copy of the bytes that
//! Dealwire has answered to the same request.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::announce_port;
use super::request::GraphqlRequest;
use crate::client::{self, Http, address};
use crate::error::BoxError;

pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    url: &Url,
    key: &str,
    body: &str,
) -> Result<(), BoxError> {
    let answer = ask(url, key, body).await?;
    let router = Router::new()
        .route("/graphql", post(answer_from_memory))
        .with_state(answer);

    announce_port(port);
    Ok(axum::serve(listener, router).await?)
}

/// Asks Dealwire once.
///
/// # Errors
/// The answer contains `errors`: such bytes would be a floor for nothing.
async fn ask(url: &Url, key: &str, body: &str) -> Result<Bytes, BoxError> {
    let mut http = Http::open(address(url)?).await?;
    let answer = http.call(&client::post(url, key, body)).await?;
    let answer = Bytes::copy_from_slice(answer);

    let parsed: Value = serde_json::from_slice(&answer)?;
    if parsed.get("errors").is_some() {
        return Err(format!("the server answered with errors: {parsed}").into());
    }

    Ok(answer)
}

async fn answer_from_memory(
    State(answer): State<Bytes>,
    Json(request): Json<GraphqlRequest>,
) -> Result<([(HeaderName, &'static str); 1], Bytes), StatusCode> {
    if !request.is_valid() {
        return Err(StatusCode::BAD_REQUEST);
    }

    Ok(([(CONTENT_TYPE, "application/json")], answer))
}
