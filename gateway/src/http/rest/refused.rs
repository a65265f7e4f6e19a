//! Errors of REST: a problem, and the status where HTTP has a more exact one than the problem's code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{Code, Problem};

/// Error of a REST request, as problem details (RFC 9457).
pub(in crate::http) struct Refused {
    problem: Problem,
    reason: Reason,
}

/// Reason of an error that decides its status.
#[derive(Clone, Copy)]
enum Reason {
    /// The problem, whose code has a status.
    Problem,
    /// 406.
    NotAcceptable,
    /// 412.
    PreconditionFailed,
    /// 415, because of the media type.
    MediaType,
    /// 415, because of the content coding.
    Coding,
}

impl Refused {
    /// Builds the error of a client that does not accept JSON.
    pub(super) fn not_acceptable() -> Self {
        Self::with(
            Reason::NotAcceptable,
            "The only media type of this path is application/json, which the Accept header excludes",
        )
    }

    /// Builds the error of a body that is not declared as JSON.
    pub(super) fn unsupported_media_type() -> Self {
        Self::with(
            Reason::MediaType,
            "The Content-Type must be application/json",
        )
    }

    /// Builds the error of a body with a content coding.
    pub(super) fn unsupported_coding() -> Self {
        Self::with(
            Reason::Coding,
            "The body must be sent without a Content-Encoding",
        )
    }

    /// Builds the error of a precondition over a resource that has no tag of its own.
    pub(super) fn precondition_failed() -> Self {
        Self::with(
            Reason::PreconditionFailed,
            "If-Match or If-None-Match excludes the current state",
        )
    }

    /// Builds the error of a precondition that the conflict `problem` is about.
    pub(super) fn precondition_of(problem: Problem) -> Self {
        Self {
            problem,
            reason: Reason::PreconditionFailed,
        }
    }

    fn with(reason: Reason, message: &str) -> Self {
        // The codes of the public contract have none for these; the status tells it.
        let code = match reason {
            Reason::PreconditionFailed => Code::Conflict,
            _ => Code::BadRequest,
        };

        Self {
            problem: Problem::new(code, message),
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
        let status = match self.reason {
            Reason::Problem => return self.problem.into_response(),
            Reason::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Reason::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Reason::MediaType | Reason::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        };
        let mut response = self.problem.with_status(status);

        // What would have been accepted (RFC 9110, sections 12.5.1 and 12.5.3).
        let hint = match self.reason {
            Reason::MediaType => Some((header::ACCEPT, "application/json")),
            Reason::Coding => Some((header::ACCEPT_ENCODING, "identity")),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }

        response
    }
}
