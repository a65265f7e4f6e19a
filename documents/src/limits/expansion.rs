//! Size of a document with all fragments expanded, computed without expanding any.
//!
//! Each fragment is measured once, and a spread adds its sum. This is linear in the text, where the walk itself may be
//! exponential. Cycles of fragments are found on the way.

use std::collections::HashMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, DirectiveList, Document, FragmentDefinition, Selection};

use super::Limits;
use crate::error::{DocumentError, Location};

/// Size of one selection set with all fragments expanded. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    /// Fields, spreads and inline fragments: the steps of a walk that remembers no fragment.
    selections: usize,
    /// Fields at the top, including those of fragments.
    root_fields: usize,
    /// Fields with an alias.
    aliases: usize,
    /// Directives on fields, fragments, operations and variables.
    directives: usize,
    /// Nested fields.
    depth: usize,
    /// Nested selections, where a fragment is a level of its own.
    nesting: usize,
}

/// Checks the expanded size of every operation, and that no fragment spreads itself.
///
/// # Errors
/// [`TooComplex`](crate::ErrorKind::TooComplex) for the first limit exceeded,
/// [`ValidationFailed`](crate::ErrorKind::ValidationFailed) for a cycle of fragments or an empty selection set.
pub(crate) fn check(document: &Document, limits: &Limits) -> Result<(), DocumentError> {
    let mut meter = Meter::new(document);
    let mut total = Size::default();
    let mut operations = Vec::new();

    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let on_variables = operation.variables.iter();
                let on_variables = on_variables.map(|variable| variable.directives.len());
                let own = operation.directives.len() + on_variables.sum::<usize>();

                let mut size =
                    meter.set(&operation.selection_set, location(operation, document))?;
                size.directives = size.directives.saturating_add(own);

                // Over all operations, because validation walks every one of them, whichever is executed.
                total = total.beside(size);
                operations.push((location(operation, document), size));
            }
            // Also those that no operation spreads: a cycle among them would hang whoever follows it.
            Definition::FragmentDefinition(fragment) => {
                meter.fragment(&fragment.name)?;
            }
            _ => {}
        }
    }

    if total.selections > limits.selections {
        let what = "selections with all fragments expanded";
        return Err(DocumentError::over_limit(what, limits.selections, None));
    }

    operations
        .into_iter()
        .try_for_each(|(location, size)| size.check(limits, location))
}

struct Meter<'a> {
    document: &'a Document,
    fragments: HashMap<&'a str, &'a Node<FragmentDefinition>>,
    /// Sizes of fragments; `None` while a fragment is being measured.
    measured: HashMap<&'a str, Option<Size>>,
}

impl<'a> Meter<'a> {
    fn new(document: &'a Document) -> Self {
        let fragments = document.definitions.iter().filter_map(|definition| {
            definition
                .as_fragment_definition()
                .map(|fragment| (fragment.name.as_str(), fragment))
        });

        Self {
            document,
            fragments: fragments.collect(),
            measured: HashMap::new(),
        }
    }

    fn set(
        &mut self,
        selections: &'a [Selection],
        at: Option<Location>,
    ) -> Result<Size, DocumentError> {
        // Specification, section 2.8: a selection set has at least one selection. The parser lets empty ones pass.
        if selections.is_empty() {
            return Err(DocumentError::invalid(
                "A selection set must not be empty",
                at,
            ));
        }

        selections
            .iter()
            .try_fold(Size::default(), |sum, selection| {
                Ok(sum.beside(self.selection(selection)?))
            })
    }

    fn selection(&mut self, selection: &'a Selection) -> Result<Size, DocumentError> {
        // Recursion is bounded: the tokens' check has limited how deep brackets nest.
        match selection {
            Selection::Field(field) => {
                let inner = match &field.selection_set {
                    Some(set) => self.set(set, location(field, self.document))?,
                    None => Size::default(),
                };

                Ok(Size {
                    root_fields: 1,
                    aliases: inner
                        .aliases
                        .saturating_add(usize::from(field.alias.is_some())),
                    depth: inner.depth.saturating_add(1),
                    ..inner.within(&field.directives)
                })
            }
            Selection::InlineFragment(inline) => {
                let inner = self.set(&inline.selection_set, location(inline, self.document))?;
                Ok(inner.within(&inline.directives))
            }
            Selection::FragmentSpread(spread) => {
                let inner = self.fragment(&spread.fragment_name)?;
                Ok(inner.within(&spread.directives))
            }
        }
    }

    fn fragment(&mut self, name: &str) -> Result<Size, DocumentError> {
        // A spread of an unknown fragment is left to validation, which tells it with the others.
        let Some(&fragment) = self.fragments.get(name) else {
            return Ok(Size::default());
        };
        let name = fragment.name.as_str();
        let at = location(fragment, self.document);

        match self.measured.get(name) {
            Some(Some(size)) => return Ok(*size),
            // Met again while it is being measured: it spreads itself, directly or through others.
            Some(None) => {
                let message = format!("Fragment {name} spreads itself");
                return Err(DocumentError::invalid(message, at));
            }
            None => {}
        }

        // Chains of fragments nest without brackets, so the recursion is bounded by the number of fragments that are
        // open, not by the text's nesting.
        if self.measured.values().filter(|size| size.is_none()).count() > Limits::NESTING {
            let what = "levels of fields and fragments";
            return Err(DocumentError::over_limit(what, Limits::NESTING, at));
        }

        self.measured.insert(name, None);
        let mut size = self.set(&fragment.selection_set, at)?;
        size.directives = size.directives.saturating_add(fragment.directives.len());
        self.measured.insert(name, Some(size));

        Ok(size)
    }
}

impl Size {
    fn check(self, limits: &Limits, location: Option<Location>) -> Result<(), DocumentError> {
        // Depths before counts: of several excesses, the author is told the one that says most about the document.
        let rows = [
            (self.depth, limits.depth, "levels of fields"),
            (
                self.nesting,
                limits.nesting,
                "levels of fields and fragments",
            ),
            (self.root_fields, limits.root_fields, "root fields"),
            (
                self.aliases,
                limits.aliases,
                "aliases with all fragments expanded",
            ),
            (
                self.directives,
                limits.directives,
                "directives with all fragments expanded",
            ),
        ];

        match rows.into_iter().find(|(size, limit, _)| size > limit) {
            Some((_, limit, what)) => Err(DocumentError::over_limit(what, limit, location)),
            None => Ok(()),
        }
    }

    /// Returns the size of two sets side by side.
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

    /// Returns the size of one selection with these directives around a set of this size.
    fn within(self, directives: &DirectiveList) -> Self {
        Self {
            selections: self.selections.saturating_add(1),
            directives: self.directives.saturating_add(directives.len()),
            nesting: self.nesting.saturating_add(1),
            ..self
        }
    }
}

fn location<T>(node: &Node<T>, document: &Document) -> Option<Location> {
    Location::of(node.location(), &document.sources)
}
