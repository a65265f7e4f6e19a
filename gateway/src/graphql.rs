//! The GraphQL API: the declaration of its types with their renderers, its root fields, and the execution of requests.
//! Rules and stores belong to the cores; a root function authorises, converts and hands on.

mod access;
mod account;
mod change;
mod connection;
mod context;
mod deal;
mod deal_filter;
mod deal_input;
mod error_codes;
mod execute;
mod ids;
mod metrics;
mod mutation;
mod node;
mod operator;
#[cfg(feature = "testkit")]
mod oracle;
mod query;
mod results;
mod roots;
mod scalars;
mod schema;
mod selections;
mod subscription;
mod webhook;
mod webhook_input;

pub use context::Caller;
pub(crate) use error_codes::code;
pub use execute::{Execution, ExecutionLimits, Executor, GraphqlRequest, RequestRules};
#[cfg(feature = "testkit")]
pub use oracle::Oracle;
#[cfg(feature = "testkit")]
pub use schema::execute_declared;
pub use schema::{Schema, sdl};
