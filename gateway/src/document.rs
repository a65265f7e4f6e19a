//! GraphQL documents before execution: size limits, choice of the operation, the root of a subscription, and the shape by
//! which subscribers share renderings.
//!
//! Everything here takes time linear in the text, whatever the text expands to. It must come before whatever follows
//! fragments without remembering them, as validation and execution do. Types, arguments and values are left to
//! validation, for which the document stays as it was written.

mod cost;
mod digest;
mod error;
mod fragments;
mod lexer;
mod limits;
mod operation;
mod shape;
mod subscription;
#[cfg(test)]
mod tests;

use async_graphql::parser::parse_query;

pub use cost::Cost;
pub use digest::ShapeKey;
pub use error::{DocumentCode, DocumentError};
pub use limits::DocumentLimits;
pub use operation::{Operation, Parsed};
pub use shape::{ShapeDocument, shape_key};
pub use subscription::SubscriptionRoot;

/// Parses a document and checks it against the limits. In the result every fragment that is spread exists and none
/// spreads itself.
///
/// # Errors
/// [`DocumentCode::ParseFailed`] with the position of the fault, [`DocumentCode::TooComplex`] over a limit,
/// [`DocumentCode::ValidationFailed`] for duplicate definitions, unknown fragments and cycles of fragments.
pub fn parse(text: &str, limits: &DocumentLimits) -> Result<Parsed, DocumentError> {
    // Cheapest check first: a length, then one pass over the text, then the parser, whose stack depth and memory the
    // first two have bounded.
    if text.len() > limits.bytes {
        return Err(DocumentError::over("bytes", limits.bytes, None));
    }
    lexer::check(text, limits)?;
    let document = parse_query(text)?;

    let leaves_first = fragments::leaves_first(&document)?;
    let costs = cost::measure(&document, &leaves_first);
    debug_assert!(
        costs.selections_visited < text.len(),
        "measuring is linear in the text"
    );
    costs.check(limits)?;

    Ok(Parsed {
        cost: costs.total(),
        document,
        leaves_first,
    })
}
