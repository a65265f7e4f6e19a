//! Values that are known except for the variables in them.

use std::sync::Arc;

use super::Value;

/// Value that becomes complete with the variables of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    /// A value without variables.
    Constant(Value),
    /// The value of a variable.
    Variable {
        /// Number of the variable in the operation.
        number: usize,
        /// True if null may stand here.
        nullable: bool,
    },
    /// A list, some items of which have variables.
    List(Vec<Template>),
    /// An input object, some fields of which have variables.
    Object(Vec<ObjectField>),
}

/// Field of an input object in a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObjectField {
    /// Name of the field.
    pub(crate) name: Arc<str>,
    /// Value of the field.
    pub(crate) template: Template,
    /// Value if the field's variable has none.
    pub(crate) default: Option<Value>,
    /// True if the field must have a value.
    pub(crate) required: bool,
}

/// Result of filling in a template.
pub(crate) enum Bound {
    /// A value.
    Value(Value),
    /// Nothing: the template is a variable without a value.
    Absent,
    /// Null, or nothing, where a value is required. Validation admits such a variable only where its type or the place
    /// has a default (specification, section 5.8.5).
    Missing,
}

impl Template {
    /// Fills in the values of variables; `None` stands for a variable without a value.
    pub(crate) fn bind(&self, variables: &[Option<Value>]) -> Bound {
        match self {
            Self::Constant(value) => Bound::Value(value.clone()),
            Self::Variable { number, nullable } => match &variables[*number] {
                None => Bound::Absent,
                Some(Value::Null) if !nullable => Bound::Missing,
                Some(value) => Bound::Value(value.clone()),
            },
            Self::List(items) => list(items, variables),
            Self::Object(fields) => object(fields, variables),
        }
    }
}

fn list(items: &[Template], variables: &[Option<Value>]) -> Bound {
    let mut bound = Vec::with_capacity(items.len());
    for item in items {
        match item.bind(variables) {
            Bound::Value(value) => bound.push(value),
            Bound::Absent if matches!(item, Template::Variable { nullable: true, .. }) => {
                // A list has no gaps: a variable without a value is null in it (specification, section 3.12).
                bound.push(Value::Null);
            }
            Bound::Absent | Bound::Missing => return Bound::Missing,
        }
    }

    Bound::Value(Value::List(bound))
}

fn object(fields: &[ObjectField], variables: &[Option<Value>]) -> Bound {
    let mut bound = Vec::with_capacity(fields.len());
    for field in fields {
        match field.template.bind(variables) {
            Bound::Value(value) => bound.push((Arc::clone(&field.name), value)),
            // An absent field is not a null one (specification, section 3.10).
            Bound::Absent => match &field.default {
                Some(default) => bound.push((Arc::clone(&field.name), default.clone())),
                None if field.required => return Bound::Missing,
                None => {}
            },
            Bound::Missing => return Bound::Missing,
        }
    }

    Bound::Value(Value::Object(bound))
}
