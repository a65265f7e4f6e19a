//! Values of variables, checked against the types that an operation declares for them (specification, section 6.1.2),
//! before anything is executed. Every violation is told, each with its path.
//!
//! Refuses to judge what a value means: ranges and formats are the rules' behind the resolvers.

use std::collections::HashMap;
use std::fmt::Write;

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::registry::{MetaType, MetaTypeName, Registry, ScalarValidatorFn};
use async_graphql::{Value, Variables};
use backbone::FieldError;

use crate::error::Problem;

/// The types that values can be of.
pub(super) struct InputTypes(HashMap<String, InputType>);

enum InputType {
    /// `None`: whatever it is.
    Scalar(Option<ScalarValidatorFn>),
    /// The names of its values.
    Enum(Vec<String>),
    /// The fields, each with its type as the schema writes it and whether it has a default.
    Object(HashMap<String, (String, bool)>),
}

impl InputTypes {
    /// Those of a schema.
    pub(super) fn of(registry: &Registry) -> Self {
        let types = registry.types.iter().filter_map(|(name, known)| {
            let known = match known {
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
            Some((name.clone(), known))
        });
        Self(types.collect())
    }

    /// Whether an operation can be executed with these values.
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
            wrong: Vec::new(),
        };
        for definition in &operation.variable_definitions {
            let (name, declared) = (
                definition.node.name.node.as_str(),
                &definition.node.var_type.node,
            );
            check.within(name, |check| match values.get(name) {
                Some(value) => check.declared(declared, value),
                None if !declared.nullable && definition.node.default_value.is_none() => {
                    check.violation("is needed");
                }
                None => {}
            });
        }
        if check.wrong.is_empty() {
            Ok(())
        } else {
            Err(Problem::inputs(check.wrong))
        }
    }
}

struct Check<'a> {
    types: &'a InputTypes,
    /// Of the value at hand.
    path: String,
    wrong: Vec<FieldError>,
}

impl Check<'_> {
    /// By a type as a document writes it.
    fn declared(&mut self, declared: &Type, value: &Value) {
        match (&declared.base, value) {
            (_, Value::Null) if declared.nullable => {}
            (_, Value::Null) => self.violation("cannot be null"),
            (BaseType::Named(name), value) => self.named(name, value),
            (BaseType::List(inner), value) => {
                self.list(value, |check, item| check.declared(inner, item))
            }
        }
    }

    /// By a type as the schema writes it.
    fn known(&mut self, known: &str, value: &Value) {
        match (MetaTypeName::create(known), value) {
            (MetaTypeName::NonNull(_), Value::Null) => self.violation("cannot be null"),
            (MetaTypeName::NonNull(inner), value) => self.known(inner, value),
            (_, Value::Null) => {}
            (MetaTypeName::List(inner), value) => {
                self.list(value, |check, item| check.known(inner, item))
            }
            (MetaTypeName::Named(name), value) => self.named(name, value),
        }
    }

    /// One value stands for a list of itself.
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
                    self.violation(&format!("is no {name}"));
                }
            }
            (Some(InputType::Enum(values)), Value::String(text)) if values.contains(text) => {}
            (Some(InputType::Enum(values)), Value::Enum(text))
                if values.iter().any(|value| text == value) => {}
            (Some(InputType::Object(fields)), Value::Object(given)) => {
                for (field, value) in given {
                    self.within(field, |check| match fields.get(field.as_str()) {
                        Some((known, _)) => check.known(known, value),
                        None => check.violation(&format!("is no field of {name}")),
                    });
                }
                for (field, (known, has_default)) in fields {
                    if known.ends_with('!') && !has_default && !given.contains_key(field.as_str()) {
                        self.within(field, |check| check.violation("is needed"));
                    }
                }
            }
            // A type that values cannot be of is validation's to refuse.
            (None, _) => {}
            (Some(_), _) => self.violation(&format!("is no {name}")),
        }
    }

    fn within(&mut self, segment: impl std::fmt::Display, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };
        write!(self.path, "{dot}{segment}").expect("a text can be written to");
        check(self);
        self.path.truncate(length);
    }

    fn violation(&mut self, message: &str) {
        self.wrong.push(FieldError {
            path: self.path.clone(),
            message: message.to_owned(),
        });
    }
}
