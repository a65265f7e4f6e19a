//! Size of a document with all fragments expanded, computed without expanding any.
//!
//! Each fragment is measured once, and a spread adds its sum. This is linear in the text, where the walk itself may be
//! exponential. Cycles of fragments are found on the way, and so are fragments that are defined twice, of which the
//! validator might follow another than was measured.

use std::collections::HashMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, DirectiveList, Document, FragmentDefinition, Selection};

use super::Limits;
use crate::error::{DocumentError, Location};

/// Name of what [`Limits::nesting`] limits after parsing.
const NESTING: &str = "levels of fields and fragments";

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

/// Checks the expanded size of every operation, and that no fragment spreads itself. Returns the number of selections.
///
/// # Errors
/// [`TooComplex`](crate::ErrorKind::TooComplex) for the first limit exceeded,
/// [`ValidationFailed`](crate::ErrorKind::ValidationFailed) for a fragment that spreads itself or is defined twice.
pub(crate) fn check(document: &Document, limits: &Limits) -> Result<usize, DocumentError> {
    let mut meter = Meter::new(document, limits)?;
    let mut total = Size::default();
    let mut operations = Vec::new();

    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let on_variables = operation.variables.iter();
                let on_variables = on_variables.map(|variable| variable.directives.len());
                let own = operation.directives.len() + on_variables.sum::<usize>();

                let mut size = meter.set(&operation.selection_set)?;
                size.directives = size.directives.saturating_add(own);

                // Over all operations, because validation walks every one of them, whichever is executed.
                total = total.beside(size);
                operations.push((operation, size));
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

    for (operation, size) in operations {
        if let Some((limit, what)) = size.excess(limits) {
            let at = location(operation, document);
            return Err(DocumentError::over_limit(what, limit, at));
        }
    }

    Ok(total.selections)
}

struct Meter<'a> {
    document: &'a Document,
    limits: &'a Limits,
    fragments: HashMap<&'a str, &'a Node<FragmentDefinition>>,
    /// Sizes of fragments; `None` while a fragment is being measured.
    measured: HashMap<&'a str, Option<Size>>,
    /// Number of selection sets around what is being measured.
    level: usize,
}

impl<'a> Meter<'a> {
    fn new(document: &'a Document, limits: &'a Limits) -> Result<Self, DocumentError> {
        let mut fragments = HashMap::new();
        let definitions = document.definitions.iter();

        for fragment in definitions.filter_map(Definition::as_fragment_definition) {
            if let Some(other) = fragments.insert(fragment.name.as_str(), fragment) {
                let message = format!("Fragment {} is defined twice", fragment.name);
                let places = [fragment, other].map(|node| location(node, document));
                return Err(DocumentError::invalid(
                    message,
                    places.into_iter().flatten(),
                ));
            }
        }

        Ok(Self {
            document,
            limits,
            fragments,
            measured: HashMap::new(),
            level: 0,
        })
    }

    fn set(&mut self, selections: &'a [Selection]) -> Result<Size, DocumentError> {
        self.level += 1;
        let size = selections
            .iter()
            .try_fold(Size::default(), |sum, selection| {
                Ok(sum.beside(self.selection(selection)?))
            })?;

        self.level -= 1;
        Ok(size)
    }

    fn selection(&mut self, selection: &'a Selection) -> Result<Size, DocumentError> {
        match selection {
            Selection::Field(field) => {
                let inner = match &field.selection_set {
                    Some(set) => self.set(set)?,
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
                let inner = self.set(&inline.selection_set)?;
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

        match self.measured.get(name) {
            Some(Some(size)) => return Ok(*size),
            // Met again while it is being measured: it spreads itself, directly or through others.
            Some(None) => {
                let message = format!("Fragment {name} spreads itself");
                let at = location(fragment, self.document);
                return Err(DocumentError::invalid(message, at));
            }
            None => {}
        }

        // The recursion is bounded here: brackets cannot nest deeper than the limit, since the tokens' check, but chains
        // of fragments nest without brackets.
        self.check_nesting(self.level, fragment)?;

        self.measured.insert(name, None);
        let mut size = self.set(&fragment.selection_set)?;
        size.directives = size.directives.saturating_add(fragment.directives.len());
        self.measured.insert(name, Some(size));

        // Also of fragments that no operation spreads, whose chains validation follows as deep as they go.
        self.check_nesting(size.nesting, fragment)?;
        Ok(size)
    }

    fn check_nesting(
        &self,
        nesting: usize,
        fragment: &Node<FragmentDefinition>,
    ) -> Result<(), DocumentError> {
        let limit = self.limits.nesting;
        if nesting <= limit {
            return Ok(());
        }

        let at = location(fragment, self.document);
        Err(DocumentError::over_limit(NESTING, limit, at))
    }
}

impl Size {
    /// Returns the first limit that is exceeded, and of what.
    fn excess(self, limits: &Limits) -> Option<(usize, &'static str)> {
        // Depths before counts: of several excesses, the author is told the one that says most about the document.
        let rows = [
            (self.depth, limits.depth, "levels of fields"),
            (self.nesting, limits.nesting, NESTING),
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

        let found = rows.into_iter().find(|(size, limit, _)| size > limit);
        found.map(|(_, limit, what)| (limit, what))
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
