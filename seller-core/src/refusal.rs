//! Why a mutation did not happen, as data: the one list of "no" that callers map to their codes.

use backbone::FieldError;
use backbone::write_path::WriteError;

/// Why a mutation is not known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rules say no; every violation, never none.
    #[error("the input breaks the rules")]
    Invalid(Vec<FieldError>),
    /// There is no such deal of this seller, or no grant that could be revoked.
    #[error("not found")]
    NotFound,
    /// The deal is not at the version that the caller expected.
    #[error("the deal is at version {current}")]
    VersionConflict {
        /// The deal's version.
        current: u32,
    },
    /// A deal with the id that was asked for came from another creation.
    #[error("a deal with this id exists already")]
    AlreadyExists,
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// Others kept changing the subject; nothing was written. Retry.
    #[error("others kept changing it")]
    Contended,
    /// Too many mutations of the subject wait already; nothing was written. Retry later.
    #[error("too many mutations of it wait already")]
    LaneFull,
    /// The log is away or refuses; nothing was written. Retry later.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It may have happened or not: the same again, with the same key, tells.
    #[error("the outcome is unknown: {0}")]
    UnknownOutcome(String),
    /// What the log holds is not as it must be.
    #[error("broken: {0}")]
    Broken(String),
}

impl From<WriteError<Self>> for Refusal {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Rejected(refusal) => refusal,
            WriteError::KeyReused => Self::KeyReused,
            WriteError::Contended => Self::Contended,
            WriteError::LaneFull => Self::LaneFull,
            WriteError::Unavailable(why) => Self::Unavailable(why),
            WriteError::UnknownOutcome(why) => Self::UnknownOutcome(why),
            WriteError::Broken(why) => Self::Broken(why),
        }
    }
}
