//! A violation of an input rule, named by the field it concerns.

use serde::Serialize;

/// One rejected value of a caller's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field in dotted notation, relative to the input it was found in, for example
    /// `items.0.price`.
    pub path: String,
    /// Rule that the value breaks, phrased to follow the path: `must be at most 500 characters`.
    pub message: String,
}

impl FieldError {
    /// Builds a violation of the rule in `message` by the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// Returns the same violation with its path placed below `root`, for example `input.`.
    pub fn below(self, root: &str) -> Self {
        Self {
            path: format!("{root}{}", self.path),
            ..self
        }
    }
}
