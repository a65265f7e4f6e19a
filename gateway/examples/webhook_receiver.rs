//! The webhook receiver of docs/webhooks.md, as it stands there; `web/test/webhooks.mjs` runs it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "an example, kept short"
)]

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use standardwebhooks::Webhook;

#[tokio::main]
async fn main() {
    let webhook =
        std::sync::Arc::new(Webhook::new(&std::env::var("WEBHOOK_SECRET").unwrap()).unwrap());
    let receive = async move |headers: HeaderMap, body: Bytes| {
        if webhook.verify(&body, &headers).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        // An id that was seen before is the same delivery once more.
        println!(
            "{} {}",
            headers["webhook-id"].to_str().unwrap(),
            String::from_utf8_lossy(&body)
        );
        StatusCode::NO_CONTENT
    };
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9000".into());
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, Router::new().route("/", post(receive)))
        .await
        .unwrap();
}
