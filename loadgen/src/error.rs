//! The error type of the tool, which ends at the terminal.

/// Error of any kind, with a message for the terminal.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
