//! Why a document is refused: one of three codes of the API, a message for its author, and where.

use std::fmt;

use async_graphql::{
    Pos,
    parser::{Error as ParserError, types::OperationType},
};

/// A refused document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// What `extensions.code` says.
    pub code: DocumentCode,
    /// What the author should change. Holds no more of the document than names.
    pub message: String,
    /// Where, most telling place first; empty when the document as a whole is meant.
    pub locations: Vec<Pos>,
}

/// The codes a document can be refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentCode {
    /// Not a GraphQL document.
    ParseFailed,
    /// A GraphQL document that breaks a rule.
    ValidationFailed,
    /// Over one of the limits.
    TooComplex,
}

impl DocumentCode {
    /// The code's name in the API.
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
            message: format!("the document has more than {limit} {what}"),
            locations: pos.into_iter().collect(),
        }
    }

    pub(super) fn not_a_subscription(ty: OperationType, pos: Pos) -> Self {
        Self::invalid(
            format!("the operation is a {ty}, not a subscription"),
            [pos],
        )
    }
}

impl From<ParserError> for DocumentError {
    fn from(error: ParserError) -> Self {
        let (code, message) = match &error {
            ParserError::RecursionLimitExceeded => (DocumentCode::TooComplex, error.to_string()),
            ParserError::MultipleOperations { .. } => (
                DocumentCode::ValidationFailed,
                "an anonymous operation must be the only one of its document".to_owned(),
            ),
            ParserError::OperationDuplicated { .. }
            | ParserError::FragmentDuplicated { .. }
            | ParserError::MissingOperation => (DocumentCode::ValidationFailed, error.to_string()),
            _ => (
                DocumentCode::ParseFailed,
                format!("syntax error: {}", gist(&error.to_string())),
            ),
        };
        Self {
            code,
            message,
            locations: error.positions().collect(),
        }
    }
}

/// The parser draws the line with an arrow below it; what it expected stands in the last line.
fn gist(drawing: &str) -> &str {
    drawing
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
