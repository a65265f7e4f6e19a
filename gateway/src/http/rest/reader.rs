//! Reader of a JSON object, field by field, so that every violation is reported with its path.
//!
//! Values stay as their text until their field is read. So numbers are exact, and whatever an unknown field holds is
//! never built.

use std::collections::BTreeMap;

use backbone::FieldError;
use backbone::contract::DealStatus;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::number;
use crate::error::{Code, Problem};

/// Reader of a JSON object that collects violations instead of stopping at the first.
pub(super) struct Reader<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    errors: Vec<FieldError>,
}

/// Reading of one value, or the second half of a sentence that says what it must be.
type Read<T> = fn(&RawValue) -> Result<T, &'static str>;

impl<'a> Reader<'a> {
    /// Begins to read a body.
    ///
    /// # Errors
    /// BAD_REQUEST if the body is not a JSON object.
    pub(super) fn begin(body: &'a [u8]) -> Result<Self, Problem> {
        let body: &RawValue = serde_json::from_slice(body).map_err(|error| {
            Problem::new(Code::BadRequest, format!("The body is not JSON: {error}"))
        })?;

        Self::object(body)
            .ok_or_else(|| Problem::new(Code::BadRequest, "The body must be a JSON object"))
    }

    /// Takes out a field that must be given.
    pub(super) fn required<T>(&mut self, name: &str, read: Read<T>) -> Option<T> {
        if self.fields.get(name).is_none_or(|value| is_null(value)) {
            // A null is taken out too, or it would be reported again as an unknown field.
            self.fields.remove(name);
            self.report(name, "is required");
            return None;
        }
        self.optional(name, read)
    }

    /// Takes out a field that may be absent; null counts as absent.
    pub(super) fn optional<T>(&mut self, name: &str, read: Read<T>) -> Option<T> {
        let value = self.fields.remove(name).filter(|value| !is_null(value))?;

        read(value)
            .map_err(|message| self.report(name, message))
            .ok()
    }

    /// Takes out a field that may be an object, and reads it.
    pub(super) fn optional_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.fields.remove(name).filter(|value| !is_null(value))?;
        self.nested(name, value, read)
    }

    /// Takes out a field that must be a list of objects, and reads each.
    pub(super) fn required_objects<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Self) -> T,
    ) -> Vec<T> {
        let Some(list) = self.fields.remove(name).filter(|value| !is_null(value)) else {
            self.report(name, "is required");
            return Vec::new();
        };
        let Ok(values) = serde_json::from_str::<Vec<&'a RawValue>>(list.get()) else {
            self.report(name, "must be a list");
            return Vec::new();
        };

        let mut objects = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            objects.extend(self.nested(&format!("{name}.{index}"), value, &read));
        }
        objects
    }

    /// Drops fields whose values do not matter.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.fields.remove(*name);
        }
    }

    /// Adds a violation.
    pub(super) fn report(&mut self, path: &str, message: &str) {
        self.errors.push(FieldError::new(path, message));
    }

    /// Reports every field that nothing has read.
    pub(super) fn report_unknown_fields(&mut self) {
        for name in std::mem::take(&mut self.fields).keys() {
            self.report(name, "is not a field of this body");
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// BAD_USER_INPUT with every violation, those of fields that nothing has read among them.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        self.report_unknown_fields();

        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::inputs(self.errors))
        }
    }

    fn nested<T>(
        &mut self,
        path: &str,
        value: &'a RawValue,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let Some(mut inner) = Self::object(value) else {
            self.report(path, "must be an object");
            return None;
        };

        let object = read(&mut inner);

        let root = format!("{path}.");
        let errors = inner.errors.into_iter();
        self.errors.extend(errors.map(|error| error.below(&root)));
        Some(object)
    }

    fn object(value: &'a RawValue) -> Option<Self> {
        Some(Self {
            fields: serde_json::from_str(value.get()).ok()?,
            errors: Vec::new(),
        })
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Reads a string.
pub(super) fn text(value: &RawValue) -> Result<String, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "must be a string")
}

/// Reads a number without a fraction.
pub(super) fn integer(value: &RawValue) -> Result<i64, &'static str> {
    Some(value.get())
        .filter(|text| text.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
        .and_then(number::integer)
        .ok_or("must be an integer")
}

/// Reads a number.
pub(super) fn number(value: &RawValue) -> Result<f64, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "must be a number")
}

/// Reads a UUID.
pub(super) fn uuid(value: &RawValue) -> Result<Uuid, &'static str> {
    text(value)
        .ok()
        .and_then(|text| Uuid::parse_str(&text).ok())
        .ok_or("must be a UUID")
}

/// Reads a status in lower case.
pub(super) fn status(value: &RawValue) -> Result<DealStatus, &'static str> {
    let text = text(value).unwrap_or_default();
    let named = |status: &DealStatus| text == status.as_str().to_ascii_lowercase();

    DealStatus::ALL
        .into_iter()
        .find(named)
        .ok_or("must be one of available, reserved, sold, withdrawn")
}
