//! Every "no" that a client can be given: one table from code to HTTP status and to whether trying again helps.

use std::time::Duration;

use async_graphql::ErrorExtensions;
use axum::http::StatusCode;
use backbone::{Error, FieldError};
use live::SubscribeError;
use seller_core::Refusal;

/// The codes of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No key, or one that is not known.
    Unauthenticated,
    /// A known key that may not do this.
    Forbidden,
    /// The request is not one.
    BadRequest,
    /// A value is not allowed; `fields` says which.
    BadUserInput,
    /// What is named is not there, or not for this caller.
    NotFound,
    /// Somebody else changed it first.
    Conflict,
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused,
    /// The position is older than what is kept: query again, then subscribe.
    PositionExpired,
    /// The read model did not reach the position in time.
    PositionNotReached,
    /// Too much at a time.
    RateLimited,
    /// More than one may hold.
    LimitExceeded,
    /// The body is too large.
    PayloadTooLarge,
    /// The document asks for too much.
    QueryTooComplex,
    /// The document is not GraphQL.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// A store is away: nothing has happened.
    Unavailable,
    /// It may have happened or not: repeat it with the same idempotency key.
    UnknownOutcome,
    /// A fault of ours, told in our log.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 18] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::BadRequest,
        Self::BadUserInput,
        Self::NotFound,
        Self::Conflict,
        Self::IdempotencyKeyReused,
        Self::PositionExpired,
        Self::PositionNotReached,
        Self::RateLimited,
        Self::LimitExceeded,
        Self::PayloadTooLarge,
        Self::QueryTooComplex,
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::Unavailable,
        Self::UnknownOutcome,
        Self::Internal,
    ];

    /// The name in `extensions.code`, the status of a REST answer, and whether the same request may succeed later.
    const fn row(self) -> (&'static str, StatusCode, bool) {
        match self {
            Self::Unauthenticated => ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, false),
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN, false),
            Self::BadRequest => ("BAD_REQUEST", StatusCode::BAD_REQUEST, false),
            Self::BadUserInput => ("BAD_USER_INPUT", StatusCode::BAD_REQUEST, false),
            Self::NotFound => ("NOT_FOUND", StatusCode::NOT_FOUND, false),
            Self::Conflict => ("CONFLICT", StatusCode::CONFLICT, false),
            Self::IdempotencyKeyReused => (
                "IDEMPOTENCY_KEY_REUSED",
                StatusCode::UNPROCESSABLE_ENTITY,
                false,
            ),
            Self::PositionExpired => ("POSITION_EXPIRED", StatusCode::GONE, false),
            Self::PositionNotReached => (
                "POSITION_NOT_REACHED",
                StatusCode::SERVICE_UNAVAILABLE,
                true,
            ),
            Self::RateLimited => ("RATE_LIMITED", StatusCode::TOO_MANY_REQUESTS, true),
            Self::LimitExceeded => ("LIMIT_EXCEEDED", StatusCode::UNPROCESSABLE_ENTITY, false),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, false),
            Self::QueryTooComplex => ("QUERY_TOO_COMPLEX", StatusCode::BAD_REQUEST, false),
            Self::GraphqlParseFailed => ("GRAPHQL_PARSE_FAILED", StatusCode::BAD_REQUEST, false),
            Self::GraphqlValidationFailed => {
                ("GRAPHQL_VALIDATION_FAILED", StatusCode::BAD_REQUEST, false)
            }
            Self::Unavailable => ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::UnknownOutcome => ("UNKNOWN_OUTCOME", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Internal => ("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR, false),
        }
    }

    /// The name in `extensions.code`.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status of an answer that carries only this error.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        self.row().2
    }

    /// The code of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// A "no" with what a client needs to act on it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Which no.
    pub code: Code,
    /// For people; never the text of a fault of ours.
    pub message: String,
    /// With BAD_USER_INPUT: what is wrong, field by field.
    pub fields: Vec<FieldError>,
    /// With CONFLICT: the version that stands.
    pub current_version: Option<u32>,
    /// With RATE_LIMITED: when to come again.
    pub retry_after: Option<Duration>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// Just a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: Vec::new(),
            current_version: None,
            retry_after: None,
            retryable: code.retryable(),
        }
    }

    /// One value is wrong.
    pub fn input(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::inputs(vec![FieldError::new(path, message)])
    }

    /// Values are wrong.
    pub fn inputs(fields: Vec<FieldError>) -> Self {
        let listed: Vec<String> = fields
            .iter()
            .map(|field| format!("{} {}", field.path, field.message))
            .collect();
        Self {
            fields,
            ..Self::new(Code::BadUserInput, listed.join("; "))
        }
    }

    /// No key, or one that is not known.
    pub fn unauthenticated(message: &str) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// Not for this role.
    pub fn forbidden(message: &str) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// A fault of ours: the log gets the text, the client does not.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "internal error: {why}");
        Self::new(Code::Internal, "internal error")
    }

    /// A write of the seller side that was refused. `root` is what field paths begin with: `input.` or nothing.
    pub fn refused(refusal: Refusal, root: &str) -> Self {
        match refusal {
            Refusal::Invalid(fields) => {
                let named = |field: FieldError| {
                    // The idempotency key stands beside the input rather than in it.
                    let root = if field.path == "idempotencyKey" {
                        ""
                    } else {
                        root
                    };
                    field.below(root)
                };
                Self::inputs(fields.into_iter().map(named).collect())
            }
            Refusal::NotFound => Self::new(Code::NotFound, "there is no such thing of this seller"),
            Refusal::AlreadyExists => Self::new(Code::Conflict, "it exists already"),
            Refusal::VersionConflict { current } => Self {
                current_version: Some(current),
                ..Self::new(Code::Conflict, format!("the deal is at version {current}"))
            },
            Refusal::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "the idempotency key was used with another request",
            ),
            Refusal::Contended => Self {
                retryable: true,
                ..Self::new(Code::Conflict, "others kept changing it; try again")
            },
            Refusal::LaneFull => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(Code::RateLimited, "too many changes of it are waiting")
            },
            Refusal::Unavailable(why) => {
                tracing::warn!(why, "a mutation was refused: {why}");
                Self::new(
                    Code::Unavailable,
                    "the event log is unavailable; nothing was written",
                )
            }
            Refusal::UnknownOutcome(why) => {
                tracing::warn!(why, "a mutation's outcome is unknown: {why}");
                Self::new(
                    Code::UnknownOutcome,
                    "it may be written or not: repeat it with the same idempotency key",
                )
            }
            Refusal::Broken(why) => Self::internal(why),
        }
    }

    /// A wish about webhooks that was refused. `root` is what field paths begin with: `input.` or nothing.
    pub fn webhook(refusal: webhooks::Refusal, root: &str) -> Self {
        match refusal {
            webhooks::Refusal::Invalid(fields) => {
                Self::inputs(fields.into_iter().map(|field| field.below(root)).collect())
            }
            webhooks::Refusal::Store(error) => error.into(),
            refused => {
                let code = match &refused {
                    webhooks::Refusal::NotFound => Code::NotFound,
                    webhooks::Refusal::LimitExceeded => Code::LimitExceeded,
                    _ => Code::Conflict,
                };
                Self::new(code, refused.to_string())
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable { what, why } => {
                tracing::warn!(what, why, "{what} is unavailable: {why}");
                Self::new(Code::Unavailable, format!("the {what} is unavailable"))
            }
            Error::Conflict { what } => {
                Self::new(Code::Conflict, format!("the {what} has it already"))
            }
            broken @ Error::Broken { .. } => Self::internal(broken),
        }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NotReady => Self::new(Code::Unavailable, error.to_string()),
            SubscribeError::OtherMarket | SubscribeError::NotReached => {
                Self::input("after", error.to_string())
            }
            SubscribeError::Expired => Self::new(
                Code::PositionExpired,
                "changes since that position are no longer kept: query again, then subscribe from the answer's position",
            ),
            SubscribeError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for async_graphql::Error {
    fn from(problem: Problem) -> Self {
        let Problem {
            code,
            message,
            fields,
            current_version,
            retry_after,
            retryable,
        } = problem;
        Self::new(message).extend_with(|_, extensions| {
            extensions.set("code", code.as_str());
            extensions.set("retryable", retryable);
            if !fields.is_empty() {
                let fields = fields.into_iter().map(
                    |FieldError { path, message }| async_graphql::value!({ "path": path, "message": message }),
                );
                extensions.set("fields", async_graphql::Value::List(fields.collect()));
            }
            if let Some(version) = current_version {
                extensions.set("currentVersion", version);
            }
            if let Some(after) = retry_after {
                extensions.set("retryAfterMs", after.as_millis() as u64);
            }
        })
    }
}

impl From<Problem> for async_graphql::ServerError {
    fn from(problem: Problem) -> Self {
        async_graphql::Error::from(problem).into_server_error(async_graphql::Pos::default())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_have_names_of_their_own() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }
}
