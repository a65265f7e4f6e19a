//! From a text to a valid document.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::Valid;

use crate::error::{DocumentError, ErrorKind, MAX_TOLD};
use crate::limits::{self, Limits};
use crate::schema::Schema;

/// Name that the parser gives to the text; no message shows it.
const SOURCE: &str = "document";

/// Parses and validates a text. In the result every rule of the specification's section 5 holds that does not depend on
/// values of custom scalars, and every expansion of fragments is within the limits.
///
/// # Errors
/// The first fault that makes later steps meaningless or dangerous, or else everything that validation finds, at most 50.
pub(crate) fn parse(
    schema: &Schema,
    text: &str,
    limits: &Limits,
) -> Result<Valid<ExecutableDocument>, Vec<DocumentError>> {
    let one = |error| vec![error];

    // Cheapest check first: a length, then one pass over the text, then the parser, whose stack depth and memory the
    // first two have bounded.
    if text.len() > limits.bytes {
        return Err(one(DocumentError::over_limit("bytes", limits.bytes, None)));
    }
    limits::check_tokens(text, limits).map_err(one)?;

    let document = Parser::new().parse_ast(text, SOURCE).map_err(|partial| {
        // After the first syntax error the parser guesses, and most of what it finds is no fault of the author's.
        DocumentError::from_diagnostics(ErrorKind::ParseFailed, &partial.errors, 1)
    })?;

    // Before validation, which follows fragments and overlapping fields at a cost of its own.
    limits::check_expansion(&document, limits).map_err(one)?;

    document
        .to_executable_validate(schema.definitions())
        .map_err(|partial| {
            DocumentError::from_diagnostics(ErrorKind::ValidationFailed, &partial.errors, MAX_TOLD)
        })
}
