//! Input types of a schema in the form that coercion reads: by number instead of by name, with defaults coerced once.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::Schema as Definitions;
use apollo_compiler::ast::{InputValueDefinition, Type};
use apollo_compiler::schema::ExtendedType;

use super::{ScalarRule, SchemaError};
use crate::values::{Template, Value, coerce_default};

/// Type of an input value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputType {
    /// A named type.
    Named {
        /// Number of the type in [`InputTypes`].
        number: usize,
        /// True if null is a value of the type.
        nullable: bool,
    },
    /// A list.
    List {
        /// Type of the items.
        of: Box<InputType>,
        /// True if null is a value of the type.
        nullable: bool,
    },
}

/// Kind of a named input type.
pub(crate) enum InputKind {
    /// 32-bit integer (specification, section 3.5.1).
    Int,
    /// Finite number of double precision (3.5.2).
    Float,
    /// Text (3.5.3).
    String,
    /// Truth value (3.5.4).
    Boolean,
    /// Text or integer, kept as text (3.5.5).
    Id,
    /// Scalar with a rule of its own.
    Scalar(ScalarRule),
    /// Names of the values.
    Enum(Vec<Arc<str>>),
    /// Input object.
    Object {
        /// True if exactly one field must be given (3.10.1).
        one_of: bool,
        /// Fields in the order of the schema.
        fields: Vec<InputField>,
    },
}

/// Field of an input object, or argument of a root field.
#[derive(Clone, Debug)]
pub(crate) struct InputField {
    /// Name as documents write it.
    pub(crate) name: Arc<str>,
    /// Type of the value.
    pub(crate) ty: InputType,
    /// Value if none is given.
    pub(crate) default: Option<Value>,
}

/// All named input types of a schema.
pub(crate) struct InputTypes {
    numbers: HashMap<String, usize>,
    kinds: Vec<InputKind>,
    names: Vec<String>,
}

impl InputType {
    /// Returns whether null is a value of the type.
    pub(crate) fn nullable(&self) -> bool {
        match self {
            Self::Named { nullable, .. } | Self::List { nullable, .. } => *nullable,
        }
    }
}

impl InputTypes {
    /// Collects the input types of a schema.
    ///
    /// # Errors
    /// [`SchemaError::Rules`] for a scalar without a rule or a default that breaks one.
    pub(super) fn new(
        definitions: &Definitions,
        scalars: &[(&'static str, ScalarRule)],
    ) -> Result<Self, SchemaError> {
        let is_input = |ty: &&ExtendedType| ty.is_input_type();
        let names: Vec<String> = definitions
            .types
            .values()
            .filter(is_input)
            .map(|ty| ty.name().to_string())
            .collect();
        let numbers = names.iter().cloned().zip(0..).collect();

        let mut types = Self {
            numbers,
            kinds: Vec::new(),
            names,
        };
        for ty in definitions.types.values().filter(is_input) {
            let kind = types.kind(ty, scalars)?;
            types.kinds.push(kind);
        }

        // Only now are all kinds known, which the defaults of fields are coerced by.
        types.set_defaults(definitions)?;
        Ok(types)
    }

    /// Returns the kind of a named type.
    pub(crate) fn get(&self, number: usize) -> &InputKind {
        &self.kinds[number]
    }

    /// Returns the name of a type.
    pub(crate) fn name(&self, number: usize) -> &str {
        &self.names[number]
    }

    /// Returns a type as a document or the schema writes it; `None` if a name in it is of no input type.
    pub(crate) fn resolve(&self, ty: &Type) -> Option<InputType> {
        let named = |name: &str, nullable| {
            let number = *self.numbers.get(name)?;
            Some(InputType::Named { number, nullable })
        };
        let list = |of: &Type, nullable| {
            let of = Box::new(self.resolve(of)?);
            Some(InputType::List { of, nullable })
        };

        match ty {
            Type::Named(name) => named(name, true),
            Type::NonNullNamed(name) => named(name, false),
            Type::List(of) => list(of, true),
            Type::NonNullList(of) => list(of, false),
        }
    }

    /// Returns an argument or a field of an input object with its default.
    ///
    /// # Errors
    /// [`SchemaError::Rules`] for a default that breaks a rule.
    pub(crate) fn field(
        &self,
        definition: &InputValueDefinition,
    ) -> Result<InputField, SchemaError> {
        let field = self.field_without_default(definition)?;
        let Some(default) = &definition.default_value else {
            return Ok(field);
        };

        match coerce_default(self, &field.ty, default) {
            Some(Template::Constant(value)) => Ok(InputField {
                default: Some(value),
                ..field
            }),
            _ => Err(SchemaError::Rules(format!(
                "the default of {} is invalid",
                field.name
            ))),
        }
    }

    fn field_without_default(
        &self,
        definition: &InputValueDefinition,
    ) -> Result<InputField, SchemaError> {
        let unknown = || SchemaError::Rules(format!("{} has no input type", definition.name));

        Ok(InputField {
            name: definition.name.as_str().into(),
            ty: self.resolve(&definition.ty).ok_or_else(unknown)?,
            default: None,
        })
    }

    fn kind(
        &self,
        ty: &ExtendedType,
        scalars: &[(&'static str, ScalarRule)],
    ) -> Result<InputKind, SchemaError> {
        Ok(match ty {
            ExtendedType::Enum(values) => {
                let names = values.values.keys();
                InputKind::Enum(names.map(|name| name.as_str().into()).collect())
            }
            ExtendedType::InputObject(object) => {
                let fields = object.fields.values();
                let fields: Result<_, _> = fields
                    .map(|field| self.field_without_default(field))
                    .collect();

                InputKind::Object {
                    one_of: object.is_one_of(),
                    fields: fields?,
                }
            }
            other => match other.name().as_str() {
                "Int" => InputKind::Int,
                "Float" => InputKind::Float,
                "String" => InputKind::String,
                "Boolean" => InputKind::Boolean,
                "ID" => InputKind::Id,
                name => {
                    let rule = scalars.iter().find(|(scalar, _)| *scalar == name);
                    let missing = || SchemaError::Rules(format!("the scalar {name} has no rule"));
                    InputKind::Scalar(rule.ok_or_else(missing)?.1)
                }
            },
        })
    }

    /// Coerces the defaults of fields. Those of one type may lean on those of another, in whichever order the schema has
    /// them, so all are coerced again until nothing changes.
    fn set_defaults(&mut self, definitions: &Definitions) -> Result<(), SchemaError> {
        // A chain of defaults is at most as long as there are fields; what changes longer than that never ends.
        let fields = definitions
            .types
            .values()
            .filter_map(|ty| ty.as_input_object());
        let longest: usize = fields.map(|object| object.fields.len()).sum();

        for _ in 0..=longest {
            let mut fault = None;
            let mut is_changed = false;
            for number in 0..self.kinds.len() {
                self.set_defaults_of(number, definitions, &mut is_changed, &mut fault);
            }

            if !is_changed {
                return fault.map_or(Ok(()), Err);
            }
        }

        Err(SchemaError::Rules(
            "the default of an input field contains itself".to_owned(),
        ))
    }

    fn set_defaults_of(
        &mut self,
        number: usize,
        definitions: &Definitions,
        is_changed: &mut bool,
        fault: &mut Option<SchemaError>,
    ) {
        let name = self.names[number].as_str();
        let Some(object) = definitions.get_input_object(name) else {
            return;
        };
        let fields = object.fields.values().map(|field| self.field(field));
        let coerced: Vec<Result<InputField, SchemaError>> = fields.collect();

        let InputKind::Object { fields, .. } = &mut self.kinds[number] else {
            return;
        };
        for (field, coerced) in fields.iter_mut().zip(coerced) {
            match coerced {
                Ok(coerced) if coerced.default == field.default => {}
                Ok(coerced) => {
                    *field = coerced;
                    *is_changed = true;
                }
                // It may only lack a default that is not known yet.
                Err(error) => *fault = Some(error),
            }
        }
    }
}
