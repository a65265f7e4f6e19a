//! Values of columns, the same for both engines: what means the same compares equal.

use std::cmp::Ordering;
use std::fmt;

use sqlx::types::Json;
use sqlx::{ColumnIndex, Database, Decode, Row, Type};
use uuid::Uuid;

use crate::time::Timestamp;

/// Meaning of a column, which each engine stores in a type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, read as a 64-bit integer.
    Int,
    /// A truth value: `boolean`, or 0 and 1.
    Bool,
    /// A UUID: `uuid`, or 16 bytes.
    Id,
    /// A point in time: `timestamptz`, or microseconds.
    Time,
    /// A text.
    Text,
    /// A JSON document: `jsonb`, or its text. The order of keys and spaces mean nothing.
    Json,
    /// A JSON document that both engines store as text.
    JsonText,
    /// Bytes: `bytea`, or a blob.
    Bytes,
}

/// Value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Value of a [`Kind::Int`].
    Int(i64),
    /// Value of a [`Kind::Bool`].
    Bool(bool),
    /// Value of a [`Kind::Id`].
    Id(Uuid),
    /// Value of a [`Kind::Time`].
    Time(Timestamp),
    /// Value of a [`Kind::Text`].
    Text(String),
    /// Value of a [`Kind::Json`] or a [`Kind::JsonText`].
    Json(serde_json::Value),
    /// Value of a [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// A value that is not of the column's kind, with the driver's reason. It equals nothing else.
    Unreadable(String),
}

impl Value {
    /// Reads a column of a row.
    pub(super) fn read<'r, D, R>(row: &'r R, column: usize, kind: Kind) -> Self
    where
        D: Database,
        R: Row<Database = D>,
        usize: ColumnIndex<R>,
        i64: Decode<'r, D> + Type<D>,
        bool: Decode<'r, D> + Type<D>,
        Uuid: Decode<'r, D> + Type<D>,
        Timestamp: Decode<'r, D> + Type<D>,
        String: Decode<'r, D> + Type<D>,
        Json<serde_json::Value>: Decode<'r, D> + Type<D>,
        Vec<u8>: Decode<'r, D> + Type<D>,
    {
        fn of<T>(value: Result<Option<T>, sqlx::Error>, wrap: impl FnOnce(T) -> Value) -> Value {
            match value {
                Ok(value) => value.map_or(Value::Null, wrap),
                Err(error) => Value::Unreadable(error.to_string()),
            }
        }

        match kind {
            Kind::Int => of(row.try_get(column), Self::Int),
            Kind::Bool => of(row.try_get(column), Self::Bool),
            Kind::Id => of(row.try_get(column), Self::Id),
            Kind::Time => of(row.try_get(column), Self::Time),
            Kind::Text => of(row.try_get(column), Self::Text),
            Kind::Json => of(row.try_get(column), |Json(json)| Self::Json(json)),
            Kind::JsonText => of(row.try_get(column), |text: String| parsed(&text)),
            Kind::Bytes => of(row.try_get(column), Self::Bytes),
        }
    }

    /// Compares two values of a key, as both engines order them.
    pub(super) fn key_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            // Both engines order the bytes.
            (Self::Id(a), Self::Id(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => Ordering::Equal,
        }
    }

    /// Returns the value as a statement takes it within JSON. PostgreSQL converts text to the types
    /// of its columns; SQLite has no types to convert to, and its statements expect numbers for
    /// times and plain hexadecimal digits for bytes.
    pub(crate) fn to_json(&self, postgres: bool) -> serde_json::Value {
        match self {
            Self::Null | Self::Unreadable(_) => serde_json::Value::Null,
            Self::Int(number) => (*number).into(),
            // The columns of SQLite are numbers.
            Self::Bool(value) if postgres => (*value).into(),
            Self::Bool(value) => i64::from(*value).into(),
            Self::Id(id) => id.simple().to_string().into(),
            Self::Time(at) if postgres => at.to_string().into(),
            Self::Time(at) => at.as_micros().into(),
            Self::Text(text) => text.as_str().into(),
            Self::Json(json) => json.clone(),
            Self::Bytes(bytes) if postgres => format!("\\x{}", hex::encode(bytes)).into(),
            Self::Bytes(bytes) => hex::encode(bytes).into(),
        }
    }
}

fn parsed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(json) => Value::Json(json),
        Err(error) => Value::Unreadable(error.to_string()),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Id(id) => id.fmt(f),
            Self::Time(at) => at.fmt(f),
            // Quoted and escaped, so that spaces and control characters show.
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Json(json) => json.fmt(f),
            Self::Bytes(bytes) => write!(f, "0x{}", hex::encode(bytes)),
            Self::Unreadable(why) => write!(f, "unreadable ({why})"),
        }
    }
}
