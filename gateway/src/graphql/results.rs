//! Execution of an operation's root fields, and the result in bytes.
//!
//! Everything below a root field is rendered from memory and cannot fail, so an error belongs to a root field: it makes
//! the field null or, if the field may not be null, all data (specification, section 6.4.4).

use std::sync::Arc;

use async_graphql::{PathSegment, ServerError};
use documents::{
    Introspected, Kept, OperationKind, Out, PathStep, Render, Request, Root, RootKind, Schema,
    Selection, TooLarge,
};
use futures_util::future::join_all;

use super::context::Caller;
use super::error_codes::field_error;
use super::roots::{Output, RootCall, Roots};
use crate::error::{Code, Problem};

/// Message for introspection whose result cannot be null, and is.
const NULL_ARGUMENT: &str = "An argument of introspection is null, and must not be";

/// Execution of one request.
pub(super) struct Run<'a> {
    pub(super) schema: &'a Schema,
    pub(super) request: &'a Request,
    pub(super) roots: &'a dyn Roots,
    pub(super) caller: &'a Caller,
}

/// Response of an operation that was executed.
#[derive(Debug)]
pub struct Executed {
    /// The response as JSON.
    pub json: String,
    /// True if a root field failed, so that there are errors beside the data.
    pub has_errors: bool,
}

impl Run<'_> {
    /// Executes the root fields and returns the response, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`TooLarge`] for a larger result.
    pub(super) async fn response(&self, limit: usize, kept: &Kept) -> Result<Executed, TooLarge> {
        let results = match self.request.kind() {
            OperationKind::Mutation => self.one_after_the_other().await,
            OperationKind::Query | OperationKind::Subscription => {
                // Nearly always there is one, which needs no bookkeeping.
                match self.request.roots() {
                    [root] => vec![self.root(root).await],
                    roots => join_all(roots.iter().map(|root| self.root(root))).await,
                }
            }
        };

        let has_errors = results.iter().any(Result::is_err);
        let mut out = self.request.begin_result(limit, Some(kept));
        self.render(results, &mut out);
        let bytes = self.request.finish_result(out)?;

        Ok(Executed {
            json: text(bytes),
            has_errors,
        })
    }

    /// Executes the root fields of a mutation. After a failure that makes all data null nothing more is written.
    async fn one_after_the_other(&self) -> Vec<Result<Output, ServerError>> {
        let mut results = Vec::with_capacity(self.request.roots().len());
        for root in self.request.roots() {
            let result = self.root(root).await;
            let failed = result.is_err() && !root.nullable();

            results.push(result);
            if failed {
                break;
            }
        }

        results
    }

    async fn root(&self, root: &Root) -> Result<Output, ServerError> {
        if let RootKind::TypeName(name) = root.kind() {
            return Ok(Box::new(name));
        }

        let arguments = self.request.arguments(root);
        let arguments = arguments.map_err(|error| field_error(root, error.into()))?;

        if root.kind() == RootKind::Introspection {
            return self.introspect(root);
        }

        let call = RootCall {
            root,
            arguments,
            caller: self.caller,
        };
        let resolved = self.roots.resolve(call).await;
        resolved.map_err(|problem| field_error(root, problem))
    }

    fn introspect(&self, root: &Root) -> Result<Output, ServerError> {
        let introspected = self.request.introspect(self.schema);
        let response_key = Arc::clone(root.response_key());

        // A variable that is null where an argument may not be makes fields null, up to one that may be.
        if introspected.json(&response_key) == b"null"
            && let Some(path) = introspected.failure(&response_key)
        {
            let problem = Problem::new(Code::BadUserInput, NULL_ARGUMENT);
            let mut error = field_error(root, problem);
            error.path = path.iter().map(segment).collect();
            return Err(error);
        }
        Ok(Box::new(IntrospectedField {
            introspected,
            response_key,
        }))
    }

    fn render(&self, results: Vec<Result<Output, ServerError>>, out: &mut Out<'_>) {
        let roots = self.request.roots();
        let is_fatal = |(root, result): (&Root, &Result<Output, ServerError>)| {
            result.is_err() && !root.nullable()
        };

        out.json(b"{\"data\":");
        if roots.iter().zip(&results).any(is_fatal) {
            out.json(b"null");
        } else {
            out.json(b"{");
            for (index, (root, result)) in roots.iter().zip(&results).enumerate() {
                if index > 0 {
                    out.json(b",");
                }
                out.json(root.json_key().as_bytes());
                match result {
                    Ok(value) => value.render(root.selection(), out),
                    Err(_) => out.json(b"null"),
                }
            }
            out.json(b"}");
        }

        let errors: Vec<ServerError> = results.into_iter().filter_map(Result::err).collect();
        if !errors.is_empty() {
            out.json(b",\"errors\":");
            out.serialize(&errors);
        }
        out.json(b"}");
    }
}

fn segment(step: &PathStep) -> PathSegment {
    match step {
        PathStep::Key(key) => PathSegment::Field(key.clone()),
        PathStep::Index(index) => PathSegment::Index(*index),
    }
}

/// Returns rendered bytes as text.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("renderers write texts, and nothing but whole ones")
}

/// Result of `__schema` or `__type`.
struct IntrospectedField {
    introspected: Arc<Introspected>,
    response_key: Arc<str>,
}

impl Render for IntrospectedField {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.json(self.introspected.json(&self.response_key));
    }
}
