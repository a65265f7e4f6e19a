//! GraphQL over HTTP: `POST` with JSON, `GET` for queries, and the upgrade to a websocket. Clients
//! that accept event streams get them from `events.rs`.
//!
//! Bodies must be `application/json`: a page of another site can send that only after a preflight
//! request, which fails.

use std::sync::Arc;

use async_graphql::ServerError;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Public, events, principal, trace, websocket};
use crate::error::{Code, Problem};
use crate::graphql::{Caller, Execution, GraphqlRequest, RequestRules, code};
use crate::origin::Origin;

/// Media type of GraphQL over HTTP, with which the status carries meaning.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// `POST /graphql`: any operation, as a JSON body.
pub(super) async fn post(
    State(public): State<Arc<Public>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match json_body(&headers, body).and_then(|body| read(&body)) {
        Ok(request) => request,
        Err(problem) => return reject(&headers, problem),
    };

    execute(public, &headers, origin, request, false).await
}

/// `GET /graphql`: a query in the parameters, or the upgrade to a websocket.
pub(super) async fn get(State(public): State<Arc<Public>>, request: Request) -> Response {
    // Before the parameters are read: an upgrade has no query, and a rejected one must say why
    // instead of reporting that the query is missing.
    if websocket::is_requested(request.headers()) {
        return websocket::upgrade(&public, request);
    }

    let query = read_query(request.uri().query().unwrap_or_default());
    let headers = request.headers();
    let origin = Origin::noted(request.extensions());
    match query {
        Ok(query) => execute(public, headers, origin, query, true).await,
        Err(problem) => reject(headers, problem),
    }
}

async fn execute(
    public: Arc<Public>,
    headers: &HeaderMap,
    origin: Origin,
    request: GraphqlRequest,
    readonly: bool,
) -> Response {
    // Before the media type is looked at: a wrong key has the status 401 for event streams as well.
    let principal = match principal(&public.services, headers).await {
        Ok(principal) => principal,
        Err(problem) => return reject(headers, problem),
    };

    let caller = Caller {
        principal,
        trace: trace(headers),
        origin,
    };

    if events::accepted(headers) {
        return events::execute(public, headers, request, caller, readonly).await;
    }

    let rules = RequestRules {
        readonly,
        ..RequestRules::default()
    };
    match public.executor.execute(request, caller, rules).await {
        Execution::Response(response, permit) => {
            let mut response = respond(headers, response);
            if let Some(standing) = permit.standing() {
                standing.write_to(response.headers_mut());
            }
            response
        }
        Execution::Rejected(errors) => reject_request(headers, errors),
        // Over HTTP the status tells this in either media type: it is not an answer to the request.
        Execution::Limited(problem) | Execution::TryLater(problem) => reject(headers, problem),
        Execution::Subscription(_) => unreachable!("the rules admit no subscription"),
    }
}

/// Returns the body of a `POST` that declares JSON and is not too large.
pub(super) fn json_body(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Bytes, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();

    // Without its parameters, of which clients send `charset=utf-8`.
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::BadRequest,
            "The Content-Type must be application/json",
        ));
    }

    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            Code::PayloadTooLarge,
            format!("The body must be at most {} bytes", super::MAX_BODY),
        ),
        _ => Problem::new(Code::BadRequest, "The body could not be read"),
    })
}

fn read(body: &[u8]) -> Result<GraphqlRequest, Problem> {
    // Looked for before parsing, since the parser would only report an unexpected type.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::new(
            Code::BadRequest,
            "Batches are not supported; send one request at a time",
        ));
    }

    serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            Code::BadRequest,
            format!("The body is not a GraphQL request: {error}"),
        )
    })
}

fn read_query(query: &str) -> Result<GraphqlRequest, Problem> {
    let mut request = GraphqlRequest::default();
    let mut has_query = false;

    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "query" => {
                has_query = true;
                request.query = value.into_owned();
            }
            "operationName" if !value.is_empty() => {
                request.operation_name = Some(value.into_owned())
            }
            "variables" if !value.is_empty() => request.variables = Some(object(&name, &value)?),
            "extensions" if !value.is_empty() => request.extensions = Some(object(&name, &value)?),
            // Other parameters are ignored, as are other members of a JSON body.
            _ => {}
        }
    }

    if has_query {
        Ok(request)
    } else {
        Err(Problem::new(
            Code::BadRequest,
            "The parameter query is missing",
        ))
    }
}

/// Reads a parameter that is a JSON object.
fn object(name: &str, value: &str) -> Result<Map<String, Value>, Problem> {
    serde_json::from_str(value).map_err(|error| {
        let message = format!("The parameter {name} is not JSON: {error}");
        Problem::new(Code::BadRequest, message)
    })
}

/// Responds to a request that is not one of GraphQL: the status tells the error in either media type.
pub(super) fn reject(headers: &HeaderMap, problem: Problem) -> Response {
    let status = problem.code.status();
    let limit = problem.limit_headers();
    let mut response = with_errors(headers, status, vec![problem.into()]);

    response.headers_mut().extend(limit);
    response
}

/// Responds with request errors as GraphQL over HTTP asks (section 6): with the media type of GraphQL, the status tells
/// that nothing was executed; with plain JSON, the status of a well-formed request is always 200.
fn reject_request(headers: &HeaderMap, errors: Vec<ServerError>) -> Response {
    let status = match errors.first().and_then(code) {
        Some(code) if accepts_graphql_response(headers) => code.status(),
        _ => StatusCode::OK,
    };

    with_errors(headers, status, errors)
}

fn with_errors(headers: &HeaderMap, status: StatusCode, errors: Vec<ServerError>) -> Response {
    // Written here: the library's response would have `data: null`, which says that execution began.
    let body = json!({ "errors": errors }).to_string();
    let mut response = respond(headers, body);

    *response.status_mut() = status;
    // A 401 without a challenge is not allowed (RFC 9110, section 15.5.2).
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn respond(headers: &HeaderMap, body: String) -> Response {
    let media_type = if accepts_graphql_response(headers) {
        GRAPHQL_RESPONSE
    } else {
        "application/json"
    };

    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}

fn accepts_graphql_response(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();

    accept.contains(GRAPHQL_RESPONSE)
}
