//! Responses of the GraphQL endpoint: their media types, statuses and headers.

use async_graphql::ServerError;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::read::{Fault, Malformed};
use crate::error::{Code, Problem};
use crate::graphql::{Executed, code};
use crate::http::accept::{Accepted, ResultType};
use crate::http::events;
use crate::http::json_body::{BodyFault, ENCODINGS};

/// Methods of the endpoint, and those that execute mutations.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, QUERY, OPTIONS");
pub(super) const MUTATION_METHODS: HeaderValue = HeaderValue::from_static("POST");

/// Media types of the bodies of `QUERY` (RFC 10008, section 3).
const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");

/// Status of a result with data and errors (GraphQL over HTTP, section "Partial success").
const PARTIAL_SUCCESS: u16 = 294;

/// Status codes of responses to requests that are well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusCodes {
    /// Those that the audits of the npm package `graphql-http` want: 400 for a document or variables that are not valid, and
    /// 200 for everything that a client of `application/json` is told.
    #[default]
    Audited,
    /// Those of the specification since April 2026: 422 for a document or variables that are not valid, 294 for data with
    /// errors, for every media type.
    Since2026,
}

/// Answers to one request: what its client accepts, and the status codes.
#[derive(Clone, Copy)]
pub(super) struct Reply {
    pub(super) accepted: Accepted,
    codes: StatusCodes,
}

impl Reply {
    /// Reads what the client accepts.
    pub(super) fn new(headers: &HeaderMap, codes: StatusCodes) -> Self {
        Self {
            accepted: Accepted::of(headers),
            codes,
        }
    }

    /// Answers with the result of an operation.
    pub(super) fn executed(self, executed: Executed) -> Response {
        let Some(result_type) = self.accepted.result else {
            return events::result(&executed.json);
        };

        let status = match self.codes {
            StatusCodes::Since2026 if executed.has_errors => partial_success(),
            _ => StatusCode::OK,
        };
        respond(status, result_type, executed.json)
    }

    /// Answers with request errors: nothing was executed. With `application/json` the status of a well-formed request is
    /// 200 (audits of `graphql-http`), since a status of a proxy could not be told from it.
    pub(super) fn rejected(self, errors: Vec<ServerError>) -> Response {
        let code = errors.first().and_then(code).unwrap_or(Code::BadRequest);
        // A safe method must not look as if it had changed something, to no client and no proxy.
        if code == Code::MethodNotAllowed {
            let response = self.with_errors(code.status(), &errors);
            return with_header(response, header::ALLOW, MUTATION_METHODS);
        }
        let Some(result_type) = self.accepted.result else {
            return events::errors(&errors);
        };

        let status = match (self.codes, result_type) {
            (StatusCodes::Audited, ResultType::Json) => StatusCode::OK,
            (StatusCodes::Audited, ResultType::GraphqlResponse) => code.status(),
            (StatusCodes::Since2026, _) => status_since_2026(code),
        };
        self.with_errors(status, &errors)
    }

    /// Answers a request that is not one of GraphQL, or whose caller is not known. The status tells it in every media type.
    pub(super) fn refused(self, problem: Problem) -> Response {
        let status = problem.code.status();
        self.refused_with(status, problem)
    }

    /// Answers a request that cannot be read.
    pub(super) fn unread(self, fault: Fault) -> Response {
        match fault {
            Fault::Body(fault) => self.without_body(fault),
            Fault::Malformed(malformed) => self.malformed(malformed),
        }
    }

    fn malformed(self, malformed: Malformed) -> Response {
        let status = match self.codes {
            StatusCodes::Since2026 if malformed.is_shape => StatusCode::UNPROCESSABLE_ENTITY,
            _ => malformed.problem.code.status(),
        };

        self.refused_with(status, malformed.problem)
    }

    fn without_body(self, fault: BodyFault) -> Response {
        let response = self.refused(fault.into());

        match fault {
            // Only for this reason: it says that the media type was right (RFC 9110, section 15.5.16).
            BodyFault::Encoding => {
                let encodings = HeaderValue::from_static(ENCODINGS);
                with_header(response, header::ACCEPT_ENCODING, encodings)
            }
            BodyFault::MediaType => {
                let media_type = HeaderValue::from_static("application/json");
                with_header(response, header::ACCEPT, media_type)
            }
            _ => response,
        }
    }

    fn refused_with(self, status: StatusCode, problem: Problem) -> Response {
        let retry_after = problem.retry_after;
        let mut response = self.with_errors(status, &[problem.into()]);

        if let Some(after) = retry_after {
            // The header holds whole seconds; 0 would ask the client to repeat at once.
            let seconds = after.as_secs().max(1).into();
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        // A 401 without a challenge is not allowed (RFC 9110, section 15.5.2).
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            return with_header(response, header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn with_errors(self, status: StatusCode, errors: &[ServerError]) -> Response {
        let accepted = self.accepted.result.unwrap_or(ResultType::Json);
        // Since 2026 plain JSON is a name for success only; what is not is told in the type that promises a response of
        // GraphQL. A client that accepts nothing of ours gets what most can read.
        let result_type = match self.codes {
            StatusCodes::Since2026 if !status.is_success() && self.accepted.result.is_some() => {
                ResultType::GraphqlResponse
            }
            _ => accepted,
        };

        // Written here: the library's response would have `data: null`, which says that execution began.
        respond(status, result_type, json!({ "errors": errors }).to_string())
    }
}

/// Answers `OPTIONS`: what the endpoint can do.
pub(super) fn options() -> Response {
    let response = StatusCode::NO_CONTENT.into_response();
    let response = with_header(response, header::ALLOW, METHODS);

    let media_type = HeaderValue::from_static("application/json");
    with_header(response, ACCEPT_QUERY, media_type)
}

/// Returns the response with one more header.
pub(super) fn with_header(
    mut response: Response,
    name: HeaderName,
    value: HeaderValue,
) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// Returns the status of a request error by the specification since April 2026.
fn status_since_2026(code: Code) -> StatusCode {
    match code {
        Code::GraphqlValidationFailed | Code::BadUserInput | Code::QueryTooComplex => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        code => code.status(),
    }
}

fn partial_success() -> StatusCode {
    StatusCode::from_u16(PARTIAL_SUCCESS).expect("a number of three digits is a status")
}

fn respond(status: StatusCode, result_type: ResultType, body: String) -> Response {
    let media_type = match result_type {
        ResultType::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        ResultType::Json => "application/json; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        // An answer belongs to one API key, which caches do not look at.
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];

    (status, headers, body).into_response()
}
