//! The few kinds of failure of the pipes, named by what the caller does next.
//!
//! A business "no" is not here: it is data of the slice that says it.

/// A failure of a store or a pipe.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store is away or refused for now: **retry** later, nothing is known to be wrong with the data.
    #[error("{what} is unavailable: {why}")]
    Unavailable {
        /// Which store or pipe.
        what: &'static str,
        /// What it or its driver said.
        why: String,
    },
    /// Somebody else changed it first: **re-read** and decide again.
    #[error("{what} was changed by somebody else")]
    Conflict {
        /// What was changed.
        what: &'static str,
    },
    /// Something that must hold does not: **stop** and call an operator.
    #[error("{what} is broken: {why}")]
    Broken {
        /// What is broken.
        what: &'static str,
        /// What was found instead.
        why: String,
    },
}

impl Error {
    /// `what` cannot be had now.
    pub fn unavailable(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            what,
            why: why.to_string(),
        }
    }

    /// `what` is not as it must be.
    pub fn broken(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Broken {
            what,
            why: why.to_string(),
        }
    }

    /// Whether waiting may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
