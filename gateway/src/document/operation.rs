//! Parsed documents and their operations.

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};

use super::cost::Cost;
use super::error::DocumentError;

/// A document within the limits. Its spreads may be followed without regard to their number or depth.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(super) document: ExecutableDocument,
    /// Names of all fragments, each after those that it spreads.
    pub(super) leaves_first: Vec<Name>,
    pub(super) cost: Cost,
}

impl Parsed {
    /// Returns the operation to execute: the named one, or without a name the only one (specification, section 6.1,
    /// `GetOperation`).
    ///
    /// # Errors
    /// `ValidationFailed` if the document has no operation of that name, or several operations and no name is given.
    pub fn operation<'a>(&'a self, name: Option<&str>) -> Result<Operation<'a>, DocumentError> {
        let found = match (&self.document.operations, name) {
            (DocumentOperations::Single(only), None) => Some((None, only)),
            (DocumentOperations::Single(_), Some(_)) => None,
            (DocumentOperations::Multiple(named), Some(name)) => named
                .get_key_value(name)
                .map(|(name, operation)| (Some(name), operation)),
            (DocumentOperations::Multiple(named), None) if named.len() > 1 => {
                let message =
                    "The document has several operations; set operationName to the one to execute";
                return Err(DocumentError::invalid(message, None));
            }
            (DocumentOperations::Multiple(named), None) => named
                .iter()
                .next()
                .map(|(name, operation)| (Some(name), operation)),
        };

        let Some((name, definition)) = found else {
            let name = name.unwrap_or_default();
            let message = format!("The document has no operation named {name:?}");
            return Err(DocumentError::invalid(message, None));
        };

        Ok(Operation {
            parsed: self,
            name,
            definition,
        })
    }

    /// Returns the document as it was written.
    #[must_use]
    pub fn document(&self) -> &ExecutableDocument {
        &self.document
    }

    /// Returns the document as it was written, without copying it.
    #[must_use]
    pub fn into_document(self) -> ExecutableDocument {
        self.document
    }

    /// Returns the cost of all operations together.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

/// One operation of a document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    pub(super) parsed: &'a Parsed,
    pub(super) name: Option<&'a Name>,
    pub(super) definition: &'a Positioned<OperationDefinition>,
}

impl<'a> Operation<'a> {
    /// Returns whether the operation is a query, a mutation or a subscription.
    #[must_use]
    pub fn ty(&self) -> OperationType {
        self.definition.node.ty
    }

    /// Returns the operation's name; `None` if it is anonymous.
    #[must_use]
    pub fn name(&self) -> Option<&'a Name> {
        self.name
    }

    /// Returns the operation as it was written.
    #[must_use]
    pub fn definition(&self) -> &'a OperationDefinition {
        &self.definition.node
    }
}
