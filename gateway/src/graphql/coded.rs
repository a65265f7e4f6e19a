//! Codes of errors: what the GraphQL library itself says of a document or of a value has none, and is given one here.

use async_graphql::{Response, ServerError, Value};

use crate::document::DocumentError;
use crate::error::{Code, Problem};

/// The code of an error, if it has one.
pub(crate) fn code(error: &ServerError) -> Option<Code> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(name) => Code::parse(name),
        _ => None,
    }
}

/// Whether nothing was executed, so that there is no `data`.
pub(crate) fn is_refusal(response: &Response) -> bool {
    response.data == Value::Null && response.errors.iter().any(|error| error.path.is_empty())
}

/// Gives every error a code: what the library itself says of a document or of a value has none.
pub(super) fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        if code(error).is_some() {
            continue;
        }
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

fn segment(segment: &async_graphql::PathSegment) -> String {
    match segment {
        async_graphql::PathSegment::Field(name) => name.clone(),
        async_graphql::PathSegment::Index(index) => index.to_string(),
    }
}

impl From<DocumentError> for ServerError {
    fn from(error: DocumentError) -> Self {
        let code = Code::parse(error.code.as_str()).unwrap_or(Code::GraphqlValidationFailed);
        let mut said = Self::from(Problem::new(code, error.message));
        said.locations = error.locations;
        said
    }
}
