//! Context of an execution: the services behind the API, and the caller.

use async_graphql::Context;
use backbone::telemetry::TraceContext;

use crate::auth::Principal;
use crate::error::Problem;
use crate::origin::Origin;
use crate::services::Services;

/// Caller that a request is executed for.
#[derive(Clone)]
pub struct Caller {
    /// Holder of the API key that the request was made with; `None` without a key.
    pub principal: Option<Principal>,
    /// Trace that the request belongs to.
    pub trace: TraceContext,
    /// Network and client that the request comes from.
    pub origin: Origin,
}

/// Services and caller that a root field is executed with.
#[derive(Clone, Copy)]
pub(super) struct RootContext<'a> {
    pub(super) services: &'a Services,
    pub(super) caller: &'a Caller,
}

impl<'a> RootContext<'a> {
    /// Returns the context of a declared resolver.
    pub(super) fn of(context: &Context<'a>) -> Self {
        Self {
            services: context.data_unchecked::<Services>(),
            caller: context.data_unchecked::<Caller>(),
        }
    }

    /// Returns the principal of the caller.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a key.
    pub(super) fn principal(self) -> Result<&'a Principal, Problem> {
        let principal = self.caller.principal.as_ref();
        principal.ok_or_else(|| Problem::unauthenticated("An API key is required"))
    }
}
