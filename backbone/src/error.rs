//! Failures of stores and transports, in five kinds named by what the caller does next.
//!
//! A rejection by the business rules is not an error of this kind: it is data of the side that
//! decides.

/// Failure of a store or transport.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached or is refusing for now: **retry** later. The data is not known
    /// to be damaged.
    #[error("{what} is unavailable: {why}")]
    Unavailable {
        /// Name of the store or transport.
        what: &'static str,
        /// Reason, as the store or its driver reported it.
        why: String,
    },
    /// A write was sent, and its answer did not come: it may or may not have been carried out.
    /// **Find out**, or repeat a write that changes nothing the second time. Only calls whose caller
    /// must be told the outcome make this difference; elsewhere it is [`Error::Unavailable`].
    #[error("{what} did not confirm a write: {why}")]
    Unknown {
        /// Name of the store or transport.
        what: &'static str,
        /// Reason, as the store or its driver reported it.
        why: String,
    },
    /// The store answers, but going on could make things worse: **wait for an operator**, tell the
    /// reason in readiness, and look again. The wrong log beside these tables is of this kind.
    #[error("{what} needs an operator: {why}")]
    Blocked {
        /// Name of the store or transport.
        what: &'static str,
        /// Finding, and what an operator can do about it.
        why: String,
    },
    /// Another worker of the same projection moved its checkpoint first: **stand by**. Nothing else
    /// is reported as this, so that no other failure looks like a worker who advances.
    #[error("another worker advances the {what}")]
    Conflict {
        /// Name of what the other worker moved.
        what: &'static str,
    },
    /// An invariant is violated: **stop** and alert an operator.
    #[error("{what} is broken: {why}")]
    Broken {
        /// Name of what is broken.
        what: &'static str,
        /// Reason, as it was found.
        why: String,
    },
}

impl Error {
    /// Builds [`Error::Unavailable`].
    pub fn unavailable(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            what,
            why: why.to_string(),
        }
    }

    /// Builds [`Error::Blocked`].
    pub fn blocked(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Blocked {
            what,
            why: why.to_string(),
        }
    }

    /// Builds [`Error::Broken`].
    pub fn broken(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Broken {
            what,
            why: why.to_string(),
        }
    }

    /// Returns whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Returns what an error means that came after a write of the same request was carried out:
    /// the request as a whole is neither done nor undone.
    #[must_use]
    pub fn after_write(self) -> Self {
        match self {
            Self::Unavailable { what, why } => Self::Unknown { what, why },
            other => other,
        }
    }
}
