//! Compilation of a variant: from the selections of a document to root fields with their merged selections.

use apollo_compiler::ast::Type;
use apollo_compiler::executable::Field;
use apollo_compiler::{ExecutableDocument, Node};

use super::collect::{Conditions, Groups, collect};
use super::root::Argument;
use super::{OperationKind, Plan, Root, RootKind};
use crate::cost::Cost;
use crate::error::Location;
use crate::schema::{ListSize, Schema};
use crate::select::{Content, SelectedField, SelectedType, Selection};
use crate::values::{Coercion, Source};

/// Compiles the root fields for one combination of the conditions' variables.
pub(super) fn roots(schema: &Schema, plan: &Plan, mask: u64) -> Vec<Root> {
    let compiler = Compiler {
        schema,
        document: &plan.document,
        conditions: Conditions {
            names: &plan.names,
            variables: &plan.conditions,
            mask,
            disregarded: false,
        },
    };
    let object = plan.operation.object_type();
    let groups = compiler.groups(object, [&plan.operation.selection_set]);

    groups
        .into_iter()
        .map(|(key, fields)| compiler.root(plan, object, key, &fields))
        .collect()
}

struct Compiler<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    conditions: Conditions<'a>,
}

impl<'a> Compiler<'a> {
    fn groups<'s>(
        &self,
        object: &str,
        sets: impl IntoIterator<Item = &'s apollo_compiler::executable::SelectionSet>,
    ) -> Groups<'s>
    where
        'a: 's,
    {
        collect(self.schema, self.document, &self.conditions, object, sets)
    }

    fn root(&self, plan: &Plan, object: &str, key: &str, fields: &[&Node<Field>]) -> Root {
        // Validation has made sure that all fields of a group are the same field with the same arguments (section 5.3.2).
        let first = fields[0];
        let kind = match first.name.as_str() {
            "__typename" => RootKind::TypeName(match plan.kind {
                OperationKind::Query => "Query",
                OperationKind::Mutation => "Mutation",
                OperationKind::Subscription => "Subscription",
            }),
            "__schema" | "__type" => RootKind::Introspection,
            _ => RootKind::Field,
        };

        // What introspection selects is executed on the document itself.
        let (selection, cost) = match kind {
            RootKind::Field => self.value(object, fields),
            RootKind::TypeName(_) | RootKind::Introspection => (Selection::default(), Cost::LEAF),
        };

        Root {
            kind,
            response_key: key.into(),
            json_key: json_key(key),
            field: first.name.as_str().into(),
            arguments: self.arguments(plan, first),
            selection,
            nullable: !first.ty().is_non_null(),
            cost,
            location: Location::of(first.location(), &self.document.sources),
        }
    }

    fn arguments(&self, plan: &Plan, field: &Field) -> Vec<Argument> {
        // Every literal was checked when the plan was made, so nothing is reported here.
        let mut coercion = Coercion::new(self.schema.inputs(), &plan.names);

        field
            .definition
            .arguments
            .iter()
            .filter_map(|definition| {
                let argument = self.schema.input_field(definition).ok()?;
                let given = field.specified_argument_by_name(&definition.name);

                Some(Argument {
                    given: given
                        .map(|literal| coercion.coerce(&argument.ty, Source::Literal(literal))),
                    required: !argument.ty.nullable(),
                    name: argument.name,
                    default: argument.default,
                })
            })
            .collect()
    }

    /// Compiles what is selected of the value of a field of `object`, and what the field costs.
    fn value(&self, object: &str, fields: &[&Node<Field>]) -> (Selection, Cost) {
        let first = fields[0];
        let inner = first.ty().inner_named_type();
        let possible = self.schema.possible_types(inner);

        let selection = if possible.is_empty() {
            Selection::default()
        } else {
            let types: Vec<(SelectedType, Cost)> = possible
                .iter()
                .filter_map(|ty| self.object(ty, fields))
                .collect();
            // The value has one of the types; which one is not known before.
            let cost = types.iter().fold(Cost::default(), |most, (_, cost)| Cost {
                fixed: most.fixed.max(cost.fixed),
                per_item: most.per_item.max(cost.per_item),
            });

            Selection::new(types.into_iter().map(|(ty, _)| ty).collect(), cost)
        };

        let own = Cost::LEAF.plus(selection.cost());
        let cost = self.list_cost(object, first, own);
        (selection, cost)
    }

    fn list_cost(&self, object: &str, field: &Field, entry: Cost) -> Cost {
        if !matches!(field.ty(), Type::List(_) | Type::NonNullList(_)) {
            return entry;
        }

        match self.schema.list_size(object, &field.name) {
            ListSize::Page => entry.for_each_item(self.schema.page().most),
            ListSize::AtMost(count) => entry.times(count),
        }
    }

    fn object(&self, object: &str, fields: &[&Node<Field>]) -> Option<(SelectedType, Cost)> {
        let output = self.schema.output(object)?;
        let sets = fields
            .iter()
            .filter_map(|field| field.selection_set.as_ref());
        let mut cost = Cost::default();

        let selected = self
            .groups(object, sets)
            .into_iter()
            .filter_map(|(key, fields)| {
                let name = fields[0].name.as_str();
                let (content, selection) = if name == "__typename" {
                    cost = cost.plus(Cost::LEAF);
                    (Content::TypeName, Selection::default())
                } else {
                    let (selection, field_cost) = self.value(object, &fields);
                    cost = cost.plus(field_cost);
                    // The schema has made sure that the renderer writes every field of its type.
                    (Content::Field(output.number(name)?), selection)
                };

                Some(SelectedField {
                    key: json_key(key),
                    content,
                    selection,
                })
            });

        let selected = SelectedType {
            fields: selected.collect(),
            name: output.name(),
        };
        Some((selected, cost))
    }
}

/// Returns a response key as JSON text, with the colon after it. Names need no escapes.
fn json_key(key: &str) -> Box<str> {
    format!("\"{key}\":").into()
}
