//! Problems: errors that clients see, and the mapping of internal errors to them.

mod code;
mod rows;

use std::time::Duration;

use async_graphql::ErrorExtensions;
use backbone::{Error, FieldError, random};
use live::{ReadError, SubscribeError};
use seller_core::Refusal;

use crate::standing::{Standing, whole_millis};

pub use code::Code;
pub use rows::{CodeRow, Effect, Scope, Transport};

/// Delay suggested to a client whose change found the queue of its subject full. The queue drains in well under a
/// second, so this spreads retries without making anyone wait for long.
const LANE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Input values that one error lists. The others are only counted: a small request can hold a hundred thousand.
pub const MAX_FIELDS: usize = 50;

/// Input values that the message of one error repeats.
const MAX_IN_MESSAGE: usize = 10;

/// Longest path of an input value that is told, in characters. A caller may name a field of any length.
const MAX_PATH: usize = 200;

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
    /// Standing within the rate limit that refused the request. Only with RATE_LIMITED.
    pub standing: Option<Box<Standing>>,
    /// Number of the line in the log that has the cause. Only with INTERNAL.
    pub error_id: Option<u64>,
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
            standing: None,
            error_id: None,
            retryable: code.retryable(),
        }
    }

    /// Builds BAD_USER_INPUT for one value. `message` continues a sentence that begins with the path: "must be …".
    pub fn input(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::inputs(vec![FieldError::new(path, message)])
    }

    /// Builds BAD_USER_INPUT for several values, of which at most [`MAX_FIELDS`] are told.
    pub fn inputs(fields: Vec<FieldError>) -> Self {
        Self::inputs_and_more(fields, 0)
    }

    /// Builds BAD_USER_INPUT as [`Problem::inputs`] does, for `more` values than those that are given.
    pub fn inputs_and_more(mut fields: Vec<FieldError>, more: usize) -> Self {
        let count = fields.len() + more;
        fields.truncate(MAX_FIELDS);
        for field in &mut fields {
            if let Some((end, _)) = field.path.char_indices().nth(MAX_PATH) {
                field.path.truncate(end);
            }
        }

        let shown = fields.iter().take(MAX_IN_MESSAGE);
        let mut sentences: Vec<String> = shown
            .map(|field| format!("{} {}", field.path, field.message))
            .collect();
        if count > sentences.len() {
            sentences.push(format!("and {} more", count - sentences.len()));
        }

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

    /// Builds INTERNAL with a new id, and logs the cause under it. The client sees the id only.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        let id = u64::from_be_bytes(random::random_bytes());
        tracing::error!(error_id = error_id(id), %why, "Internal error {}: {why}", error_id(id));

        Self {
            error_id: Some(id),
            ..Self::new(Code::Internal, "An internal error occurred")
        }
    }

    /// Returns the problem of a request that writes nothing: its outcome is never open.
    #[must_use]
    pub fn of_read(self) -> Self {
        match self.code {
            Code::UnknownOutcome => Self {
                code: Code::Unavailable,
                message: "The database cannot be reached; try again later".to_owned(),
                ..self
            },
            _ => self,
        }
    }

    /// Builds UNKNOWN_OUTCOME for a write that was not confirmed, and logs why.
    pub fn unconfirmed(what: &str, why: impl std::fmt::Display) -> Self {
        tracing::warn!(what, %why, "{what} did not confirm a write: {why}");
        Self::new(
            Code::UnknownOutcome,
            "The change may or may not have been made; repeat the request with the same idempotency \
             key, or read the current state first",
        )
    }

    /// Builds the problem of a mutation that the seller side refused. `root` is the prefix of field paths: `input.` in
    /// GraphQL, empty in REST.
    pub fn refused(refusal: Refusal, root: &str) -> Self {
        match refusal {
            Refusal::Invalid(fields) => Self::invalid_mutation(fields, root),
            Refusal::NotFound => Self::new(Code::NotFound, "This seller has no deal with this id"),
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
            webhooks::Refusal::KeyReused => Code::IdempotencyKeyReused,
            _ => Code::Conflict,
        };

        Self::new(code, refusal.to_string())
    }
}

/// Writes the id of an internal error as clients and the log show it.
pub fn error_id(id: u64) -> String {
    format!("{id:016x}")
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
            Error::Unknown { what, why } => Self::unconfirmed(what, why),
            Error::Blocked { what, why } => {
                tracing::error!(what, why, "{what} needs an operator: {why}");
                Self::new(
                    Code::Unavailable,
                    format!("The {what} is unavailable until an operator intervenes"),
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
            SubscribeError::Store(error) => Self::from(error).of_read(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OtherLog { .. } => Self::new(Code::PositionExpired, error.to_string()),
            ReadError::NotReached => Self::new(Code::PositionNotReached, error.to_string()),
            ReadError::Store(error) => Self::from(error).of_read(),
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
            standing: _,
            error_id: id,
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
                extensions.set("retryAfterMs", whole_millis(after));
            }
            if let Some(id) = id {
                extensions.set("errorId", error_id(id));
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
