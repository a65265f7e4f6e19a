//! Probes for orchestrators, and metrics for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::Probes;

/// `GET /health/ready`: 200 if every part that the process needs is up, else 503 with the parts
/// that are `down`. The parts in `degraded` are away, but the process works without them.
pub(super) async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    let down = probes.health.down();
    let degraded = probes.health.degraded();
    // A 503 takes the process out of service, so a part that it can work without must not cause
    // one.
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
    let body = json!({
        "ready": status == StatusCode::OK,
        "down": parts(down),
        "degraded": parts(degraded),
    });

    (status, Json(body))
}

/// `GET /metrics`: metrics in the OpenMetrics text format.
pub(super) async fn metrics(State(probes): State<Probes>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], probes.metrics.encode())
}
