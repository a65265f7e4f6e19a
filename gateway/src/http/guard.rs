//! Guard in front of every public route: notes where a request comes from, and enforces what is limited for a network
//! before anything else is done for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use listener::Peer;

use super::{Public, graphql, websocket};
use crate::auth::key_in;
use crate::error::{Code, Problem};
use crate::origin::{ClientNetwork, Origin};
use crate::rates::Payer;

/// Media type of problem details (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// Passes a request on within the limits of its network.
pub(super) async fn guard(
    State(public): State<Arc<Public>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>();
    let origin = Origin::of(headers, peer, &public.trusted_proxies);
    let network = origin.network();
    let has_key = ["x-api-key", "authorization"]
        .iter()
        .any(|name| headers.contains_key(*name));

    let rates = &public.services.rates;
    if websocket::is_requested(headers)
        && let Err(problem) = rates.handshake(network.map(Payer::Network))
    {
        return problem.into_response();
    }
    if has_key
        && rates.is_suspect(network)
        && let Err(problem) = look_up(&public, headers, network).await
    {
        return refuse(&public, &request, problem);
    }

    request.extensions_mut().insert(origin);
    let response = next.run(request).await;

    if has_key && response.status() == StatusCode::UNAUTHORIZED {
        return match rates.failed_key(network) {
            Ok(()) => response,
            Err(problem) => in_place_of(&public, &response, problem),
        };
    }
    response
}

/// Looks up the key of a suspect network's request in its turn. The handler then finds a valid key in the cache.
///
/// # Errors
/// RATE_LIMITED if the key is not valid, so that a guess costs no second look-up.
async fn look_up(
    public: &Public,
    headers: &HeaderMap,
    network: Option<ClientNetwork>,
) -> Result<(), Problem> {
    let services = &public.services;
    let turn = services.rates.turn().await;

    let found = match key_in(headers) {
        Ok(Some(key)) => services.keys.authenticate(&key).await.map(|_| ()),
        Ok(None) => Ok(()),
        Err(problem) => Err(problem),
    };
    drop(turn);

    match found {
        Err(problem) if problem.code == Code::Unauthenticated => {
            services.rates.failed_key(network).and(Err(problem))
        }
        // What else there is to say, the handler says.
        _ => Ok(()),
    }
}

/// Responds with a problem in the form that the path has for its errors.
fn refuse(public: &Public, request: &Request, problem: Problem) -> Response {
    if request.uri().path() == "/graphql" {
        graphql::reject(public, request.headers(), problem)
    } else {
        problem.into_response()
    }
}

/// Responds with a problem in the form of another response.
fn in_place_of(public: &Public, response: &Response, problem: Problem) -> Response {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    if media_type.is_none_or(|media_type| media_type == PROBLEM) {
        return problem.into_response();
    }

    let accept = media_type.map(|media_type| (header::ACCEPT, media_type.clone()));
    graphql::reject(public, &accept.into_iter().collect(), problem)
}
