//! The GraphQL face: types, resolvers, and the execution of requests. Rules and stores are the cores'.

mod access;
mod account;
mod connection;
mod deal;
mod execute;
mod mutation;
mod prepared;
mod query;
mod scalars;
mod subscription;
mod variables;
mod webhook;

pub use execute::{Executor, GraphqlRequest, Live};
pub(crate) use execute::{code, is_refusal};

use async_graphql::{Context, SDLExportOptions};
use backbone::telemetry::TraceContext;

use crate::auth::Principal;
use crate::error::Problem;
use crate::services::Services;

/// The executable schema.
pub type Schema =
    async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// What a request is executed for.
#[derive(Clone)]
pub struct Caller {
    /// Whose key it came with.
    pub principal: Option<Principal>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
}

type Builder =
    async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

pub(crate) fn schema() -> Builder {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .register_output_type::<query::Node>()
}

/// The schema as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .prefer_single_line_descriptions();
    let sdl = schema().finish().sdl_with_options(options);
    sdl.replace('\t', "  ")
}

fn services<'a>(context: &Context<'a>) -> &'a Services {
    context.data_unchecked::<Services>()
}

/// The caller, who must have come with a key. What is pushed is rendered once for all who see it, so there is no caller:
/// a field that asks for one fails there instead of showing one viewer's view to another.
fn principal<'a>(context: &Context<'a>) -> Result<&'a Principal, Problem> {
    let caller = context.data_opt::<Caller>();
    let caller = caller.ok_or_else(|| Problem::internal("a pushed field depends on the viewer"))?;
    caller
        .principal
        .as_ref()
        .ok_or_else(|| Problem::unauthenticated("this needs a key"))
}

fn trace(context: &Context<'_>) -> TraceContext {
    context.data_unchecked::<Caller>().trace.child()
}
