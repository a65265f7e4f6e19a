//! GraphQL documents: limits, validation, plans that are compiled once, coercion of values, and rendering of results
//! straight to bytes.
//!
//! A text becomes a [`Plan`] ([`Documents`] keeps it by text and operation). A plan and the variables of one request
//! make a [`Request`], whose [`Root`] fields the caller executes. Everything below a root field is pure: each output
//! type writes its selected fields into [`Out`]. The crate knows the specification (September 2025), but neither a
//! schema of its own nor a transport.
//!
//! Read next: `plan.rs` for the steps from a text to a request, `values/coerce.rs` for the rules of input values,
//! `out.rs` for rendering.

mod cost;
mod documents;
mod error;
mod introspect;
mod kept;
mod lexer;
mod limits;
mod out;
mod parse;
mod plan;
mod schema;
mod select;
mod values;

pub use cost::Cost;
pub use documents::{Documents, Planned};
pub use error::{DocumentError, ErrorKind, Location, Violation};
pub use introspect::{Introspected, PathStep};
pub use kept::{Kept, ObjectState};
pub use limits::Limits;
pub use out::{FieldWriter, Object, Out, Render, TooLarge};
pub use plan::{ArgumentError, Arguments, OperationKind, Plan, Request, Root, RootKind};
pub use schema::{ListSize, OutputType, PageRule, PageSize, Schema, SchemaError};
pub use select::{Selection, SelectionKey};
pub use values::{ReadError, ScalarRule, Value};
