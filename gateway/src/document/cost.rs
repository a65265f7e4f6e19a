//! What a document would cost whoever walks it with every fragment expanded, computed without expanding any.
//!
//! Each definition is looked at once, a spread adds the sum of its fragment: linear in the text where the walk itself
//! may be exponential. Owns the comparison with the limits.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection},
};

use super::{DocumentError, DocumentLimits};

/// The cost of one selection set, fragments expanded. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Fields, spreads and inline fragments: the steps of a walk that remembers nothing.
    pub selections: usize,
    /// Fields at the top, those of fragments included.
    pub root_fields: usize,
    /// Fields under another name.
    pub aliases: usize,
    /// Directives on anything.
    pub directives: usize,
    /// Fields within fields.
    pub depth: usize,
    /// Selections within selections, fragments being levels of their own.
    pub nesting: usize,
}

/// The costs of a document's operations.
pub(super) struct Costs {
    /// One for each operation, with its place.
    pub(super) operations: Vec<(Pos, Cost)>,
    /// Selections looked at to find out.
    pub(super) looked_at: usize,
}

/// Measures the operations of a document whose fragments come in the order given, each after all that it spreads.
pub(super) fn measure(document: &ExecutableDocument, leaves_first: &[Name]) -> Costs {
    let mut meter = Meter {
        fragments: HashMap::new(),
        looked_at: 0,
    };
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
        looked_at: meter.looked_at,
    }
}

impl Costs {
    /// The cost of the whole: sums over operations, since validators walk all of them; depths are maxima.
    pub(super) fn total(&self) -> Cost {
        self.operations
            .iter()
            .fold(Cost::default(), |sum, (_, cost)| sum.beside(*cost))
    }

    /// Refuses what is over the limits.
    pub(super) fn check(&self, limits: &DocumentLimits) -> Result<(), DocumentError> {
        if self.total().selections > limits.selections {
            return Err(DocumentError::over(
                "selections, fragments expanded,",
                limits.selections,
                None,
            ));
        }
        for (pos, cost) in &self.operations {
            let rows = [
                (cost.depth, limits.depth, "levels of fields"),
                (
                    cost.nesting,
                    limits.nesting,
                    "levels of fields and fragments",
                ),
                (cost.root_fields, limits.root_fields, "root fields"),
                (cost.aliases, limits.aliases, "aliases, fragments expanded,"),
                (
                    cost.directives,
                    limits.directives,
                    "directives, fragments expanded,",
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
    looked_at: usize,
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
        self.looked_at += 1;
        match selection {
            Selection::Field(field) => {
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
    fn beside(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
        }
    }

    /// One selection with these directives around this cost.
    fn within(self, directives: &[Positioned<Directive>]) -> Self {
        Self {
            selections: self.selections.saturating_add(1),
            directives: self.directives.saturating_add(directives.len()),
            nesting: self.nesting.saturating_add(1),
            ..self
        }
    }
}
