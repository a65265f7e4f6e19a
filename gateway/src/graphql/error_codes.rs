//! Codes of GraphQL errors. Errors that the GraphQL library reports about a document or a value have none, and are given
//! one here.

use async_graphql::{PathSegment, Response, ServerError, Value};

use crate::document::DocumentError;
use crate::error::{Code, Problem};

/// Returns the code of an error, if it has one.
pub(crate) fn code(error: &ServerError) -> Option<Code> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(name) => Code::parse(name),
        _ => None,
    }
}

/// Returns whether a response is a request error in the specification's sense: nothing was executed, so the response has
/// no `data`.
pub(crate) fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null && response.errors.iter().any(|error| error.path.is_empty())
}

/// Gives a code to every error of a response that has none.
pub(super) fn with_codes(mut response: Response) -> Response {
    for error in &mut response.errors {
        if code(error).is_some() {
            continue;
        }

        // The library reports what is wrong with a document before it executes anything, and so without a path; what is
        // wrong with a value it reports at the field that has it as an argument.
        let problem = if error.path.is_empty() {
            Problem::new(Code::GraphqlValidationFailed, error.message.clone())
        } else {
            let path: Vec<String> = error.path.iter().map(segment).collect();
            Problem::input(path.join("."), error.message.clone())
        };
        error.extensions = ServerError::from(problem).extensions;
    }

    response
}

fn segment(segment: &PathSegment) -> String {
    match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(index) => index.to_string(),
    }
}

impl From<DocumentError> for ServerError {
    fn from(error: DocumentError) -> Self {
        let code = Code::parse(error.code.as_str()).unwrap_or(Code::GraphqlValidationFailed);
        let mut server_error = Self::from(Problem::new(code, error.message));
        server_error.locations = error.locations;
        server_error
    }
}
