//! GraphQL documents before execution: how big one may be, which of its operations is meant, what a subscription asks
//! for, and what of it decides the bytes that subscribers share.
//!
//! Everything here is linear in the text, whatever the text expands to, and must come before anything that follows
//! fragments without remembering (validation and execution do). Refuses to know the schema: types, arguments and values
//! are left to validation, for which the original document stays untouched.

mod cost;
mod digest;
mod error;
mod fragments;
mod lexer;
mod shape;
mod subscription;
#[cfg(test)]
mod tests;

use async_graphql::{
    Name, Positioned,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};

pub use cost::Cost;
pub use error::{DocumentCode, DocumentError};
pub use shape::{ShapeDocument, ShapeKey, shape_key};
pub use subscription::SubscriptionRoot;

/// How big a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of text, checked before anything else.
    pub bytes: usize,
    /// Tokens of text, checked before parsing, which costs far more than counting them.
    pub tokens: usize,
    /// Brackets within brackets before parsing; fields and fragments within one another after it.
    pub nesting: usize,
    /// Fields within fields, for each operation.
    pub depth: usize,
    /// Selections of all operations together, every fragment expanded.
    pub selections: usize,
    /// Root fields of each operation, fragments expanded.
    pub root_fields: usize,
    /// Aliases of each operation, fragments expanded.
    pub aliases: usize,
    /// Directives of each operation, fragments expanded.
    pub directives: usize,
}

impl DocumentLimits {
    /// The largest documents of real clients are a few KiB; the rest is room for literal values.
    pub const BYTES: usize = 64 * 1024;
    /// The introspection query of GraphiQL has about 200.
    pub const TOKENS: usize = 4_000;
    /// The executor's own limit, and far from what fills a stack.
    pub const NESTING: usize = 32;
    /// The introspection query of GraphiQL reaches 15 and nothing else comes near.
    pub const DEPTH: usize = 15;
    /// A page of deals with everything in it has about 40.
    pub const SELECTIONS: usize = 2_000;
    /// Every root field may be a read of its own from the database.
    pub const ROOT_FIELDS: usize = 20;
    /// An alias is the only way to ask the same field twice, which a client needs rarely and an attacker always.
    pub const ALIASES: usize = 50;
    /// Each is evaluated wherever it stands (CVE-2024-47614).
    pub const DIRECTIVES: usize = 50;
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            bytes: Self::BYTES,
            tokens: Self::TOKENS,
            nesting: Self::NESTING,
            depth: Self::DEPTH,
            selections: Self::SELECTIONS,
            root_fields: Self::ROOT_FIELDS,
            aliases: Self::ALIASES,
            directives: Self::DIRECTIVES,
        }
    }
}

/// Parses a document that keeps to the limits, whose fragments exist and do not spread themselves.
///
/// # Errors
///
/// [`DocumentCode::ParseFailed`] with the place, [`DocumentCode::TooComplex`] over a limit,
/// [`DocumentCode::ValidationFailed`] for duplicate definitions, unknown fragments and cycles of them.
pub fn parse(text: &str, limits: &DocumentLimits) -> Result<Parsed, DocumentError> {
    if text.len() > limits.bytes {
        return Err(DocumentError::over("bytes", limits.bytes, None));
    }
    lexer::check(text, limits)?;
    let document = parse_query(text)?;
    let leaves_first = fragments::leaves_first(&document)?;
    let costs = cost::measure(&document, &leaves_first);
    debug_assert!(
        costs.looked_at < text.len(),
        "measuring is linear in the text"
    );
    costs.check(limits)?;
    Ok(Parsed {
        cost: costs.total(),
        document,
        leaves_first,
    })
}

/// A document within the limits: spreads may be followed without care for their number or depth.
#[derive(Debug, Clone)]
pub struct Parsed {
    document: ExecutableDocument,
    leaves_first: Vec<Name>,
    cost: Cost,
}

impl Parsed {
    /// The operation to execute: the named one, or without a name the only one.
    ///
    /// # Errors
    ///
    /// [`DocumentCode::ValidationFailed`] if there is no such operation, or no name and several operations.
    pub fn operation<'a>(&'a self, name: Option<&str>) -> Result<Operation<'a>, DocumentError> {
        let found = match (&self.document.operations, name) {
            (DocumentOperations::Single(only), None) => Some((None, only)),
            (DocumentOperations::Single(_), Some(_)) => None,
            (DocumentOperations::Multiple(named), Some(name)) => named
                .get_key_value(name)
                .map(|(name, operation)| (Some(name), operation)),
            (DocumentOperations::Multiple(named), None) if named.len() > 1 => {
                let message = "the document has several operations: operationName must say which";
                return Err(DocumentError::invalid(message, None));
            }
            (DocumentOperations::Multiple(named), None) => named
                .iter()
                .next()
                .map(|(name, operation)| (Some(name), operation)),
        };
        let unknown = || {
            format!(
                "the document has no operation named {:?}",
                name.unwrap_or_default()
            )
        };
        let (name, definition) = found.ok_or_else(|| DocumentError::invalid(unknown(), None))?;
        Ok(Operation {
            parsed: self,
            name,
            definition,
        })
    }

    /// The document as it was written.
    #[must_use]
    pub fn document(&self) -> &ExecutableDocument {
        &self.document
    }

    /// The document as it was written, for a request to own.
    #[must_use]
    pub fn into_document(self) -> ExecutableDocument {
        self.document
    }

    /// The costs of all operations together.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

/// One operation of a document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    parsed: &'a Parsed,
    name: Option<&'a Name>,
    definition: &'a Positioned<OperationDefinition>,
}

impl<'a> Operation<'a> {
    /// Query, mutation or subscription.
    #[must_use]
    pub fn ty(&self) -> OperationType {
        self.definition.node.ty
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'a Name> {
        self.name
    }

    /// As it was written.
    #[must_use]
    pub fn definition(&self) -> &'a OperationDefinition {
        &self.definition.node
    }

    /// The one root field of a subscription.
    ///
    /// # Errors
    ///
    /// [`DocumentCode::ValidationFailed`] unless this is a subscription and its root is what section 5.2.3.1 of the
    /// specification wants: one field, not of introspection, that no directive can take away.
    pub fn subscription_root(&self) -> Result<SubscriptionRoot<'a>, DocumentError> {
        subscription::root(self)
    }

    /// The subscription without whatever does not decide the bytes of a result: see [`ShapeDocument`].
    ///
    /// # Errors
    ///
    /// Those of [`Self::subscription_root`], and [`DocumentCode::ValidationFailed`] for an undefined variable.
    pub fn shape(&self) -> Result<ShapeDocument, DocumentError> {
        shape::shape(self, &self.subscription_root()?)
    }
}
