//! What resolvers read from the context of an execution: the services behind the API, and the caller.

use async_graphql::Context;
use backbone::telemetry::TraceContext;

use crate::auth::Principal;
use crate::error::Problem;
use crate::services::Services;

/// Caller that a request is executed for.
#[derive(Clone)]
pub struct Caller {
    /// Holder of the key that the request came with, if it came with one.
    pub principal: Option<Principal>,
    /// Trace that the request belongs to.
    pub trace: TraceContext,
}

pub(super) fn services<'a>(context: &Context<'a>) -> &'a Services {
    context.data_unchecked::<Services>()
}

/// Returns the caller, who must have come with a key. A pushed change is rendered once for all who see it, so it has no
/// caller: a field that asks for one fails there instead of showing one viewer's view to another.
pub(super) fn principal<'a>(context: &Context<'a>) -> Result<&'a Principal, Problem> {
    let caller = context.data_opt::<Caller>();
    let caller = caller.ok_or_else(|| Problem::internal("a pushed field depends on the viewer"))?;
    caller
        .principal
        .as_ref()
        .ok_or_else(|| Problem::unauthenticated("this needs a key"))
}

pub(super) fn trace(context: &Context<'_>) -> TraceContext {
    context.data_unchecked::<Caller>().trace.child()
}
