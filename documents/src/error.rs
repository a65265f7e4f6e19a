//! Reasons why a document or its variables are rejected before anything is executed (request errors, specification,
//! section 7.1.2).

use std::fmt;

use apollo_compiler::diagnostic::{Diagnostic, ToCliReport};
use apollo_compiler::parser::{SourceMap, SourceSpan};
use apollo_compiler::validation::DiagnosticData;

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
    /// Number of input values that break a rule beyond those of `violations`.
    pub more: usize,
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
            more: 0,
        }
    }

    pub(crate) fn over_limit(what: &str, limit: usize, location: Option<Location>) -> Self {
        Self {
            kind: ErrorKind::TooComplex,
            message: format!("The document has more than {limit} {what}"),
            locations: location.into_iter().collect(),
            violations: Vec::new(),
            more: 0,
        }
    }

    /// Builds the error of input values that break a rule: those that are told, and the number of the others.
    pub(crate) fn bad_input(
        violations: Vec<Violation>,
        more: usize,
        locations: Vec<Location>,
    ) -> Self {
        let message = match violations.as_slice() {
            [only] => format!("{} {}", only.path, only.message),
            many => format!("{} input values are invalid", many.len() + more),
        };

        Self {
            kind: ErrorKind::BadInput,
            message,
            locations,
            violations,
            more,
        }
    }

    /// Converts a fault that the parser or the validator found.
    pub(crate) fn from_diagnostic(
        kind: ErrorKind,
        diagnostic: &Diagnostic<'_, DiagnosticData>,
    ) -> Self {
        let location = Location::of(diagnostic.error.location(), diagnostic.sources);

        Self {
            kind,
            message: diagnostic.error.to_string(),
            locations: location.into_iter().collect(),
            violations: Vec::new(),
            more: 0,
        }
    }
}

impl Location {
    /// Returns the place where a node of the document begins; `None` for nodes that no text has. Counts the lines of the
    /// text, so it is not for what every request does.
    pub(crate) fn of(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Self> {
        let span = span?;
        let source = sources.get(&span.file_id())?;

        Some(Self::in_text(source.source_text(), span.offset()))
    }

    /// Returns the place of an index in a text. Lines end as the specification has it (section 2.1.2): with a line feed, a
    /// carriage return, or both. The library knows more ends of lines, and counts columns in bytes.
    pub(crate) fn in_text(text: &str, at: usize) -> Self {
        let before = &text[..at];
        let is_end = |(index, byte): &(usize, u8)| match byte {
            b'\n' => true,
            b'\r' => text.as_bytes().get(index + 1) != Some(&b'\n'),
            _ => false,
        };
        let ends = before.bytes().enumerate().filter(is_end);
        let (lines, line_start) =
            ends.fold((0, 0), |(lines, _), (index, _)| (lines + 1, index + 1));

        Self {
            line: lines + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_count_lines_as_graphql_ends_them() {
        let rows = [
            ("", (1, 1)),
            ("ab", (1, 3)),
            ("é", (1, 2)),
            ("a\nb", (2, 2)),
            ("a\r", (2, 1)),
            ("a\r\nb", (2, 2)),
            ("\n\r\r\n", (4, 1)),
            ("a\u{2028}b", (1, 4)),
        ];

        for (text, (line, column)) in rows {
            assert_eq!(
                Location::in_text(text, text.len()),
                Location { line, column },
                "{text:?}"
            );
        }
    }
}
