//! Reasons for which a mutation did not happen, as data that callers map to the codes of their
//! protocol.

use backbone::FieldError;
use backbone::write_path::WriteError;

/// The reason for which a mutation did not happen, or is not known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The input breaks the rules. Holds every violation, at least one.
    #[error("the input is invalid: {}", violations(.0))]
    Invalid(Vec<FieldError>),
    /// The seller has no such deal, or never granted the access that should be revoked.
    #[error("the deal or access does not exist for this seller")]
    NotFound,
    /// The deal is not at the version that the caller expected.
    #[error("the deal is at version {current}, not at the expected one")]
    VersionConflict {
        /// Version that the deal is at now.
        current: u32,
    },
    /// Another creation made a deal of the requested id.
    #[error("a deal with this id already exists")]
    AlreadyExists,
    /// The idempotency key was used with another request.
    #[error("the idempotency key was already used with a different request")]
    KeyReused,
    /// Other writers kept changing the subject. Nothing was written; retry.
    #[error("other requests kept changing the same deal or access; nothing was written")]
    Contended,
    /// The subject's lane is full. Nothing was written; retry later.
    #[error("too many changes to the same deal or access are waiting; nothing was written")]
    LaneFull,
    /// The log cannot be reached or rejects writes. Nothing was written; retry later.
    #[error("the event log is unavailable; nothing was written: {0}")]
    Unavailable(String),
    /// The mutation may or may not have happened: repeating it with the same idempotency key tells
    /// which.
    #[error("the outcome of the change is unknown: {0}")]
    UnknownOutcome(String),
    /// The log holds something that this binary's writers never append.
    #[error("the event log holds inconsistent data: {0}")]
    Broken(String),
}

/// Returns the violations as one text, for operators.
fn violations(errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.path, error.message))
        .collect();

    texts.join("; ")
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
