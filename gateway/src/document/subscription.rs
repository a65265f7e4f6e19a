//! Root field of a subscription: exactly one, wherever fragments have put it (specification, section 5.2.3.1).

use std::collections::HashSet;

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        Directive, Field, FragmentDefinition, OperationType, Selection, TypeCondition,
    },
};
use async_graphql_value::Value;

use super::error::DocumentError;
use super::operation::Operation;

/// Name of the schema's root type for subscriptions, which type conditions at the root must name.
const ROOT_TYPE: &str = "Subscription";

/// The one root field of a subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionRoot<'a> {
    /// Fields that select it, in the order of the document; never empty. They agree in everything but their selections,
    /// which execution merges.
    occurrences: Vec<&'a Positioned<Field>>,
}

impl<'a> SubscriptionRoot<'a> {
    /// Returns the field's name in the schema.
    #[must_use]
    pub fn name(&self) -> &'a Name {
        &self.first().node.name.node
    }

    /// Returns the field's name in results: its alias, or its name if it has none.
    #[must_use]
    pub fn response_key(&self) -> &'a Name {
        &self.first().node.response_key().node
    }

    /// Returns the field's arguments as they were written, literals and variables.
    #[must_use]
    pub fn arguments(&self) -> &'a [(Positioned<Name>, Positioned<Value>)] {
        &self.first().node.arguments
    }

    /// Returns the position of the first selection of the field.
    #[must_use]
    pub fn pos(&self) -> Pos {
        self.first().pos
    }

    /// Returns one field, without arguments, that selects what all occurrences together select.
    pub(super) fn merged(&self) -> Positioned<Field> {
        let mut merged = (*self.first()).clone();
        merged.node.arguments.clear();
        for other in &self.occurrences[1..] {
            merged
                .node
                .directives
                .extend(other.node.directives.iter().cloned());
            merged
                .node
                .selection_set
                .node
                .items
                .extend(other.node.selection_set.node.items.iter().cloned());
        }

        merged
    }

    /// Returns the fields that select it, in the order of the document.
    pub(super) fn occurrences(&self) -> &[&'a Positioned<Field>] {
        &self.occurrences
    }

    fn first(&self) -> &'a Positioned<Field> {
        self.occurrences[0]
    }
}

impl<'a> Operation<'a> {
    /// Returns the one root field of a subscription.
    ///
    /// # Errors
    /// `ValidationFailed` unless this is a subscription whose root is as section 5.2.3.1 of the specification demands: one
    /// field, which is not an introspection field and which no directive can remove.
    pub fn subscription_root(&self) -> Result<SubscriptionRoot<'a>, DocumentError> {
        root(self)
    }
}

fn root<'a>(operation: &Operation<'a>) -> Result<SubscriptionRoot<'a>, DocumentError> {
    let definition = operation.definition;
    if definition.node.ty != OperationType::Subscription {
        return Err(DocumentError::not_a_subscription(
            definition.node.ty,
            definition.pos,
        ));
    }

    let mut search = Search {
        operation,
        spread: HashSet::new(),
        found: Vec::new(),
    };

    search.selections(&definition.node.selection_set.node.items)?;

    let occurrences = search.found;
    // The field may be selected several times, as long as execution merges the selections into one.
    let first = occurrences
        .first()
        .ok_or_else(|| only_one([definition.pos]))?;

    for other in &occurrences[1..] {
        if first.node.response_key() != other.node.response_key() {
            return Err(only_one([first.pos, other.pos]));
        }
        if first.node.name != other.node.name || !same_arguments(&first.node, &other.node) {
            let key = &first.node.response_key().node;
            let message = format!(
                "The root field {key} is selected twice with different fields or arguments"
            );
            return Err(DocumentError::invalid(message, [first.pos, other.pos]));
        }
    }

    Ok(SubscriptionRoot { occurrences })
}

struct Search<'a, 'o> {
    operation: &'o Operation<'a>,
    /// Fragments already searched: a second time would only find the same fields, and could take exponential time.
    spread: HashSet<&'a str>,
    found: Vec<&'a Positioned<Field>>,
}

impl<'a> Search<'a, '_> {
    fn selections(&mut self, items: &'a [Positioned<Selection>]) -> Result<(), DocumentError> {
        for item in items {
            match &item.node {
                Selection::Field(field) => self.field(field)?,
                Selection::InlineFragment(inline) => {
                    no_directives(&inline.node.directives)?;
                    inline
                        .node
                        .type_condition
                        .as_ref()
                        .map_or(Ok(()), on_root)?;
                    self.selections(&inline.node.selection_set.node.items)?;
                }
                Selection::FragmentSpread(spread) => {
                    no_directives(&spread.node.directives)?;
                    self.fragment(&spread.node.fragment_name.node)?;
                }
            }
        }

        Ok(())
    }

    fn field(&mut self, field: &'a Positioned<Field>) -> Result<(), DocumentError> {
        if field.node.name.node.starts_with("__") {
            let message = format!(
                "{} cannot be the root field of a subscription",
                field.node.name.node
            );
            return Err(DocumentError::invalid(message, [field.pos]));
        }

        let conditional = |directive: &&Positioned<Directive>| {
            ["skip", "include"].contains(&directive.node.name.node.as_str())
        };

        // A root field that a variable can remove would leave a subscription without a source.
        if let Some(directive) = field.node.directives.iter().find(conditional) {
            return Err(not_allowed(directive));
        }

        self.found.push(field);
        Ok(())
    }

    fn fragment(&mut self, name: &'a Name) -> Result<(), DocumentError> {
        if !self.spread.insert(name) {
            return Ok(());
        }

        let fragment: &'a FragmentDefinition = &self.operation.parsed.document.fragments[name].node;
        no_directives(&fragment.directives)?;
        on_root(&fragment.type_condition)?;
        self.selections(&fragment.selection_set.node.items)
    }
}

fn on_root(condition: &Positioned<TypeCondition>) -> Result<(), DocumentError> {
    let on = &condition.node.on.node;
    if on == ROOT_TYPE {
        return Ok(());
    }
    let message = format!("A fragment on {on} is not allowed at the root of a subscription");
    Err(DocumentError::invalid(message, [condition.pos]))
}

// The shape puts the root field in place of the fragment, so a directive on the fragment would be lost without a word.
fn no_directives(directives: &[Positioned<Directive>]) -> Result<(), DocumentError> {
    directives
        .first()
        .map_or(Ok(()), |directive| Err(not_allowed(directive)))
}

fn not_allowed(directive: &Positioned<Directive>) -> DocumentError {
    let message = format!(
        "@{} is not allowed at the root of a subscription",
        directive.node.name.node
    );
    DocumentError::invalid(message, [directive.pos])
}

fn only_one(locations: impl IntoIterator<Item = Pos>) -> DocumentError {
    DocumentError::invalid("A subscription must have exactly one root field", locations)
}

fn same_arguments(one: &Field, other: &Field) -> bool {
    one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|(name, value)| other.get_argument(&name.node) == Some(value))
}
