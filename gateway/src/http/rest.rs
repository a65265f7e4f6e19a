//! REST for deals: `/deal`, `/deal/{id}` and `/changes`. The same mutations and pages as in GraphQL, with enum values in
//! lower case and errors as problem details.
//!
//! A request is checked in the order of RFC 9110: the caller, what it accepts, what it sends, and last its preconditions
//! (section 13.2.1).

mod body;
mod changes;
mod number;
mod openapi;
mod query;
mod read;
mod reader;
mod refused;
#[cfg(feature = "testkit")]
pub mod testkit;
mod versions;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use backbone::accounts::Role;
use backbone::position::Position;

use super::accept::accepts_json;
use super::conditional::{EntityTag, Outcome, Preconditions};
use super::{Public, principal};
use crate::admission::Permit;
use crate::auth::Principal;
use crate::error::Problem;
use crate::origin::Origin;
use crate::rates::Charge;
use crate::services::Services;
use crate::standing::Standing;
use refused::Refused;

/// Fields of a deal in full, as the cost of documents counts them: 100 items of four fields each, and its own.
const COST_OF_DEAL: u64 = 415;
/// Header with the position of a write, or with the point of the log that a page shows.
const POSITION: HeaderName = HeaderName::from_static("dealwire-position");
/// Headers of a request that decide what a response holds.
const VARY: &str = "x-api-key, authorization, accept";

/// Builds the routes: those of the table, the same below `/v1`, and the description of all of them.
pub(super) fn routes() -> Router<Arc<Public>> {
    let mut router = Router::new();
    for (path, methods) in table() {
        router = router
            .route(&format!("/v1{path}"), methods.clone())
            .route(path, methods);
    }

    let document = Bytes::from(openapi::document().to_string());
    let tag = openapi::tag(&document);
    let show = move |headers: HeaderMap| openapi::show(headers, document.clone(), tag.clone());

    router
        .route("/v1/openapi.json", get(show.clone()))
        .route("/openapi.json", get(show))
        .layer(map_response(private))
}

/// Paths with what answers each of their methods. `HEAD` goes with `GET`, and `OPTIONS` with all.
fn table() -> [(&'static str, MethodRouter<Arc<Public>>); 3] {
    [
        (
            "/deal",
            get(read::list).post(write::create).put(write::replace),
        ),
        ("/deal/{id}", get(read::show).put(write::replace_at)),
        ("/changes", get(changes::changes)),
    ]
}

/// Keeps shared caches from storing a response, which is of one account. Without these headers they may, since the key
/// need not be in `Authorization` (RFC 9111, section 3.5).
async fn private(mut response: Response) -> Response {
    let rules = if response.status().is_client_error() || response.status().is_server_error() {
        "no-store"
    } else {
        "private, no-cache"
    };

    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(rules));
    headers.append(header::VARY, HeaderValue::from_static(VARY));
    response
}

/// Returns the caller, who must have an API key.
async fn caller(services: &Services, headers: &HeaderMap) -> Result<Principal, Problem> {
    principal(services, headers)
        .await?
        .ok_or_else(|| Problem::unauthenticated("This request requires an API key"))
}

/// Admits a read of so many deals.
fn admit(services: &Services, caller: &Principal, deals: u64) -> Result<Permit, Problem> {
    let cost = Charge::Cost(1 + deals * COST_OF_DEAL);

    services.admit(Some(caller), &Origin::default(), cost)
}

fn limit_headers(standing: Option<Standing>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(standing) = standing {
        standing.write_to(&mut headers);
    }
    headers
}

/// Checks that the client accepts JSON.
///
/// # Errors
/// 406 if it does not.
fn check_accept(headers: &HeaderMap) -> Result<(), Refused> {
    if accepts_json(headers) {
        Ok(())
    } else {
        Err(Refused::not_acceptable())
    }
}

/// Checks that a caller has deals to read: administrators have none.
fn check_reader(caller: &Principal) -> Result<(), Problem> {
    match caller.role() {
        Role::Buyer => caller.buyer().map(|_| ()),
        _ => caller.seller().map(|_| ()),
    }
}

fn position_header(position: Position) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(&position.encode());
    (POSITION, value.expect("a position is URL-safe Base64"))
}

/// Performs the preconditions of a `GET`: returns `full`, or 304 with the same tag.
///
/// # Errors
/// 412, with `failed`, if the client asks for another state.
fn conditional(
    preconditions: &Preconditions,
    tag: Option<&EntityTag>,
    full: impl FnOnce() -> Response,
    failed: impl FnOnce() -> Refused,
) -> Result<Response, Refused> {
    let mut response = match preconditions.evaluate(tag, true) {
        Outcome::Proceed => full(),
        Outcome::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Outcome::Failed => return Err(failed()),
    };

    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag.header());
    }
    Ok(response)
}
