//! Scalars. Inputs are taken as they come and judged by the rules behind, so that every violation is told with its
//! path and all at once; here only the kind of value is checked.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use backbone::money;
use backbone::time::Timestamp;

pub(super) struct DateTime(pub(super) Timestamp);

/// RFC 3339, UTC
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Timestamp::parse(text)
                .map(Self)
                .ok_or_else(|| InputValueError::custom("is not RFC 3339")),
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

/// Whole minor units of the currency (pence, cents), 0 … 2^53-1, a JSON number
#[Scalar(
    name = "MinorUnits",
    specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html"
)]
impl ScalarType for MinorUnits {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            // A number beyond 64 bits is out of range like any other that is too large.
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

/// A text that is judged where it is used.
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
    /// ISO 4217 alphabetic code
    Currency,
    "Currency",
    "https://www.iso.org/iso-4217-currency-codes.html"
);
text_scalar!(
    /// Opaque point in the market's one ordered log (epoch, sequence, index); compare for equality only
    Position,
    "Position",
    "https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id"
);

impl From<backbone::position::Position> for Position {
    fn from(position: backbone::position::Position) -> Self {
        Self(position.encode())
    }
}
