//! Probes for orchestrators, metrics for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::Probes;

/// 200 when every part is up, else 503 with those that are not.
pub(super) async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    let down = probes.health.down();
    let status = if down.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let parts: serde_json::Map<String, serde_json::Value> =
        down.into_iter().map(|(part, why)| (part.to_owned(), why.into())).collect();
    (status, Json(json!({ "ready": status == StatusCode::OK, "down": parts })))
}

/// OpenMetrics.
pub(super) async fn metrics(State(probes): State<Probes>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], probes.metrics.encode())
}
