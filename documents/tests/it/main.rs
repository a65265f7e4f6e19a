//! Documents at the public edge of the crate: texts and variables in, bytes and errors out.

mod collection;
mod cost;
mod findings;
mod introspection;
mod kit;
mod limits;
mod literals;
mod plans;
mod positions;
mod reading;
mod rendering;
mod schema;
mod scrambled;
mod selection_keys;
mod semantics;
mod subscriptions;
mod syntax;
mod validation;
mod variables;
mod violations;
