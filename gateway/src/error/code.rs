//! Codes of the public contract: one table from code to its name, its HTTP status and whether a retry can help.

use axum::http::StatusCode;

/// Codes of the public contract, in `extensions.code` of GraphQL errors and in `code` of problem details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request has no API key, or one that is unknown or revoked. Check the key before trying again.
    Unauthenticated,
    /// The API key is valid, but its account must not do this.
    Forbidden,
    /// The request is malformed, such as a body that is not JSON.
    BadRequest,
    /// The path does not support this method, or the operation may not be executed with it. `Allow` lists those that do.
    MethodNotAllowed,
    /// The client accepts none of the media types that the response can have.
    NotAcceptable,
    /// The body's media type or content encoding is not supported.
    UnsupportedMediaType,
    /// No document with this hash is stored. Send its text with the hash.
    PersistedQueryNotFound,
    /// The server does not store documents by their hash. Send the text.
    PersistedQueryNotSupported,
    /// The server executes trusted documents only, and the request names none of them.
    PersistedQueryRequired,
    /// An input value breaks a rule; `fields` lists each with its path.
    BadUserInput,
    /// The requested object does not exist, or the caller must not see it.
    NotFound,
    /// Another change came first. Read the current state, then decide again.
    Conflict,
    /// The idempotency key was already used with a different request. Use a new key for a new request.
    IdempotencyKeyReused,
    /// The position is older than the changes that are kept. Query again, then subscribe from the new position.
    PositionExpired,
    /// The tables have not reached the requested position in time. Try again shortly.
    PositionNotReached,
    /// The caller sends more at a time than is allowed. Try again after `retryAfterMs`, if it is given.
    RateLimited,
    /// The account already holds as many of these objects as it may. Delete one first.
    LimitExceeded,
    /// The request body exceeds the size limit.
    PayloadTooLarge,
    /// The GraphQL document exceeds the limits of depth or cost. Request fewer fields or smaller pages.
    QueryTooComplex,
    /// The GraphQL document has a syntax error.
    GraphqlParseFailed,
    /// The GraphQL document does not fit the schema.
    GraphqlValidationFailed,
    /// A server that is needed does not answer. Nothing was written; try again later.
    Unavailable,
    /// The write may or may not have happened. Repeat it with the same idempotency key.
    UnknownOutcome,
    /// A fault of the gateway. Its log has the details.
    Internal,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 24] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::UnsupportedMediaType,
        Self::PersistedQueryNotFound,
        Self::PersistedQueryNotSupported,
        Self::PersistedQueryRequired,
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

    /// Row of the table: the name, the HTTP status, and whether the same request may succeed later.
    const fn row(self) -> (&'static str, StatusCode, bool) {
        match self {
            Self::Unauthenticated => ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, false),
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN, false),
            Self::BadRequest => ("BAD_REQUEST", StatusCode::BAD_REQUEST, false),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED, false),
            Self::NotAcceptable => ("NOT_ACCEPTABLE", StatusCode::NOT_ACCEPTABLE, false),
            Self::UnsupportedMediaType => (
                "UNSUPPORTED_MEDIA_TYPE",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                false,
            ),
            Self::PersistedQueryNotFound => {
                ("PERSISTED_QUERY_NOT_FOUND", StatusCode::BAD_REQUEST, false)
            }
            Self::PersistedQueryNotSupported => (
                "PERSISTED_QUERY_NOT_SUPPORTED",
                StatusCode::BAD_REQUEST,
                false,
            ),
            Self::PersistedQueryRequired => {
                ("PERSISTED_QUERY_REQUIRED", StatusCode::BAD_REQUEST, false)
            }
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

    /// Name of the code as clients see it.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// HTTP status of a response that carries only this error.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Returns whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        self.row().2
    }

    /// Returns the code with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }
}
