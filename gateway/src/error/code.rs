//! Codes of the public contract. The table of what they mean is in `rows.rs`.

use axum::http::StatusCode;

use super::rows::*;

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

    /// Returns the row of the table.
    pub const fn row(self) -> &'static CodeRow {
        match self {
            Self::Unauthenticated => &UNAUTHENTICATED,
            Self::Forbidden => &FORBIDDEN,
            Self::BadRequest => &BAD_REQUEST,
            Self::MethodNotAllowed => &METHOD_NOT_ALLOWED,
            Self::NotAcceptable => &NOT_ACCEPTABLE,
            Self::UnsupportedMediaType => &UNSUPPORTED_MEDIA_TYPE,
            Self::PersistedQueryNotFound => &PERSISTED_QUERY_NOT_FOUND,
            Self::PersistedQueryNotSupported => &PERSISTED_QUERY_NOT_SUPPORTED,
            Self::PersistedQueryRequired => &PERSISTED_QUERY_REQUIRED,
            Self::BadUserInput => &BAD_USER_INPUT,
            Self::NotFound => &NOT_FOUND,
            Self::Conflict => &CONFLICT,
            Self::IdempotencyKeyReused => &IDEMPOTENCY_KEY_REUSED,
            Self::PositionExpired => &POSITION_EXPIRED,
            Self::PositionNotReached => &POSITION_NOT_REACHED,
            Self::RateLimited => &RATE_LIMITED,
            Self::LimitExceeded => &LIMIT_EXCEEDED,
            Self::PayloadTooLarge => &PAYLOAD_TOO_LARGE,
            Self::QueryTooComplex => &QUERY_TOO_COMPLEX,
            Self::GraphqlParseFailed => &GRAPHQL_PARSE_FAILED,
            Self::GraphqlValidationFailed => &GRAPHQL_VALIDATION_FAILED,
            Self::Unavailable => &UNAVAILABLE,
            Self::UnknownOutcome => &UNKNOWN_OUTCOME,
            Self::Internal => &INTERNAL,
        }
    }

    /// Name of the code as clients see it.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// HTTP status of a response that carries only this error.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// Returns whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        self.row().retryable
    }

    /// Returns the code with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Effect;
    use super::Code;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn every_code_can_occur_somewhere_and_says_what_to_do() {
        for code in Code::ALL {
            let row = code.row();
            assert!(
                !row.over.is_empty() && row.meaning.ends_with('.'),
                "{row:?}"
            );
        }
    }

    #[test]
    fn success_of_a_repeat_is_never_promised_with_an_unknown_effect_but_for_a_repeat_that_is_recognised()
     {
        let unknown = Code::ALL
            .into_iter()
            .filter(|code| code.row().effect == Effect::Unknown);
        let retryable: Vec<_> = unknown.filter(|code| code.retryable()).collect();

        assert_eq!(retryable, [Code::UnknownOutcome]);
    }
}
