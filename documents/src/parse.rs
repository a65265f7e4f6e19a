//! Steps from a text to a valid document.

mod grammar;

use std::borrow::Cow;

use apollo_compiler::ast::{Definition, Document, VariableDefinition};
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticData, Valid};
use apollo_compiler::{ExecutableDocument, Node};

use crate::error::{DocumentError, ErrorKind, MAX_TOLD};
use crate::lexer::Lexer;
use crate::limits::{self, Limits};
use crate::schema::Schema;

/// Name that the parser gives to the text; no message shows it.
const SOURCE: &str = "document";

/// Rule of the library that is not the specification's: it counts the selections at the root of a subscription, also
/// those of the same field, which are merged. The plan counts response keys itself.
const NOT_A_RULE: &str = "SubscriptionUsesMultipleFields";

/// Parsed and validated text.
pub(crate) struct Parsed {
    /// Document in which every rule of the specification's section 5 holds, except those about values of custom scalars
    /// and about the number of root fields of a subscription. Every expansion of fragments is within the limits.
    pub(crate) document: Valid<ExecutableDocument>,
    /// Number of selections with all fragments expanded.
    pub(crate) selections: usize,
}

/// Parses and validates a text.
///
/// # Errors
/// The first fault that makes later steps meaningless or dangerous, or else everything that validation finds, at most 50.
pub(crate) fn parse(
    schema: &Schema,
    text: &str,
    limits: &Limits,
) -> Result<Parsed, Vec<DocumentError>> {
    let one = |error| vec![error];

    // Cheapest check first: a length, then passes over the text, then the parser, whose stack depth and memory the others
    // have bounded.
    if text.len() > limits.bytes {
        return Err(one(DocumentError::over_limit("bytes", limits.bytes, None)));
    }
    limits::check_tokens(text, limits).map_err(one)?;
    grammar::check(text).map_err(one)?;

    let parsed = Parser::new().parse_ast(without_commas(text), SOURCE);
    let document = parsed.map_err(|partial| {
        // After the first syntax error the parser guesses, and most of what it finds is no fault of the author's.
        let first = partial.errors.iter().take(1);
        let error =
            |diagnostic| DocumentError::from_diagnostic(ErrorKind::ParseFailed, &diagnostic);
        first.map(error).collect::<Vec<_>>()
    })?;

    // Before validation, which follows fragments and overlapping fields at a cost of its own.
    let selections = limits::check_expansion(&document, limits).map_err(one)?;

    if let Some(stricter) = without_null_defaults(&document) {
        validate(schema, &stricter)?;
    }
    let document = validate(schema, &document)?;

    Ok(Parsed {
        document,
        selections,
    })
}

fn validate(
    schema: &Schema,
    document: &Document,
) -> Result<Valid<ExecutableDocument>, Vec<DocumentError>> {
    let found = match document.to_executable_validate(schema.definitions()) {
        Ok(valid) => return Ok(valid),
        Err(found) => found,
    };

    let is_rule = |fault: &DiagnosticData| fault.unstable_error_name() != Some(NOT_A_RULE);
    let errors: Vec<DocumentError> = found
        .errors
        .iter()
        .filter(|diagnostic| is_rule(diagnostic.error))
        .take(MAX_TOLD)
        .map(|diagnostic| DocumentError::from_diagnostic(ErrorKind::ValidationFailed, &diagnostic))
        .collect();

    if errors.is_empty() {
        Ok(Valid::assume_valid(found.partial))
    } else {
        Err(errors)
    }
}

/// Returns the text with a space for each comma between tokens. The two mean the same (specification, section 2.1.5), but
/// the parser trips over a comma before a colon, or after the dots of a fragment.
fn without_commas(text: &str) -> Cow<'_, str> {
    if !text.contains(',') {
        return Cow::Borrowed(text);
    }

    let mut spaced = String::with_capacity(text.len());
    let mut end = 0;
    for token in Lexer::new(text) {
        spaced.push_str(&text[end..token.start].replace(',', " "));
        spaced.push_str(token.text);
        end = token.start + token.text.len();
    }
    spaced.push_str(&text[end..].replace(',', " "));

    Cow::Owned(spaced)
}

/// Returns the document without the defaults of variables that are null; `None` if there are none. The library takes such
/// a default for a value, and admits the variable where null must not stand; the specification does not (section 5.8.5).
/// No other rule tells the two documents apart.
fn without_null_defaults(document: &Document) -> Option<Document> {
    let is_null = |variable: &Node<VariableDefinition>| {
        let default = variable.default_value.as_ref();
        !variable.ty.is_non_null() && default.is_some_and(|value| value.is_null())
    };
    let mut stricter = document.clone();
    let mut is_stricter = false;

    for definition in &mut stricter.definitions {
        let Definition::OperationDefinition(operation) = definition else {
            continue;
        };
        if !operation.variables.iter().any(is_null) {
            continue;
        }

        is_stricter = true;
        for variable in &mut operation.make_mut().variables {
            if is_null(variable) {
                variable.make_mut().default_value = None;
            }
        }
    }

    is_stricter.then_some(stricter)
}
