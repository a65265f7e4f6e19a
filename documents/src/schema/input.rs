//! Input types of a schema: read from its definitions, with defaults coerced once.

use apollo_compiler::Schema as Definitions;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::ExtendedType;

use super::SchemaError;
use crate::values::{InputField, InputKind, InputTypes, ScalarRule, Template, coerce_default};

/// Collects the input types of a schema.
///
/// # Errors
/// [`SchemaError::Rules`] for a scalar without a rule or a default that breaks one.
pub(super) fn types(
    definitions: &Definitions,
    scalars: &[(&'static str, ScalarRule)],
) -> Result<InputTypes, SchemaError> {
    let inputs = definitions.types.values();
    let inputs: Vec<&ExtendedType> = inputs.filter(|ty| ty.is_input_type()).collect();
    let names = inputs.iter().map(|ty| ty.name().to_string());

    let mut types = InputTypes::new(names.collect());
    for (number, ty) in inputs.into_iter().enumerate() {
        let kind = kind(&types, ty, scalars)?;
        types.set(number, kind);
    }

    // Only now are all kinds known, which the defaults of fields are coerced by.
    set_defaults(&mut types, definitions)?;
    Ok(types)
}

/// Returns an argument or a field of an input object with its default.
///
/// # Errors
/// [`SchemaError::Rules`] for a default that breaks a rule.
pub(super) fn field(
    types: &InputTypes,
    definition: &InputValueDefinition,
) -> Result<InputField, SchemaError> {
    let field = field_without_default(types, definition)?;
    let Some(default) = &definition.default_value else {
        return Ok(field);
    };

    match coerce_default(types, &field.ty, default) {
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
    types: &InputTypes,
    definition: &InputValueDefinition,
) -> Result<InputField, SchemaError> {
    let unknown = || SchemaError::Rules(format!("{} has no input type", definition.name));

    Ok(InputField {
        name: definition.name.as_str().into(),
        ty: types.resolve(&definition.ty).ok_or_else(unknown)?,
        default: None,
    })
}

fn kind(
    types: &InputTypes,
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
                .map(|field| field_without_default(types, field))
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
fn set_defaults(types: &mut InputTypes, definitions: &Definitions) -> Result<(), SchemaError> {
    // A chain of defaults is at most as long as there are fields; what changes longer than that never ends.
    let fields = definitions
        .types
        .values()
        .filter_map(|ty| ty.as_input_object());
    let longest: usize = fields.map(|object| object.fields.len()).sum();

    for _ in 0..=longest {
        let mut fault = None;
        let mut is_changed = false;
        for number in 0..types.count() {
            set_defaults_of(types, number, definitions, &mut is_changed, &mut fault);
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
    types: &mut InputTypes,
    number: usize,
    definitions: &Definitions,
    is_changed: &mut bool,
    fault: &mut Option<SchemaError>,
) {
    let Some(object) = definitions.get_input_object(types.name(number)) else {
        return;
    };
    let fields = object
        .fields
        .values()
        .map(|definition| field(types, definition));
    let coerced: Vec<Result<InputField, SchemaError>> = fields.collect();

    for (field, coerced) in types.fields_mut(number).iter_mut().zip(coerced) {
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
