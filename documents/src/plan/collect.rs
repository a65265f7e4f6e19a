//! Collection of the fields of one object (specification, section 6.3.2, CollectFields).

use std::collections::HashSet;
use std::sync::Arc;

use apollo_compiler::ast::{DirectiveList, Value as Literal};
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Node};
use indexmap::IndexMap;

use crate::schema::Schema;

/// Fields of an object by response key, in the order of the result. Each group is merged into one field.
pub(super) type Groups<'a> = IndexMap<&'a str, Vec<&'a Node<Field>>>;

/// Values of the variables that conditions use.
pub(super) struct Conditions<'a> {
    /// Names of the operation's variables, by number.
    pub(super) names: &'a [Arc<str>],
    /// Numbers of the variables, by bit.
    pub(super) variables: &'a [usize],
    /// Values of the variables as bits.
    pub(super) mask: u64,
    /// True to let everything in, whatever its conditions.
    pub(super) disregarded: bool,
}

/// Collects the fields that selection sets select of an object of a type.
pub(super) fn collect<'a>(
    schema: &Schema,
    document: &'a ExecutableDocument,
    conditions: &Conditions<'_>,
    object: &str,
    sets: impl IntoIterator<Item = &'a SelectionSet>,
) -> Groups<'a> {
    let mut collector = Collector {
        schema,
        document,
        conditions,
        object,
        visited: HashSet::new(),
        groups: Groups::new(),
    };

    for set in sets {
        collector.set(set);
    }
    collector.groups
}

struct Collector<'a, 'c> {
    schema: &'c Schema,
    document: &'a ExecutableDocument,
    conditions: &'c Conditions<'c>,
    object: &'c str,
    /// Fragments that were spread already: their fields are in the groups.
    visited: HashSet<&'a str>,
    groups: Groups<'a>,
}

impl<'a> Collector<'a, '_> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if self.conditions.include(&field.directives) {
                        let key = field.response_name().as_str();
                        self.groups.entry(key).or_default().push(field);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    // In this order: a spread that is not included does not count as visited.
                    if self.conditions.include(&spread.directives)
                        && self.visited.insert(spread.fragment_name.as_str())
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.schema.applies(fragment.type_condition(), self.object)
                    {
                        self.set(&fragment.selection_set);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.type_condition.as_ref();
                    if self.conditions.include(&inline.directives)
                        && condition.is_none_or(|ty| self.schema.applies(ty, self.object))
                    {
                        self.set(&inline.selection_set);
                    }
                }
            }
        }
    }
}

impl Conditions<'_> {
    /// Returns whether `@skip` and `@include` let a selection in.
    fn include(&self, directives: &DirectiveList) -> bool {
        if self.disregarded {
            return true;
        }

        let holds = |name| {
            let directive = directives.get(name)?;
            self.value(directive.specified_argument_by_name("if")?)
        };

        holds("skip") != Some(true) && holds("include") != Some(false)
    }

    fn value(&self, literal: &Literal) -> Option<bool> {
        let Some(name) = literal.as_variable() else {
            return literal.to_bool();
        };
        let bit = self
            .variables
            .iter()
            .position(|number| *self.names[*number] == **name)?;

        Some(self.mask >> bit & 1 == 1)
    }
}
