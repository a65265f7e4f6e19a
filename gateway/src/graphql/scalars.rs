//! Scalars.
//!
//! Only the kind of an input value is checked here. Ranges and formats are checked by the rules behind the root fields, so
//! that all violations of a request are reported at once, each with its path.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use backbone::money;
use backbone::time::Timestamp;
use documents::{Out, Render, ScalarRule, Selection};
use serde::Deserialize;

/// Message for a text that is not a point in time, to follow its path.
const NOT_A_TIME: &str = "must be an RFC 3339 date and time, such as 2026-01-31T12:00:00Z";

/// Rules of the scalars, by name.
pub(super) const RULES: [(&str, ScalarRule); 4] = [
    ("Currency", text),
    ("DateTime", date_time),
    ("MinorUnits", minor_units),
    ("Position", text),
];

fn text(value: &documents::Value) -> Result<documents::Value, &'static str> {
    match value {
        documents::Value::String(_) => Ok(value.clone()),
        _ => Err("must be a text"),
    }
}

fn date_time(value: &documents::Value) -> Result<documents::Value, &'static str> {
    match value {
        documents::Value::String(text) if Timestamp::parse(text).is_some() => Ok(value.clone()),
        _ => Err(NOT_A_TIME),
    }
}

fn minor_units(value: &documents::Value) -> Result<documents::Value, &'static str> {
    match value {
        documents::Value::Int(_) => Ok(value.clone()),
        // JSON knows one kind of number, and many clients write 129900.0. A number beyond 64 bits becomes the largest
        // one, which the rules reject as out of range with its path.
        documents::Value::Float(number) if number.fract() == 0.0 => {
            Ok(documents::Value::Int(*number as i64))
        }
        _ => Err("must be an integer number of minor units"),
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct DateTime(pub(super) Timestamp);

impl Render for DateTime {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.string(&self.0.to_string());
    }
}

/// Point in time as RFC 3339, in UTC with microseconds. Inputs may have any offset.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Timestamp::parse(text)
                .map(Self)
                .ok_or_else(|| InputValueError::custom(NOT_A_TIME)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct MinorUnits(pub(super) i64);

impl Render for MinorUnits {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.integer(self.0);
    }
}

impl From<money::MinorUnits> for MinorUnits {
    fn from(units: money::MinorUnits) -> Self {
        Self(units.get())
    }
}

/// Amount of money in whole minor units of its currency, such as pence or cents: an integer JSON number from 0 to 2^53-1.
#[Scalar(
    name = "MinorUnits",
    specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html"
)]
impl ScalarType for MinorUnits {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            // A number beyond 64 bits becomes the largest one, which the rules reject as out of range with its path.
            Value::Number(number) if number.is_u64() || number.is_i64() => {
                Ok(Self(number.as_i64().unwrap_or(i64::MAX)))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::Number(number) if number.is_u64() || number.is_i64())
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// Declares a scalar whose values are texts, checked where they are used.
macro_rules! text_scalar {
    ($(#[$doc:meta])* $name:ident, $graphql:literal, $url:literal) => {
        #[derive(Clone, Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(pub(super) String);

        impl Render for $name {
            fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
                out.string(&self.0);
            }
        }

        $(#[$doc])*
        #[Scalar(name = $graphql, specified_by_url = $url)]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    other => Err(InputValueError::expected_type(other)),
                }
            }

            fn is_valid(value: &Value) -> bool {
                matches!(value, Value::String(_))
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }
    };
}

text_scalar!(
    /// Currency as its ISO 4217 alphabetic code, three upper-case letters.
    Currency,
    "Currency",
    "https://www.iso.org/iso-4217-currency-codes.html"
);
text_scalar!(
    /// Opaque position in the market's ordered log. Positions can be stored, compared for equality and passed back.
    Position,
    "Position",
    "https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id"
);

impl From<backbone::position::Position> for Position {
    fn from(position: backbone::position::Position) -> Self {
        Self(position.encode())
    }
}

/// Implements rendering for enums whose serialization is the name of the value.
macro_rules! render_enums {
    ($($name:ty),+ $(,)?) => {
        $(impl documents::Render for $name {
            fn render(&self, _selection: &documents::Selection, out: &mut documents::Out<'_>) {
                out.serialize(self);
            }
        })+
    };
}

pub(super) use render_enums;
