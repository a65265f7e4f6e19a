//! Errors of REST: a problem, and the status where HTTP has a more exact one than the problem's code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{Code, Problem};
use crate::http::json_body::{BodyFault, ENCODINGS};

/// Error of a REST request, as problem details (RFC 9457).
pub(in crate::http) struct Refused {
    problem: Problem,
    reason: Reason,
}

/// Reason of an error that decides its status and headers.
#[derive(Clone, Copy)]
enum Reason {
    /// The problem, whose code has a status.
    Problem,
    /// 412.
    PreconditionFailed,
    /// 415, because of the media type.
    MediaType,
    /// 415, because of the content encoding.
    Encoding,
}

impl Refused {
    /// Builds the error of a client that does not accept JSON.
    pub(super) fn not_acceptable() -> Self {
        let message = "The only media type of this path is application/json, which the Accept header excludes";

        Problem::new(Code::NotAcceptable, message).into()
    }

    /// Builds the error of a precondition over a resource that has no tag of its own.
    pub(super) fn precondition_failed() -> Self {
        let message = "If-Match or If-None-Match excludes the current state";

        Self::precondition_of(Problem::new(Code::Conflict, message))
    }

    /// Builds the error of a precondition that the conflict `problem` is about.
    pub(super) fn precondition_of(problem: Problem) -> Self {
        Self {
            problem,
            reason: Reason::PreconditionFailed,
        }
    }
}

impl From<BodyFault> for Refused {
    fn from(fault: BodyFault) -> Self {
        let reason = match fault {
            BodyFault::MediaType => Reason::MediaType,
            BodyFault::Encoding => Reason::Encoding,
            _ => Reason::Problem,
        };

        Self {
            problem: fault.into(),
            reason,
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            reason: Reason::Problem,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = match self.reason {
            Reason::PreconditionFailed => self.problem.with_status(StatusCode::PRECONDITION_FAILED),
            _ => self.problem.into_response(),
        };

        // What would have been accepted (RFC 9110, sections 12.5.1 and 12.5.3).
        let hint = match self.reason {
            Reason::MediaType => Some((header::ACCEPT, "application/json")),
            Reason::Encoding => Some((header::ACCEPT_ENCODING, ENCODINGS)),
            _ => None,
        };
        if let Some((name, value)) = hint {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }

        response
    }
}
