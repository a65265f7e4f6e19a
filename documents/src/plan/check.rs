//! Checks of a document that its plan relies on, beyond those of the validator.

use std::collections::HashSet;
use std::sync::Arc;

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};

use crate::error::{DocumentError, ErrorKind, Location};
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
            if coercion.count() > before {
                locations.extend(Location::of(field.location(), &document.sources));
            }
        });
    }

    let violations = coercion.into_violations();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(vec![DocumentError::bad_input(violations, locations)])
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

/// Checks that a subscription has one root field, which is not an introspection field and which no condition can remove
/// (specification, section 5.2.4.1).
///
/// # Errors
/// [`ErrorKind::ValidationFailed`].
pub(super) fn subscription(
    document: &ExecutableDocument,
    operation: &Operation,
) -> Result<(), DocumentError> {
    let mut search = RootSearch {
        document,
        visited: HashSet::new(),
        found: Vec::new(),
    };
    search.set(&operation.selection_set)?;

    let key = |field: &&Node<Field>| field.response_name().clone();
    let keys: HashSet<_> = search.found.iter().map(key).collect();
    if keys.len() != 1 {
        let message = "A subscription must have exactly one root field";
        return Err(DocumentError::invalid(
            message,
            location(search.found[0], document),
        ));
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
    })
}

/// Returns the numbers of the variables that conditions of an operation use, in the order of the numbers.
pub(super) fn conditions(
    document: &ExecutableDocument,
    operation: &Operation,
    names: &[Arc<str>],
) -> Vec<usize> {
    let mut used = HashSet::new();
    let mut visit = |directives: &DirectiveList| {
        let conditions = CONDITIONS.iter().flat_map(|name| directives.get_all(name));
        let variables = conditions
            .filter_map(|directive| directive.specified_argument_by_name("if")?.as_variable());
        used.extend(variables.map(|name| name.as_str().to_owned()));
    };

    each_directives(&operation.selection_set, &mut visit);
    for fragment in document.fragments.values() {
        each_directives(&fragment.selection_set, &mut visit);
    }

    // Fragments of other operations may use variables that this one does not have.
    let is_used = |number: &usize| used.contains(&*names[*number]);
    (0..names.len()).filter(is_used).collect()
}

/// Root fields of a subscription, wherever fragments have put them.
struct RootSearch<'a> {
    document: &'a ExecutableDocument,
    visited: HashSet<&'a str>,
    found: Vec<&'a Node<Field>>,
}

impl<'a> RootSearch<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<(), DocumentError> {
        for selection in &set.selections {
            self.unconditional(selection)?;

            match selection {
                Selection::Field(field) if field.name.starts_with("__") => {
                    let message =
                        format!("{} cannot be the root field of a subscription", field.name);
                    return Err(DocumentError::invalid(
                        message,
                        location(field, self.document),
                    ));
                }
                Selection::Field(field) => self.found.push(field),
                Selection::InlineFragment(inline) => self.set(&inline.selection_set)?,
                Selection::FragmentSpread(spread) => {
                    if self.visited.insert(&spread.fragment_name)
                        && let Some(fragment) = spread.fragment_def(self.document)
                    {
                        self.set(&fragment.selection_set)?;
                    }
                }
            }
        }

        Ok(())
    }

    /// Checks that no variable decides whether there is something to subscribe to.
    fn unconditional(&self, selection: &Selection) -> Result<(), DocumentError> {
        let conditional = |directive: &&Node<_>| {
            let directive: &apollo_compiler::ast::Directive = directive;
            CONDITIONS.contains(&directive.name.as_str())
        };

        match selection.directives().iter().find(conditional) {
            None => Ok(()),
            Some(directive) => {
                let message = format!(
                    "@{} is not allowed at the root of a subscription",
                    directive.name
                );
                Err(DocumentError::invalid(
                    message,
                    location(directive, self.document),
                ))
            }
        }
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

fn each_directives<'a>(set: &'a SelectionSet, visit: &mut impl FnMut(&'a DirectiveList)) {
    for selection in &set.selections {
        visit(selection.directives());
        match selection {
            Selection::Field(field) => {
                if let Some(inner) = &field.selection_set {
                    each_directives(inner, visit);
                }
            }
            Selection::InlineFragment(inline) => each_directives(&inline.selection_set, visit),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn location<T>(node: &Node<T>, document: &ExecutableDocument) -> Option<Location> {
    Location::of(node.location(), &document.sources)
}
