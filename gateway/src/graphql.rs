//! The GraphQL face: types, resolvers, and the execution of requests. Rules and stores are the cores'.

mod access;
mod account;
mod coded;
mod connection;
mod context;
mod deal;
mod execute;
mod mutation;
mod prepared;
mod query;
mod scalars;
mod schema;
mod shapes;
mod subscription;
mod variables;
mod webhook;

pub(crate) use coded::{code, is_refusal};
pub use context::Caller;
pub use execute::{Executor, GraphqlRequest, Live};
pub use schema::{Schema, sdl};
