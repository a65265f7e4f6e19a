//! Shapes: the part of a subscription that decides the bytes of its results. Subscribers with the same shape share one
//! rendering.
//!
//! Only the document and its variables are considered here. If a result depends on anything else, the renderer says so
//! with the scope of [`shape_key`].

use std::collections::{BTreeMap, HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned, Variables,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection,
        SelectionSet,
    },
};
use async_graphql_value::Value;

use super::digest::{self, Digest, ShapeKey};
use super::error::DocumentError;
use super::fragments::spreads_in;
use super::operation::{Operation, Parsed};
use super::subscription::SubscriptionRoot;

/// A subscription rewritten so that equal shapes render equal results: one anonymous operation with the root field at its
/// root, without the field's arguments, with only the fragments that it spreads and only the variables that it uses.
///
/// Names of operations and fragments, formatting and positions do not count, so `locations` of errors in a shared result
/// may be those of another subscriber's text. Arguments of the root field are gone, so the original must be validated.
#[derive(Debug, Clone)]
pub struct ShapeDocument {
    document: ExecutableDocument,
    used_variables: Vec<Name>,
    digest: Digest,
}

impl ShapeDocument {
    /// Returns the rewritten document, to be executed without an operation name.
    #[must_use]
    pub fn document(&self) -> &ExecutableDocument {
        &self.document
    }

    /// Returns the names of the variables that the document still uses, sorted. No others can change a result.
    #[must_use]
    pub fn used_variables(&self) -> &[Name] {
        &self.used_variables
    }
}

/// Returns the key of a shape with these values of its variables. `scope` names whatever else decides a result, such as
/// the viewer if content depends on it. Keys are stable over processes and restarts of one release.
#[must_use]
pub fn shape_key(shape: &ShapeDocument, variables: &Variables, scope: &str) -> ShapeKey {
    digest::of_use(&shape.digest, &shape.used_variables, variables, scope)
}

impl Operation<'_> {
    /// Returns the subscription without whatever does not decide the bytes of a result.
    ///
    /// # Errors
    /// Those of [`Self::subscription_root`], and `ValidationFailed` for an undefined variable.
    pub fn shape(&self) -> Result<ShapeDocument, DocumentError> {
        rewrite(self, &self.subscription_root()?)
    }
}

/// Rewrites `operation`, a subscription to `root`.
fn rewrite(operation: &Operation, root: &SubscriptionRoot) -> Result<ShapeDocument, DocumentError> {
    let original = &operation.definition.node;
    let field = root.merged();
    let leaves_first = used_fragments(operation, root);
    let fragments: HashMap<Name, _> = leaves_first
        .iter()
        .map(|&name| {
            (
                name.clone(),
                operation.parsed.document.fragments[name].clone(),
            )
        })
        .collect();

    let mut uses = Uses::default();
    // Arguments of the root field are gone from `field`, and with them the variables that only they use.
    uses.directives(&original.directives);
    uses.field(&field.node);
    for fragment in fragments.values() {
        uses.directives(&fragment.node.directives);
        uses.selections(&fragment.node.selection_set.node);
    }

    let used_variables = uses.defined_by(original)?;

    let mut variable_definitions = original.variable_definitions.clone();
    // Values of other variables do not count either, so the definitions that would demand them go.
    variable_definitions.retain(|variable| used_variables.contains(&variable.node.name.node));

    let items = vec![Positioned::new(Selection::Field(field), root.pos())];
    let rewritten = OperationDefinition {
        ty: original.ty,
        variable_definitions,
        directives: original.directives.clone(),
        selection_set: Positioned::new(SelectionSet { items }, original.selection_set.pos),
    };

    let digest = digest::of_document(&rewritten, &leaves_first, &fragments);
    let operations =
        DocumentOperations::Single(Positioned::new(rewritten, operation.definition.pos));

    Ok(ShapeDocument {
        document: ExecutableDocument {
            operations,
            fragments,
        },
        used_variables,
        digest,
    })
}

/// Returns the names of all fragments that can be reached from the root field, each after those that it spreads.
fn used_fragments<'a>(operation: &Operation<'a>, root: &SubscriptionRoot<'a>) -> Vec<&'a Name> {
    let Parsed {
        document,
        leaves_first,
        ..
    } = operation.parsed;

    let mut spreads = Vec::new();
    for field in root.occurrences() {
        spreads_in(&field.node.selection_set.node.items, &mut spreads);
    }

    // Each fragment is searched once, however often it is spread.
    let mut used = HashSet::new();

    while let Some(spread) = spreads.pop() {
        let name = &spread.node.fragment_name.node;
        if used.insert(name) {
            spreads_in(
                &document.fragments[name].node.selection_set.node.items,
                &mut spreads,
            );
        }
    }

    leaves_first
        .iter()
        .filter(|name| used.contains(name))
        .collect()
}

/// Variables that are used, each with the position of one use.
#[derive(Default)]
struct Uses<'a>(BTreeMap<&'a Name, Pos>);

impl<'a> Uses<'a> {
    fn selections(&mut self, set: &'a SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::FragmentSpread(spread) => self.directives(&spread.node.directives),
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.node.directives);
                    self.selections(&inline.node.selection_set.node);
                }
            }
        }
    }

    fn field(&mut self, field: &'a Field) {
        field
            .arguments
            .iter()
            .for_each(|(_, value)| self.value(&value.node, value.pos));
        self.directives(&field.directives);
        self.selections(&field.selection_set.node);
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) {
        for (_, value) in directives
            .iter()
            .flat_map(|directive| &directive.node.arguments)
        {
            self.value(&value.node, value.pos);
        }
    }

    fn value(&mut self, value: &'a Value, pos: Pos) {
        match value {
            Value::Variable(name) => {
                self.0.insert(name, pos);
            }
            Value::List(items) => items.iter().for_each(|item| self.value(item, pos)),
            Value::Object(fields) => fields.values().for_each(|field| self.value(field, pos)),
            _ => {}
        }
    }

    /// Returns the names, sorted, all of which `operation` must define.
    fn defined_by(self, operation: &OperationDefinition) -> Result<Vec<Name>, DocumentError> {
        let defined: HashSet<&Name> = operation
            .variable_definitions
            .iter()
            .map(|variable| &variable.node.name.node)
            .collect();

        match self.0.iter().find(|(name, _)| !defined.contains(*name)) {
            Some((name, pos)) => Err(DocumentError::invalid(
                format!("Variable ${name} is not defined"),
                [*pos],
            )),
            None => Ok(self.0.into_keys().cloned().collect()),
        }
    }
}
