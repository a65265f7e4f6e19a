//! Pages for people, embedded in the binary: GraphiQL, which asks no other host for anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::json;

use super::Public;
use crate::demo;
use crate::error::{Code, Problem};

/// As `web/` built it.
#[derive(RustEmbed)]
#[folder = "../web/dist/graphiql"]
struct Graphiql;

/// Nothing from elsewhere, no script but our files; the editor's styles are written by its scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self'; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// Names of assets hold a hash of what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /`: to the page there is.
pub(super) async fn root() -> Redirect {
    Redirect::temporary("/graphiql")
}

/// `GET /graphiql`
pub(super) async fn graphiql(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `GET /graphiql/…`
pub(super) async fn graphiql_file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

/// `GET /graphiql/config.json`: what the page begins with. Keys only when they are public.
pub(super) async fn graphiql_config(State(public): State<Arc<Public>>) -> impl IntoResponse {
    let demo = public
        .services
        .keys
        .authenticate(demo::SELLER_KEY)
        .await
        .is_ok();
    let config = if demo {
        json!({
            "demo": true,
            "sellerKey": demo::SELLER_KEY,
            "buyerKey": demo::BUYER_KEY,
            "dealId": demo::DEAL,
        })
    } else {
        json!({ "demo": false })
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(config))
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(EmbeddedFile { data, metadata }) = Graphiql::get(path) else {
        return Problem::new(Code::NotFound, "there is nothing at this path").into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&metadata.sha256_hash()[..8]));
    let cache = if path.starts_with("assets/") {
        FOR_EVER
    } else {
        "no-cache"
    };
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_TYPE, metadata.mimetype()),
    ];
    let held = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|held| held.to_str().ok());
    let mut response = match held {
        Some(held) if held == tag => StatusCode::NOT_MODIFIED.into_response(),
        _ => data.into_response(),
    };
    for (name, value) in fixed {
        let value = HeaderValue::from_str(value).expect("what is embedded has plain types");
        response.headers_mut().insert(name, value);
    }
    let tag = HeaderValue::from_str(&tag).expect("a hash is plain text");
    response.headers_mut().insert(header::ETAG, tag);
    response
}
