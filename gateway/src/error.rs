//! Problems: errors that clients see, and the mapping of internal errors to them.

mod code;

use std::time::Duration;

use async_graphql::ErrorExtensions;
use backbone::{Error, FieldError};
use live::{ReadError, SubscribeError};
use seller_core::Refusal;

pub use code::Code;

/// Delay suggested to a client whose change found the queue of its subject full. The queue drains in well under a
/// second, so this spreads retries without making anyone wait for long.
const LANE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error with everything that a client needs to act on it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Code of the public contract.
    pub code: Code,
    /// Explanation for people. Never contains the text of an internal error.
    pub message: String,
    /// Input values that break a rule, each with its path. Only with BAD_USER_INPUT.
    pub fields: Vec<FieldError>,
    /// Current version of the deal. Only with CONFLICT over `expectedVersion`.
    pub current_version: Option<u32>,
    /// Delay after which a retry makes sense. Only with RATE_LIMITED.
    pub retry_after: Option<Duration>,
    /// True if the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// Builds a problem of a code and a message, retryable if the code is.
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

    /// Builds BAD_USER_INPUT for one value. `message` continues a sentence that begins with the path: "must be …".
    pub fn input(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::inputs(vec![FieldError::new(path, message)])
    }

    /// Builds BAD_USER_INPUT for several values.
    pub fn inputs(fields: Vec<FieldError>) -> Self {
        let sentences: Vec<String> = fields
            .iter()
            .map(|field| format!("{} {}", field.path, field.message))
            .collect();

        Self {
            fields,
            ..Self::new(Code::BadUserInput, sentences.join("; "))
        }
    }

    /// Builds UNAUTHENTICATED.
    pub fn unauthenticated(message: &str) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// Builds FORBIDDEN.
    pub fn forbidden(message: &str) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// Builds INTERNAL and logs the cause, which the client does not see.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "Internal error: {why}");
        Self::new(
            Code::Internal,
            "An internal error occurred; the server's log has the details",
        )
    }

    /// Builds the problem of a mutation that the seller side refused. `root` is the prefix of field paths: `input.` in
    /// GraphQL, empty in REST.
    pub fn refused(refusal: Refusal, root: &str) -> Self {
        match refusal {
            Refusal::Invalid(fields) => Self::invalid_mutation(fields, root),
            Refusal::NotFound => Self::new(Code::NotFound, "No such deal exists for this seller"),
            Refusal::AlreadyExists => {
                Self::new(Code::Conflict, "A deal with this id already exists")
            }
            Refusal::VersionConflict { current } => Self {
                current_version: Some(current),
                ..Self::new(
                    Code::Conflict,
                    format!("The deal has changed; its current version is {current}"),
                )
            },
            Refusal::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "This idempotency key was already used with a different request",
            ),
            Refusal::Contended => Self {
                // Unlike a version conflict, nothing that the caller read was wrong: it only lost every race.
                retryable: true,
                ..Self::new(
                    Code::Conflict,
                    "Concurrent changes kept this one from being written; try again",
                )
            },
            Refusal::LaneFull => Self {
                retry_after: Some(LANE_RETRY_AFTER),
                ..Self::new(
                    Code::RateLimited,
                    "Too many changes to the same deal or buyer access are waiting; try again later",
                )
            },
            Refusal::Unavailable(why) => {
                tracing::warn!(why, "A mutation was refused: {why}");
                Self::new(
                    Code::Unavailable,
                    "The event log is unavailable and nothing was written; try again later",
                )
            }
            Refusal::UnknownOutcome(why) => {
                tracing::warn!(why, "The outcome of a mutation is unknown: {why}");
                Self::new(
                    Code::UnknownOutcome,
                    "The change may or may not have been written; \
                     repeat the request with the same idempotency key",
                )
            }
            Refusal::Broken(why) => Self::internal(why),
        }
    }

    fn invalid_mutation(fields: Vec<FieldError>, root: &str) -> Self {
        let with_root = |field: FieldError| {
            // The idempotency key is an argument beside the input rather than a field of it.
            if field.path == "idempotencyKey" {
                field
            } else {
                field.below(root)
            }
        };

        Self::inputs(fields.into_iter().map(with_root).collect())
    }

    /// Builds the problem of a webhook request that was refused. `root` is the prefix of field paths: `input.` or
    /// empty.
    pub fn webhook(refusal: webhooks::Refusal, root: &str) -> Self {
        let code = match refusal {
            webhooks::Refusal::Invalid(fields) => {
                let fields = fields.into_iter().map(|field| field.below(root));
                return Self::inputs(fields.collect());
            }
            webhooks::Refusal::Store(error) => return error.into(),
            webhooks::Refusal::NotFound => Code::NotFound,
            webhooks::Refusal::LimitExceeded => Code::LimitExceeded,
            _ => Code::Conflict,
        };

        Self::new(code, refusal.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable { what, why } => {
                // The reason goes to the log only: a driver's message may name hosts and users.
                tracing::warn!(what, why, "{what} is unavailable: {why}");
                Self::new(
                    Code::Unavailable,
                    format!("The {what} is unavailable; try again later"),
                )
            }
            Error::Blocked { what, why } => {
                tracing::error!(what, why, "{what} needs an operator: {why}");
                Self::new(
                    Code::Unavailable,
                    format!("The {what} is unavailable until an operator has looked at it"),
                )
            }
            // Requests move no checkpoint, so a conflict here is a fault of the program as well.
            broken @ (Error::Conflict { .. } | Error::Broken { .. }) => Self::internal(broken),
        }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NotReady => Self::new(Code::Unavailable, error.to_string()),
            SubscribeError::NotReached => Self::input("after", error.to_string()),
            SubscribeError::OtherLog => Self::new(Code::PositionExpired, error.to_string()),
            SubscribeError::Expired => Self::new(
                Code::PositionExpired,
                "Changes since this position are no longer kept; \
                 query again, then subscribe from the position of that response",
            ),
            SubscribeError::Store(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OtherLog { .. } => Self::new(Code::PositionExpired, error.to_string()),
            ReadError::NotReached => Self::new(Code::PositionNotReached, error.to_string()),
            ReadError::Store(error) => error.into(),
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
        let error = async_graphql::Error::from(problem);
        let mut error = error.into_server_error(async_graphql::Pos::default());

        // A problem has no place in the document, and lines begin at 1 (GraphQL, section 7.1.2).
        error.locations.clear();
        error
    }
}
