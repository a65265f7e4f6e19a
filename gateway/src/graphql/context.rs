//! Context of an execution: the services behind the API, and the caller.

use async_graphql::Context;
use backbone::telemetry::TraceContext;

use crate::auth::Principal;
use crate::error::Problem;
use crate::services::Services;

/// Caller that a request is executed for.
#[derive(Clone)]
pub struct Caller {
    /// Holder of the API key that the request was made with; `None` without a key.
    pub principal: Option<Principal>,
    /// Trace that the request belongs to.
    pub trace: TraceContext,
}

pub(super) fn services<'a>(context: &Context<'a>) -> &'a Services {
    context.data_unchecked::<Services>()
}

/// Returns the principal of the caller.
///
/// # Errors
/// UNAUTHENTICATED without a key; INTERNAL while a pushed change is rendered.
pub(super) fn principal<'a>(context: &Context<'a>) -> Result<&'a Principal, Problem> {
    // A pushed change is rendered once for all viewers, so it has no caller. A field that asks for one fails here, rather
    // than show one viewer's content to another.
    let caller = context.data_opt::<Caller>();
    let caller = caller.ok_or_else(|| Problem::internal("a pushed field depends on the viewer"))?;

    caller
        .principal
        .as_ref()
        .ok_or_else(|| Problem::unauthenticated("An API key is required"))
}

pub(super) fn trace(context: &Context<'_>) -> TraceContext {
    context.data_unchecked::<Caller>().trace.child()
}
