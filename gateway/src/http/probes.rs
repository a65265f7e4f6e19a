//! Probes for orchestrators, metrics for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::Probes;

/// 200 when nothing that the process needs is down, else 503. `degraded`: what it does without for now.
pub(super) async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    let (down, degraded) = (probes.health.down(), probes.health.degraded());
    let status = if down.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let parts = |parts: Vec<(&'static str, String)>| {
        let parts = parts
            .into_iter()
            .map(|(part, why)| (part.to_owned(), why.into()));
        Value::Object(parts.collect())
    };
    let told = json!({ "ready": status == StatusCode::OK, "down": parts(down), "degraded": parts(degraded) });
    (status, Json(told))
}

/// OpenMetrics.
pub(super) async fn metrics(State(probes): State<Probes>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], probes.metrics.encode())
}
