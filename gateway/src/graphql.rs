//! The GraphQL API: types, resolvers, and the execution of requests. Rules and stores belong to the cores; a resolver
//! authorises, converts and hands on.

mod access;
mod account;
mod connection;
mod context;
mod deal;
mod deal_filter;
mod deal_input;
mod error_codes;
mod execute;
mod ids;
mod mutation;
mod prepared;
mod query;
mod scalars;
mod schema;
mod shapes;
mod subscription;
mod variables;
mod webhook;
mod webhook_input;

pub use context::Caller;
pub(crate) use error_codes::{code, is_request_error};
pub use execute::{Execution, Executor, GraphqlRequest};
pub use schema::{Schema, sdl};
