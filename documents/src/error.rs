//! Reasons why a document or its variables are rejected before anything is executed (request errors, specification,
//! section 7.1.2).

use std::fmt;

use apollo_compiler::parser::{LineColumn, SourceMap, SourceSpan};
use apollo_compiler::validation::DiagnosticList;

/// Largest number of errors and of violations that one rejection tells: more would help no author, and a small request
/// could ask for a large answer.
pub(crate) const MAX_TOLD: usize = 50;

/// Reason why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// Kind of the fault.
    pub kind: ErrorKind,
    /// Message for the author of the document.
    pub message: String,
    /// Places of the fault in the text, most relevant first; empty if the request as a whole is meant.
    pub locations: Vec<Location>,
    /// Input values that break a rule, at most 50; empty for other faults.
    pub violations: Vec<Violation>,
}

/// Kind of fault of a document or its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a GraphQL document.
    ParseFailed,
    /// The document breaks a rule of the specification or of the schema.
    ValidationFailed,
    /// The document exceeds a limit.
    TooComplex,
    /// Input values, literals or variables, break a rule of their types.
    BadInput,
}

/// Place in the text of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

/// Input value that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the value, with dots: the variable or argument, then fields and indices.
    pub path: String,
    /// Rule that is broken, to follow the path.
    pub message: String,
}

impl DocumentError {
    pub(crate) fn invalid(
        message: impl Into<String>,
        locations: impl IntoIterator<Item = Location>,
    ) -> Self {
        Self {
            kind: ErrorKind::ValidationFailed,
            message: message.into(),
            locations: locations.into_iter().collect(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn over_limit(what: &str, limit: usize, location: Option<Location>) -> Self {
        Self {
            kind: ErrorKind::TooComplex,
            message: format!("The document has more than {limit} {what}"),
            locations: location.into_iter().collect(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn bad_input(violations: Vec<Violation>, locations: Vec<Location>) -> Self {
        let message = match violations.as_slice() {
            [only] => format!("{} {}", only.path, only.message),
            many => format!("{} input values are invalid", many.len()),
        };

        Self {
            kind: ErrorKind::BadInput,
            message,
            locations,
            violations,
        }
    }

    /// Converts the first faults that the parser or the validator found, at most `most`.
    pub(crate) fn from_diagnostics(
        kind: ErrorKind,
        diagnostics: &DiagnosticList,
        most: usize,
    ) -> Vec<Self> {
        let error = |diagnostic: apollo_compiler::response::GraphQLError| Self {
            kind,
            message: diagnostic.message,
            locations: diagnostic
                .locations
                .into_iter()
                .map(Location::from)
                .collect(),
            violations: Vec::new(),
        };

        diagnostics
            .iter()
            .take(most)
            .map(|diagnostic| error(diagnostic.to_json()))
            .collect()
    }
}

impl Location {
    /// Returns the place where a node of the document begins; `None` for nodes that no text has.
    pub(crate) fn of(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Self> {
        span?.line_column(sources).map(Self::from)
    }
}

impl From<LineColumn> for Location {
    fn from(place: LineColumn) -> Self {
        Self {
            line: place.line,
            column: place.column,
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentError {}
