//! Checks of a document that its plan relies on, beyond those of the validator.

use std::collections::HashSet;
use std::sync::Arc;

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};

use super::collect::{Conditions, collect};
use crate::error::{DocumentError, ErrorKind, Location, MAX_TOLD};
use crate::schema::Schema;
use crate::values::{Coercion, Source};

/// Directives that make a selection depend on a condition.
const CONDITIONS: [&str; 2] = ["skip", "include"];

/// Checks every literal argument of the document, also in what conditions leave out and in operations that are not
/// executed (specification, section 5.6.1).
///
/// # Errors
/// [`ErrorKind::BadInput`] with every violation; paths begin with the argument.
pub(super) fn literals(
    schema: &Schema,
    document: &ExecutableDocument,
) -> Result<(), Vec<DocumentError>> {
    let variables: Vec<Arc<str>> = document
        .operations
        .iter()
        .flat_map(|operation| &operation.variables)
        .map(|variable| variable.name.as_str().into())
        .collect();

    let mut coercion = Coercion::new(schema.inputs(), &variables);
    let mut locations = Vec::new();

    // Each fragment once, however often it is spread.
    let operations = document
        .operations
        .iter()
        .map(|operation| &operation.selection_set);
    let fragments = document
        .fragments
        .values()
        .map(|fragment| &fragment.selection_set);

    for set in operations.chain(fragments) {
        each_field(set, &mut |field| {
            let before = coercion.count();
            arguments(schema, &mut coercion, field);
            // To find a location is to count lines, so not for every one of a thousand.
            if coercion.count() > before && locations.len() < MAX_TOLD {
                locations.extend(Location::of(field.location(), &document.sources));
            }
        });
    }

    let (violations, more) = coercion.into_violations();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(vec![DocumentError::bad_input(violations, more, locations)])
    }
}

fn arguments(schema: &Schema, coercion: &mut Coercion<'_>, field: &Field) {
    for argument in &field.arguments {
        let definition = field.definition.argument_by_name(&argument.name);
        let ty = definition.and_then(|definition| schema.inputs().resolve(&definition.ty));

        if let Some(ty) = ty {
            coercion.within(&argument.name, |coercion| {
                coercion.coerce(&ty, Source::Literal(&argument.value))
            });
        }
    }
}

/// Checks that every subscription of the document has one root field, after fields of the same response key are merged
/// (specification, section 5.2.4.1). Validation has refused introspection and conditions there.
///
/// # Errors
/// [`ErrorKind::ValidationFailed`].
pub(super) fn subscriptions(
    schema: &Schema,
    document: &ExecutableDocument,
) -> Result<(), DocumentError> {
    let unconditional = Conditions {
        names: &[],
        variables: &[],
        mask: 0,
    };
    let operations = document.operations.iter();

    for operation in operations.filter(|operation| operation.is_subscription()) {
        let object = operation.object_type();
        let sets = [&operation.selection_set];
        let groups = collect(schema, document, &unconditional, object, sets);

        if let Some((_, second)) = groups.get_index(1) {
            let message = "A subscription must have exactly one root field";
            let at = Location::of(second[0].location(), &document.sources);
            return Err(DocumentError::invalid(message, at));
        }
    }

    Ok(())
}

/// Checks that introspection does not nest without end: types have fields, which have types.
///
/// # Errors
/// [`ErrorKind::TooComplex`].
pub(super) fn introspection(
    document: &Valid<ExecutableDocument>,
    operation: &Operation,
) -> Result<(), DocumentError> {
    check_max_depth(document, operation).map_err(|error| DocumentError {
        kind: ErrorKind::TooComplex,
        message: error.message().to_string(),
        locations: Location::of(error.location(), &document.sources)
            .into_iter()
            .collect(),
        violations: Vec::new(),
        more: 0,
    })
}

/// Returns whether an operation has introspection fields that are worth keeping the results of.
pub(super) fn has_introspection(document: &ExecutableDocument, operation: &Operation) -> bool {
    let mut roots = operation.root_fields(document);
    roots.any(|field| matches!(field.name.as_str(), "__schema" | "__type"))
}

/// Returns whether the root fields of an operation are all meta fields (specification, section 4).
pub(super) fn is_meta(document: &ExecutableDocument, operation: &Operation) -> bool {
    let mut roots = operation.root_fields(document);
    roots.all(|field| field.name.starts_with("__"))
}

/// Returns the numbers of the variables that conditions of an operation use, in the order of the numbers.
pub(super) fn conditions(
    document: &ExecutableDocument,
    operation: &Operation,
    names: &[Arc<str>],
) -> Vec<usize> {
    let mut search = ConditionSearch {
        document,
        visited: HashSet::new(),
        used: HashSet::new(),
    };
    search.set(&operation.selection_set);

    let is_used = |number: &usize| search.used.contains(&*names[*number]);
    (0..names.len()).filter(is_used).collect()
}

/// Variables of conditions, wherever the fragments of one operation have put them. What other operations reach is left
/// out: their variables of the same name are other variables.
struct ConditionSearch<'a> {
    document: &'a ExecutableDocument,
    visited: HashSet<&'a str>,
    used: HashSet<&'a str>,
}

impl<'a> ConditionSearch<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());

            match selection {
                Selection::Field(field) => {
                    if let Some(inner) = &field.selection_set {
                        self.set(inner);
                    }
                }
                Selection::InlineFragment(inline) => self.set(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.visited.insert(&spread.fragment_name)
                        && let Some(fragment) = spread.fragment_def(self.document)
                    {
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a DirectiveList) {
        let conditions = CONDITIONS.iter().flat_map(|name| directives.get_all(name));
        let variables = conditions
            .filter_map(|directive| directive.specified_argument_by_name("if")?.as_variable());

        self.used.extend(variables.map(|name| name.as_str()));
    }
}

fn each_field<'a>(set: &'a SelectionSet, visit: &mut impl FnMut(&'a Node<Field>)) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                visit(field);
                if let Some(inner) = &field.selection_set {
                    each_field(inner, visit);
                }
            }
            Selection::InlineFragment(inline) => each_field(&inline.selection_set, visit),
            Selection::FragmentSpread(_) => {}
        }
    }
}
