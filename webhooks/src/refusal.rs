//! Business refusals: the ways in which a request about webhooks can be turned down.

use backbone::{Error, FieldError};

use crate::model::MAX_WEBHOOKS;

/// Reason why a request about webhooks was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// Input that violates the rules, with every violation; the list is never empty.
    #[error("The input is invalid")]
    Invalid(Vec<FieldError>),
    /// Endpoint, delivery or replay that does not exist or belongs to another buyer.
    #[error("This buyer has no such webhook, delivery or replay")]
    NotFound,
    /// Registration beyond [`MAX_WEBHOOKS`] endpoints.
    #[error("A buyer can have at most {MAX_WEBHOOKS} webhooks: delete one to register another")]
    LimitExceeded,
    /// State of the endpoint or delivery that does not permit the request; the text says which.
    #[error("{0}")]
    Conflict(&'static str),
    /// Idempotency key of another request.
    #[error("This idempotency key was already used with a different request")]
    KeyReused,
    /// Failure of the store.
    #[error(transparent)]
    Store(#[from] Error),
}
