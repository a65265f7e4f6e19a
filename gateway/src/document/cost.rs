//! Cost of walking a document with all fragments expanded, computed without expanding any.
//!
//! Each definition is visited once, and a spread adds the sum of its fragment. This is linear in the text, where the walk
//! itself may be exponential.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection},
};

use super::error::DocumentError;
use super::limits::DocumentLimits;

/// Cost of one selection set with all fragments expanded. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Fields, spreads and inline fragments: the steps of a walk that remembers no fragment.
    pub selections: usize,
    /// Fields at the top, including those of fragments.
    pub root_fields: usize,
    /// Fields with an alias.
    pub aliases: usize,
    /// Directives on fields, fragments, operations and variables.
    pub directives: usize,
    /// Nested fields.
    pub depth: usize,
    /// Nested selections, where a fragment is a level of its own.
    pub nesting: usize,
}

/// Costs of a document's operations.
pub(super) struct Costs {
    /// Cost of each operation, with its position in the text.
    pub(super) operations: Vec<(Pos, Cost)>,
    /// Selections that were visited to find out.
    pub(super) selections_visited: usize,
}

/// Measures the operations of a document. `leaves_first` names its fragments, each after those that it spreads.
pub(super) fn measure(document: &ExecutableDocument, leaves_first: &[Name]) -> Costs {
    let mut meter = Meter {
        fragments: HashMap::new(),
        selections_visited: 0,
    };

    // In this order the cost of every spread is known when it is met.
    for name in leaves_first {
        let fragment = &document.fragments[name].node;
        let mut cost = meter.selection_set(&fragment.selection_set.node.items);
        cost.directives = cost.directives.saturating_add(fragment.directives.len());
        meter.fragments.insert(name, cost);
    }

    let operations = document
        .operations
        .iter()
        .map(|(_, operation)| (operation.pos, meter.operation(&operation.node)))
        .collect();

    Costs {
        operations,
        selections_visited: meter.selections_visited,
    }
}

impl Costs {
    /// Returns the cost of the whole document. Counts are sums over all operations, since validation walks all of them;
    /// depths are maxima.
    pub(super) fn total(&self) -> Cost {
        self.operations
            .iter()
            .fold(Cost::default(), |sum, (_, cost)| sum.beside(*cost))
    }

    /// Compares the costs with the limits.
    ///
    /// # Errors
    /// `TooComplex` for the first limit exceeded.
    pub(super) fn check(&self, limits: &DocumentLimits) -> Result<(), DocumentError> {
        // Over all operations, because validation walks every one of them, whichever is executed.
        if self.total().selections > limits.selections {
            return Err(DocumentError::over(
                "selections with all fragments expanded",
                limits.selections,
                None,
            ));
        }

        for (pos, cost) in &self.operations {
            // Depths before counts: of several excesses, the author is told the one that says most about the document.
            let rows = [
                (cost.depth, limits.depth, "levels of fields"),
                (
                    cost.nesting,
                    limits.nesting,
                    "levels of fields and fragments",
                ),
                (cost.root_fields, limits.root_fields, "root fields"),
                (
                    cost.aliases,
                    limits.aliases,
                    "aliases with all fragments expanded",
                ),
                (
                    cost.directives,
                    limits.directives,
                    "directives with all fragments expanded",
                ),
            ];

            if let Some((_, limit, what)) = rows.into_iter().find(|(cost, limit, _)| cost > limit) {
                return Err(DocumentError::over(what, limit, Some(*pos)));
            }
        }

        Ok(())
    }
}

struct Meter<'a> {
    fragments: HashMap<&'a str, Cost>,
    selections_visited: usize,
}

impl<'a> Meter<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) -> Cost {
        let on_variables = operation
            .variable_definitions
            .iter()
            .map(|variable| variable.node.directives.len());

        let own = operation.directives.len() + on_variables.sum::<usize>();
        let cost = self.selection_set(&operation.selection_set.node.items);

        Cost {
            directives: cost.directives.saturating_add(own),
            ..cost
        }
    }

    fn selection_set(&mut self, items: &'a [Positioned<Selection>]) -> Cost {
        items.iter().fold(Cost::default(), |sum, item| {
            sum.beside(self.selection(&item.node))
        })
    }

    fn selection(&mut self, selection: &'a Selection) -> Cost {
        self.selections_visited += 1;
        match selection {
            Selection::Field(field) => {
                // Recursion is bounded: the lexer has limited how deep brackets nest.
                let inner = self.selection_set(&field.node.selection_set.node.items);
                Cost {
                    root_fields: 1,
                    aliases: inner
                        .aliases
                        .saturating_add(usize::from(field.node.alias.is_some())),
                    depth: inner.depth.saturating_add(1),
                    ..inner.within(&field.node.directives)
                }
            }
            Selection::InlineFragment(inline) => self
                .selection_set(&inline.node.selection_set.node.items)
                .within(&inline.node.directives),
            Selection::FragmentSpread(spread) => self.fragments
                [spread.node.fragment_name.node.as_str()]
            .within(&spread.node.directives),
        }
    }
}

impl Cost {
    /// Returns the cost of two sets side by side.
    fn beside(self, other: Self) -> Self {
        Self {
            // Saturating: fragments that double one another reach 2^64 with some sixty definitions.
            selections: self.selections.saturating_add(other.selections),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
        }
    }

    /// Returns the cost of one selection with these directives around a set of this cost.
    fn within(self, directives: &[Positioned<Directive>]) -> Self {
        Self {
            selections: self.selections.saturating_add(1),
            directives: self.directives.saturating_add(directives.len()),
            nesting: self.nesting.saturating_add(1),
            ..self
        }
    }
}
