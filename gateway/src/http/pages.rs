//! Pages embedded in the binary: GraphiQL, which loads nothing from other hosts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::json;

use super::Public;
use super::conditional::{EntityTag, Outcome, Preconditions};
use crate::demo;
use crate::error::{Code, Problem};

/// Build output of `web/`.
#[derive(RustEmbed)]
#[folder = "../web/dist/graphiql"]
struct Graphiql;

/// Policy that allows only files of this server. The editor writes its styles by script, so inline
/// styles are allowed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; worker-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
     form-action 'none'; connect-src 'self'";

/// Features of the browser that the page does not use, and that nobody can make it use.
const PERMISSIONS_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Cache rule for assets, whose names contain a hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// `GET /`: redirects to GraphiQL.
pub(super) async fn root() -> Redirect {
    Redirect::temporary("/graphiql")
}

/// `GET /graphiql`: the page.
pub(super) async fn graphiql(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `GET /graphiql/…`: files of the page.
pub(super) async fn graphiql_file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

/// `GET /graphiql/config.json`: initial settings of the page, with keys only if they are public.
pub(super) async fn graphiql_config(State(public): State<Arc<Public>>) -> impl IntoResponse {
    // The demo's keys are public, so the page may show them wherever they are accepted.
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

/// Returns the policy, with websockets to the host that the request names: older browsers do not count them as `'self'`.
fn content_security_policy(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        // Nothing but a host and a port, so that the header cannot add a rule of its own.
        .and_then(|host| host.parse::<Authority>().ok());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);

    match host {
        Some(host) if host.as_str().chars().all(is_plain) => {
            format!("{CONTENT_SECURITY_POLICY} ws://{host} wss://{host}")
        }
        _ => CONTENT_SECURITY_POLICY.to_owned(),
    }
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(EmbeddedFile { data, metadata }) = Graphiql::get(path) else {
        return Problem::new(Code::NotFound, "Nothing exists at this path").into_response();
    };

    // 64 bits of the hash: enough to tell the builds of one file apart.
    let tag = EntityTag::strong(hex::encode(&metadata.sha256_hash()[..8]));
    let cache = if path.starts_with("assets/") {
        IMMUTABLE
    } else {
        // Names without a hash stay while the content changes, so caches must ask each time.
        "no-cache"
    };

    let policy = content_security_policy(headers);
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        (PERMISSIONS, PERMISSIONS_POLICY),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_TYPE, metadata.mimetype()),
    ];

    // A browser that sends a malformed precondition gets the file all the same.
    let preconditions = Preconditions::read(headers).unwrap_or_default();
    let mut response = match preconditions.evaluate(Some(&tag), true) {
        Outcome::Proceed => data.into_response(),
        Outcome::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Outcome::Failed => {
            let problem = Problem::new(Code::Conflict, "If-Match excludes the current state");
            return problem.with_status(StatusCode::PRECONDITION_FAILED);
        }
    };

    // A 304 carries them too, since the cache updates what it holds with them.
    for (name, value) in fixed {
        let value = HeaderValue::from_str(value).expect("media types and cache rules are ASCII");
        response.headers_mut().insert(name, value);
    }

    response.headers_mut().insert(header::ETAG, tag.header());
    response
}
