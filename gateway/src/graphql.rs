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
mod directives;
mod error_codes;
mod execute;
mod ids;
mod metrics;
mod mutation;
mod node;
mod operator;
#[cfg(feature = "testkit")]
mod oracle;
mod persisted;
mod query;
mod request;
mod results;
mod roots;
mod scalars;
mod schema;
mod selections;
mod subscription;
mod webhook;
mod webhook_input;
mod webhook_replay;

pub use context::Caller;
pub(crate) use error_codes::code;
pub use execute::{Execution, ExecutionLimits, Executor, RequestRules};
#[cfg(feature = "testkit")]
pub use oracle::Oracle;
pub use persisted::{PersistedDocuments, PersistedRules, TrustedDocuments};
pub use request::GraphqlRequest;
pub use results::Executed;
#[cfg(feature = "testkit")]
pub use schema::execute_declared;
pub use schema::{Schema, sdl};
