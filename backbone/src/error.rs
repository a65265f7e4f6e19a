//! The errors of the ports, named by what the caller does next. Holds no business refusals: those are data.

/// Why a port did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try again later: nothing is known to be wrong with the request.
    #[error("{what} is unavailable: {why}")]
    Unavailable {
        /// Which port or service.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// Read again and decide again.
    #[error("{what} was changed by somebody else")]
    Conflict {
        /// What had moved.
        what: &'static str,
    },
    /// Stop: trying again cannot help.
    #[error("{what} is broken: {why}")]
    Broken {
        /// What cannot be used.
        what: &'static str,
        /// Why not.
        why: String,
    },
}
