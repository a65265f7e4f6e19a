//! Root fields: what a request asks the caller to execute.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cost::Cost;
use crate::error::Location;
use crate::schema::PageRule;
use crate::select::{Selection, SelectionKey};
use crate::values::{Bound, ReadError, Template, Value};

/// Root field of an operation, with all selections of its response key merged.
pub struct Root {
    pub(super) kind: RootKind,
    pub(super) response_key: Arc<str>,
    /// Response key as JSON text, with the colon after it.
    pub(super) json_key: Box<str>,
    pub(super) field: Arc<str>,
    pub(super) arguments: Vec<Argument>,
    pub(super) selection: Selection,
    pub(super) nullable: bool,
    pub(super) cost: Cost,
    pub(super) location: Option<Location>,
}

/// Kind of a root field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// Field of the schema, which the caller executes.
    Field,
    /// `__typename`: the value is the name of the root type.
    TypeName(&'static str),
    /// `__schema` or `__type`.
    Introspection,
}

/// Argument of a root field.
pub(super) struct Argument {
    pub(super) name: Arc<str>,
    /// Value that the document gives; `None` if the argument is not given.
    pub(super) given: Option<Template>,
    pub(super) default: Option<Value>,
    pub(super) required: bool,
}

/// Arguments of a root field: those that were given or have a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments(Value);

/// Null, or a variable without a value, where an argument requires a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// Name of the argument.
    pub argument: Arc<str>,
}

impl Root {
    /// Returns the kind of the field.
    pub fn kind(&self) -> RootKind {
        self.kind
    }

    /// Returns the key of the field in the result.
    pub fn response_key(&self) -> &Arc<str> {
        &self.response_key
    }

    /// Returns the key of the field in the result as JSON text, with the colon after it.
    pub fn json_key(&self) -> &str {
        &self.json_key
    }

    /// Returns the name of the field in the schema.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Returns what is selected of the field's value.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns the identity of the field's result: equal for roots that render equal bytes, key included, of the same
    /// value.
    pub fn result_key(&self) -> SelectionKey {
        SelectionKey::of_root(&self.response_key, &self.field, &self.selection)
    }

    /// Returns whether null is a value of the field. If it is not, an error of the field makes all data null.
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// Returns the place of the field's first selection in the text.
    pub fn location(&self) -> Option<Location> {
        self.location
    }

    /// Fills in the arguments (specification, section 6.4.1, CoerceArgumentValues).
    pub(super) fn bind(&self, variables: &[Option<Value>]) -> Result<Arguments, ArgumentError> {
        let mut bound = Vec::with_capacity(self.arguments.len());

        for argument in &self.arguments {
            let given = argument.given.as_ref();
            let value = match given.map_or(Bound::Absent, |template| template.bind(variables)) {
                Bound::Value(value) => Some(value),
                Bound::Absent => argument.default.clone(),
                Bound::Missing => return Err(argument.missing()),
            };

            match value {
                Some(value) => bound.push((Arc::clone(&argument.name), value)),
                None if argument.required => return Err(argument.missing()),
                None => {}
            }
        }

        Ok(Arguments(Value::Object(bound)))
    }

    /// Returns the number of fields that the result can have.
    pub(super) fn cost_with(&self, rule: PageRule, variables: &[Option<Value>]) -> u64 {
        let size = |name: &&str| {
            let argument = self
                .arguments
                .iter()
                .find(|argument| *argument.name == **name)?;
            let given = argument.given.as_ref();
            let size = match given.map_or(Bound::Absent, |template| template.bind(variables)) {
                Bound::Value(value) => value,
                Bound::Absent => argument.default.clone()?,
                Bound::Missing => return None,
            };

            match size {
                Value::Int(size) => u64::try_from(size).ok(),
                _ => None,
            }
        };
        let sizes = rule.of(self.field());
        let page = rule.arguments.iter().find_map(size);

        // A larger page is refused by the field itself.
        self.cost
            .with_page(page.unwrap_or(sizes.default).min(sizes.most))
    }
}

impl Argument {
    fn missing(&self) -> ArgumentError {
        ArgumentError {
            argument: Arc::clone(&self.name),
        }
    }
}

impl Arguments {
    /// Reads the arguments into a type.
    ///
    /// # Errors
    /// [`ReadError`] if the type does not fit the schema.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ReadError> {
        self.0.read()
    }
}

impl Serialize for Arguments {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Argument {} requires a value that is not null",
            self.argument
        )
    }
}

impl std::error::Error for ArgumentError {}
