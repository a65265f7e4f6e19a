//! Scalars.
//!
//! Only the kind of an input value is checked here. Ranges and formats are checked by the rules behind the resolvers, so
//! that all violations of a request are reported at once, each with its path.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use backbone::money;
use backbone::time::Timestamp;

pub(super) struct DateTime(pub(super) Timestamp);

/// Point in time as RFC 3339, in UTC with microseconds. Inputs may have any offset.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Timestamp::parse(text).map(Self).ok_or_else(|| {
                InputValueError::custom(
                    "must be an RFC 3339 date and time, such as 2026-01-31T12:00:00Z",
                )
            }),
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

#[derive(Clone, Copy)]
pub(super) struct MinorUnits(pub(super) i64);

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
        #[derive(Clone)]
        pub(super) struct $name(pub(super) String);

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
