//! Checks of a document that its plan relies on, beyond those of the validator.

use std::collections::HashSet;
use std::sync::Arc;

use apollo_compiler::ast::{Argument, DirectiveList, Value as Literal};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node};

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
        disregarded: false,
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

/// Checks that fields of the same response key have the same arguments, wherever they are merged (specification, section
/// 5.3.2). The validator compares lists only as far as the shorter one goes.
///
/// # Errors
/// [`ErrorKind::ValidationFailed`].
pub(super) fn merged_arguments(
    schema: &Schema,
    document: &ExecutableDocument,
) -> Result<(), DocumentError> {
    let check = MergeCheck { schema, document };

    for operation in document.operations.iter() {
        check.object(operation.object_type(), &[&operation.selection_set])?;
    }
    Ok(())
}

struct MergeCheck<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
}

impl MergeCheck<'_> {
    /// Checks what selection sets select of an object of a type.
    fn object(&self, object: &str, sets: &[&SelectionSet]) -> Result<(), DocumentError> {
        let all = Conditions {
            names: &[],
            variables: &[],
            mask: 0,
            disregarded: true,
        };
        let groups = collect(
            self.schema,
            self.document,
            &all,
            object,
            sets.iter().copied(),
        );

        for (key, fields) in groups {
            let first = fields[0];
            if let Some(other) = fields.iter().find(|other| !same_arguments(first, other)) {
                let message = format!("Fields of the key {key} have different arguments");
                let at = Location::of(other.location(), &self.document.sources);
                return Err(DocumentError::invalid(message, at));
            }

            let inner: Vec<&SelectionSet> = fields
                .iter()
                .filter_map(|field| field.selection_set.as_ref())
                .collect();
            for ty in self.schema.possible_types(first.ty().inner_named_type()) {
                self.object(&ty, &inner)?;
            }
        }
        Ok(())
    }
}

fn same_arguments(left: &Field, right: &Field) -> bool {
    let given = |argument: &Argument| {
        let other = right.arguments.iter().find(|it| it.name == argument.name);
        other.is_some_and(|other| same_value(&argument.value, &other.value))
    };

    left.arguments.len() == right.arguments.len() && left.arguments.iter().all(|it| given(it))
}

/// Compares literals. The order of an object's fields does not count.
fn same_value(left: &Literal, right: &Literal) -> bool {
    match (left, right) {
        (Literal::List(left), Literal::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same_value(a, b))
        }
        (Literal::Object(left), Literal::Object(right)) => {
            let given = |(name, value): &(Name, Node<Literal>)| {
                let other = right.iter().find(|(other, _)| other == name);
                other.is_some_and(|(_, other)| same_value(value, other))
            };
            left.len() == right.len() && left.iter().all(given)
        }
        _ => left == right,
    }
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
