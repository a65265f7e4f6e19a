//! Input values: coerced by the types of the schema, and read into the types of the caller.

mod coerce;
mod read;
mod template;
mod types;

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub(crate) use coerce::{Coercion, Source, coerce_default};
pub use read::ReadError;
pub(crate) use template::{Bound, ObjectField, Template};
pub use types::ScalarRule;
pub(crate) use types::{InputField, InputKind, InputType, InputTypes};

/// Coerced input value. Values of enums are texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// Truth value.
    Boolean(bool),
    /// Integer.
    Int(i64),
    /// Finite number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// List.
    List(Vec<Value>),
    /// Input object: the fields that were given or have a default, in the order of the schema. A field that is absent
    /// here was not given, which is not the same as null.
    Object(Vec<(Arc<str>, Value)>),
}

impl Value {
    /// Returns the value of a field of an object; `None` if the field is absent or the value is not an object.
    pub fn get(&self, field: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields
                .iter()
                .find(|(name, _)| &**name == field)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(&**name, value)?;
                }
                map.end()
            }
        }
    }
}
