//! GraphQL errors: problems and faults of documents in the form that responses carry.

use async_graphql::{PathSegment, Pos, ServerError, Value};
use backbone::FieldError;
use documents::{ArgumentError, DocumentError, ErrorKind, Location, Root, Violation};

use crate::error::{Code, Problem};

/// Returns the code of an error, if it has one.
pub(crate) fn code(error: &ServerError) -> Option<Code> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(name) => Code::parse(name),
        _ => None,
    }
}

/// Returns the error of a root field that failed.
pub(super) fn field_error(root: &Root, problem: Problem) -> ServerError {
    let mut error = ServerError::from(problem);
    error.path = vec![PathSegment::Field(root.response_key().to_string())];
    error.locations = root.location().map(pos).into_iter().collect();
    error
}

/// Returns the request error for a document or variables that were rejected.
pub(super) fn request_error(rejection: DocumentError) -> ServerError {
    let problem = match rejection.kind {
        ErrorKind::ParseFailed => Problem::new(Code::GraphqlParseFailed, rejection.message),
        ErrorKind::ValidationFailed => {
            Problem::new(Code::GraphqlValidationFailed, rejection.message)
        }
        ErrorKind::TooComplex => Problem::new(Code::QueryTooComplex, rejection.message),
        ErrorKind::BadInput => {
            let field = |Violation { path, message }| FieldError { path, message };
            let fields = rejection.violations.into_iter().map(field).collect();
            Problem::inputs_and_more(fields, rejection.more)
        }
    };

    let mut error = ServerError::from(problem);
    error.locations = rejection.locations.into_iter().map(pos).collect();
    error
}

impl From<ArgumentError> for Problem {
    fn from(error: ArgumentError) -> Self {
        // Only a variable whose place has a default can be null there; others are refused with the variables.
        Self::input(&*error.argument, "must not be null")
    }
}

fn pos(location: Location) -> Pos {
    Pos {
        line: location.line,
        column: location.column,
    }
}
