//! Digest of an operation, equal for operations that render alike.
//!
//! The structure is hashed, so formatting does not count, and a fragment counts by its content, not by its name. Every
//! part is written with its kind and length, so no two structures write the same bytes. The order of fields counts, since
//! it is the order of results; that of arguments, object fields and variable definitions does not.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Variables,
    parser::types::{
        Directive, Field, FragmentDefinition, OperationDefinition, Selection, TypeCondition,
        VariableDefinition,
    },
};
use async_graphql_value::Value;
use sha2::{Digest as _, Sha256};

/// Identity of a rendering: equal keys render equal bytes for the same change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeKey(pub [u8; 16]);

/// SHA-256 of a structure.
pub(super) type Digest = [u8; 32];

/// Version of the encoding below. Must change whenever the same bytes come to mean something else.
const DOMAIN: &str = "dealwire shape 1";

/// Returns the digest of an operation and the fragments that it uses. `leaves_first` names them, each after those that it
/// spreads.
pub(super) fn of_document(
    operation: &OperationDefinition,
    leaves_first: &[&Name],
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
) -> Digest {
    let mut digests = HashMap::new();
    // A fragment is hashed once and enters every spread as its digest: hashing the expansion could take exponential time.
    for name in leaves_first {
        let fragment = &fragments[*name].node;
        let mut writer = Writer::new(&digests);
        writer.condition(Some(&fragment.type_condition));
        writer.directives(&fragment.directives);
        writer.selections(&fragment.selection_set.node.items);
        let digest = writer.finish();
        digests.insert(name.as_str(), digest);
    }

    let mut writer = Writer::new(&digests);
    writer.text(&operation.ty.to_string());
    writer.variables(&operation.variable_definitions);
    writer.directives(&operation.directives);
    writer.selections(&operation.selection_set.node.items);
    writer.finish()
}

/// Returns the key of a document with the values of its used variables, within a scope.
pub(super) fn of_use(
    document: &Digest,
    used: &[Name],
    values: &Variables,
    scope: &str,
) -> ShapeKey {
    let none = HashMap::new();
    let mut writer = Writer::new(&none);

    writer.text(DOMAIN);
    writer.hash.update(document);
    writer.count(used.len());
    for name in used {
        writer.text(name);
        writer.optional(values.get(name), |writer, value| {
            writer.value(&value.clone().into_value())
        });
    }

    writer.text(scope);

    let digest = writer.finish();
    ShapeKey(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"))
}

struct Writer<'a> {
    hash: Sha256,
    fragments: &'a HashMap<&'a str, Digest>,
}

impl<'a> Writer<'a> {
    fn new(fragments: &'a HashMap<&'a str, Digest>) -> Self {
        Self {
            hash: Sha256::new(),
            fragments,
        }
    }

    fn finish(self) -> Digest {
        self.hash.finalize().into()
    }

    fn selections(&mut self, items: &[Positioned<Selection>]) {
        self.count(items.len());
        for item in items {
            match &item.node {
                Selection::Field(field) => {
                    self.kind(b'f');
                    self.field(&field.node);
                }
                Selection::InlineFragment(inline) => {
                    self.kind(b'i');
                    self.condition(inline.node.type_condition.as_ref());
                    self.directives(&inline.node.directives);
                    self.selections(&inline.node.selection_set.node.items);
                }
                Selection::FragmentSpread(spread) => {
                    self.kind(b's');
                    self.directives(&spread.node.directives);
                    self.hash
                        .update(self.fragments[spread.node.fragment_name.node.as_str()]);
                }
            }
        }
    }

    fn field(&mut self, field: &Field) {
        // The response key rather than the alias: an alias equal to the name changes no result.
        self.text(&field.response_key().node);
        self.text(&field.name.node);
        self.arguments(&field.arguments);
        self.directives(&field.directives);
        self.selections(&field.selection_set.node.items);
    }

    fn condition(&mut self, condition: Option<&Positioned<TypeCondition>>) {
        self.optional(condition, |writer, condition| {
            writer.text(&condition.node.on.node)
        });
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        self.count(directives.len());
        for directive in directives {
            self.text(&directive.node.name.node);
            self.arguments(&directive.node.arguments);
        }
    }

    fn arguments(&mut self, arguments: &[(Positioned<Name>, Positioned<Value>)]) {
        self.entries(
            arguments
                .iter()
                .map(|(name, value)| (&name.node, &value.node))
                .collect(),
        );
    }

    fn variables(&mut self, definitions: &[Positioned<VariableDefinition>]) {
        let mut sorted: Vec<_> = definitions
            .iter()
            .map(|definition| &definition.node)
            .collect();
        // Sorted, as arguments and object fields are: their order does not show in results.
        sorted.sort_by_key(|definition| &definition.name.node);
        self.count(sorted.len());
        for definition in sorted {
            self.text(&definition.name.node);
            self.text(&definition.var_type.node.to_string());
            self.directives(&definition.directives);
            self.optional(definition.default_value.as_ref(), |writer, default| {
                writer.value(&default.node.clone().into_value());
            });
        }
    }

    fn entries(&mut self, mut entries: Vec<(&Name, &Value)>) {
        entries.sort_by_key(|(name, _)| *name);
        self.count(entries.len());
        for (name, value) in entries {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Variable(name) => self.tagged(b'$', name),
            Value::Null => self.kind(b'0'),
            // As text: 1 and 1.0 are different inputs to a Float and an Int argument.
            Value::Number(number) => self.tagged(b'n', &number.to_string()),
            Value::String(text) => self.tagged(b'"', text),
            Value::Boolean(truth) => self.kind(if *truth { b't' } else { b'f' }),
            Value::Enum(name) => self.tagged(b'e', name),
            Value::Binary(bytes) => {
                self.kind(b'b');
                self.count(bytes.len());
                self.hash.update(bytes);
            }
            Value::List(items) => {
                self.kind(b'[');
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(fields) => {
                self.kind(b'{');
                self.entries(fields.iter().collect());
            }
        }
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        // Written for an absent value, too, or what follows could be taken for it.
        self.kind(if value.is_some() { b'+' } else { b'-' });
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn tagged(&mut self, kind: u8, text: &str) {
        self.kind(kind);
        self.text(text);
    }

    fn text(&mut self, text: &str) {
        // The length first, so that "ab", "c" and "a", "bc" differ.
        self.count(text.len());
        self.hash.update(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.hash.update((count as u64).to_le_bytes());
    }

    fn kind(&mut self, kind: u8) {
        self.hash.update([kind]);
    }
}
