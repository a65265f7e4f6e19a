//! Errors of documents: one of three codes of the API, a message for the author, and positions in the text.

use std::fmt;

use async_graphql::{
    Pos,
    parser::{Error as ParserError, types::OperationType},
};

/// Reason why a document is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// Code in `extensions.code`.
    pub code: DocumentCode,
    /// Message for the author. Quotes no more of the document than names.
    pub message: String,
    /// Positions of the fault, most relevant first; empty if the document as a whole is meant.
    pub locations: Vec<Pos>,
}

/// Codes with which a document can be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentCode {
    /// The text is not a GraphQL document.
    ParseFailed,
    /// The document breaks a rule of the specification.
    ValidationFailed,
    /// The document exceeds one of the limits.
    TooComplex,
}

impl DocumentCode {
    /// Returns the code's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::TooComplex => "QUERY_TOO_COMPLEX",
        }
    }
}

impl DocumentError {
    pub(super) fn invalid(
        message: impl Into<String>,
        locations: impl IntoIterator<Item = Pos>,
    ) -> Self {
        Self {
            code: DocumentCode::ValidationFailed,
            message: message.into(),
            locations: locations.into_iter().collect(),
        }
    }

    pub(super) fn over(what: &str, limit: usize, pos: Option<Pos>) -> Self {
        Self {
            code: DocumentCode::TooComplex,
            message: format!("The document has more than {limit} {what}"),
            locations: pos.into_iter().collect(),
        }
    }

    pub(super) fn not_a_subscription(ty: OperationType, pos: Pos) -> Self {
        Self::invalid(
            format!("The operation is a {ty}, not a subscription"),
            [pos],
        )
    }
}

impl From<ParserError> for DocumentError {
    fn from(error: ParserError) -> Self {
        let (code, message) = match &error {
            ParserError::RecursionLimitExceeded => (
                DocumentCode::TooComplex,
                "The document nests too deeply".to_owned(),
            ),
            ParserError::MultipleOperations { .. } => (
                DocumentCode::ValidationFailed,
                "An anonymous operation must be the only operation of its document".to_owned(),
            ),
            ParserError::OperationDuplicated { operation, .. } => (
                DocumentCode::ValidationFailed,
                format!("Operation {operation} is defined twice"),
            ),
            ParserError::FragmentDuplicated { fragment, .. } => (
                DocumentCode::ValidationFailed,
                format!("Fragment {fragment} is defined twice"),
            ),
            ParserError::MissingOperation => (
                DocumentCode::ValidationFailed,
                "The document has no operation".to_owned(),
            ),
            _ => (
                DocumentCode::ParseFailed,
                format!("Syntax error: {}", expectation(&error.to_string())),
            ),
        };

        Self {
            code,
            message,
            locations: error.positions().collect(),
        }
    }
}

/// Returns what the parser expected. Its message draws the faulty line with an arrow below it, which a single-line
/// message cannot show, and ends with a line that names the expectation.
fn expectation(message: &str) -> &str {
    message
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches([' ', '='])
        .trim()
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentError {}
