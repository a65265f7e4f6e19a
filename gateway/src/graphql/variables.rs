//! Check of variables against the types that an operation declares for them (specification, section 6.1.2), before
//! anything is executed. All violations are reported at once, each with its path.
//!
//! Only kinds of values are checked. Ranges and formats are checked by the rules behind the resolvers.

use std::collections::HashMap;
use std::fmt::Write;

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::registry::{MetaType, MetaTypeName, Registry, ScalarValidatorFn};
use async_graphql::{Value, Variables};
use backbone::FieldError;

use crate::error::Problem;

/// Input types of a schema, by name.
pub(super) struct InputTypes(HashMap<String, InputType>);

enum InputType {
    /// Scalar with its check; `None` accepts any value.
    Scalar(Option<ScalarValidatorFn>),
    /// Names of the values.
    Enum(Vec<String>),
    /// Fields, each with its type as the schema writes it and whether it has a default.
    Object(HashMap<String, (String, bool)>),
}

impl InputTypes {
    /// Collects the input types of a schema.
    pub(super) fn of(registry: &Registry) -> Self {
        let types = registry.types.iter().filter_map(|(name, meta)| {
            let input_type = match meta {
                MetaType::Scalar { is_valid, .. } => InputType::Scalar(is_valid.clone()),
                MetaType::Enum { enum_values, .. } => {
                    InputType::Enum(enum_values.keys().cloned().collect())
                }
                MetaType::InputObject { input_fields, .. } => {
                    let field =
                        |(name, field): (&String, &async_graphql::registry::MetaInputValue)| {
                            (
                                name.clone(),
                                (field.ty.clone(), field.default_value.is_some()),
                            )
                        };
                    InputType::Object(input_fields.iter().map(field).collect())
                }
                _ => return None,
            };
            Some((name.clone(), input_type))
        });

        Self(types.collect())
    }

    /// Checks the values with which an operation is to be executed.
    ///
    /// # Errors
    /// BAD_USER_INPUT with every violation.
    pub(super) fn check(
        &self,
        operation: &OperationDefinition,
        values: &Variables,
    ) -> Result<(), Problem> {
        let mut check = Check {
            types: self,
            path: String::new(),
            errors: Vec::new(),
        };

        for definition in &operation.variable_definitions {
            let name = definition.node.name.node.as_str();
            let declared = &definition.node.var_type.node;
            check.within(name, |check| match values.get(name) {
                Some(value) => check.declared(declared, value),
                None if !declared.nullable && definition.node.default_value.is_none() => {
                    check.violation("is required");
                }
                None => {}
            });
        }

        if check.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::inputs(check.errors))
        }
    }
}

struct Check<'a> {
    types: &'a InputTypes,
    /// Path of the value that is being checked.
    path: String,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    /// Checks a value against a type as a document writes it.
    fn declared(&mut self, declared: &Type, value: &Value) {
        match (&declared.base, value) {
            (_, Value::Null) if declared.nullable => {}
            (_, Value::Null) => self.violation("must not be null"),
            (BaseType::Named(name), value) => self.named(name, value),
            (BaseType::List(inner), value) => {
                self.list(value, |check, item| check.declared(inner, item))
            }
        }
    }

    /// Checks a value against a type as the schema writes it.
    fn known(&mut self, known: &str, value: &Value) {
        match (MetaTypeName::create(known), value) {
            (MetaTypeName::NonNull(_), Value::Null) => self.violation("must not be null"),
            (MetaTypeName::NonNull(inner), value) => self.known(inner, value),
            (_, Value::Null) => {}
            (MetaTypeName::List(inner), value) => {
                self.list(value, |check, item| check.known(inner, item))
            }
            (MetaTypeName::Named(name), value) => self.named(name, value),
        }
    }

    /// Checks every item of a list. A single value stands for a list of one (specification, section 3.11).
    fn list(&mut self, value: &Value, mut each: impl FnMut(&mut Self, &Value)) {
        let Value::List(items) = value else {
            return each(self, value);
        };
        for (index, item) in items.iter().enumerate() {
            self.within(index, |check| each(check, item));
        }
    }

    fn named(&mut self, name: &str, value: &Value) {
        let types = self.types;
        match (types.0.get(name), value) {
            (Some(InputType::Scalar(is_valid)), value) => {
                if !is_valid.as_ref().is_none_or(|is_valid| is_valid(value)) {
                    self.violation(&must_be(name));
                }
            }
            (Some(InputType::Enum(values)), Value::String(text)) if values.contains(text) => {}
            (Some(InputType::Enum(values)), Value::Enum(text))
                if values.iter().any(|value| text == value) => {}
            (Some(InputType::Object(fields)), Value::Object(given)) => {
                for (field, value) in given {
                    self.within(field, |check| match fields.get(field.as_str()) {
                        Some((known, _)) => check.known(known, value),
                        None => check.violation(&format!("is not a field of {name}")),
                    });
                }
                for (field, (known, has_default)) in fields {
                    if known.ends_with('!') && !has_default && !given.contains_key(field.as_str()) {
                        self.within(field, |check| check.violation("is required"));
                    }
                }
            }
            // A name of no input type: validation has rejected the document for it.
            (None, _) => {}
            (Some(_), _) => self.violation(&must_be(name)),
        }
    }

    fn within(&mut self, segment: impl std::fmt::Display, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };

        write!(self.path, "{dot}{segment}").expect("writing to a string cannot fail");
        check(self);

        // One buffer for all paths: a path is copied only where a violation is reported.
        self.path.truncate(length);
    }

    fn violation(&mut self, message: &str) {
        self.errors.push(FieldError {
            path: self.path.clone(),
            message: message.to_owned(),
        });
    }
}

/// Returns the message for a value of another type than `name`, with the article that fits.
fn must_be(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) {
        "an"
    } else {
        "a"
    };
    format!("must be {article} {name}")
}
