//! Rendering: output types write their selected fields straight into the bytes of a response.

use serde::Serialize;

use crate::kept::{Kept, ObjectState};
use crate::select::{Content, Selection};

/// Value that can be written into a response.
pub trait Render {
    /// Writes the value as JSON. `selection` is that of the value, or of the entries of a list.
    fn render(&self, selection: &Selection, out: &mut Out<'_>);
}

/// Function that writes one field of an object.
pub type FieldWriter<T> = fn(&T, &Selection, &mut Out<'_>);

/// Object type with its fields, implemented by [`object!`](crate::object).
pub trait Object: Render + 'static {
    /// Name of the type in the schema.
    const NAME: &'static str;
    /// Fields in the order of the schema, each with the function that writes it.
    const FIELDS: &'static [(&'static str, FieldWriter<Self>)];
}

/// Implements [`Object`] and [`Render`] for a type: `object!(Type as "Name", |value| { "field" => value.field, … })`. Each
/// expression is borrowed and must implement [`Render`].
///
/// The form `kept by state`, with a function from the object to its [`ObjectState`], keeps the object's bytes.
#[macro_export]
macro_rules! object {
    ($type:ty as $name:literal, |$value:ident| $fields:tt) => {
        $crate::object!(@fields $type, $name, $value, $fields);

        impl $crate::Render for $type {
            fn render(&self, selection: &$crate::Selection, out: &mut $crate::Out<'_>) {
                out.object(self, selection);
            }
        }
    };
    ($type:ty as $name:literal, kept by $state:expr, |$value:ident| $fields:tt) => {
        $crate::object!(@fields $type, $name, $value, $fields);

        impl $crate::Render for $type {
            fn render(&self, selection: &$crate::Selection, out: &mut $crate::Out<'_>) {
                out.kept_object(self, $state(self), selection);
            }
        }
    };
    (@fields $type:ty, $name:literal, $value:ident, { $($field:literal => $content:expr),+ $(,)? }) => {
        impl $crate::Object for $type {
            const NAME: &'static str = $name;
            const FIELDS: &'static [(&'static str, $crate::FieldWriter<Self>)] = &[
                $(($field, |$value, selection, out| $crate::Render::render(&$content, selection, out))),+
            ];
        }
    };
}

/// Result that is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Largest number of bytes.
    pub limit: usize,
}

/// Bytes of a response under construction.
pub struct Out<'a> {
    bytes: Vec<u8>,
    limit: usize,
    /// True once the limit was passed. From then on nothing is written, so the memory stays within about the limit.
    full: bool,
    kept: Option<&'a Kept>,
}

impl<'a> Out<'a> {
    /// Creates an empty response of at most `limit` bytes. Objects that are rendered again and again are copied from
    /// `kept`.
    pub fn new(limit: usize, kept: Option<&'a Kept>) -> Self {
        Self::with_room(0, limit, kept)
    }

    /// Creates an empty response with room for `room` bytes.
    pub(crate) fn with_room(room: usize, limit: usize, kept: Option<&'a Kept>) -> Self {
        Self {
            bytes: Vec::with_capacity(room),
            limit,
            full: false,
            kept,
        }
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// [`TooLarge`] if there are more than the limit.
    pub fn finish(self) -> Result<Vec<u8>, TooLarge> {
        if self.full {
            return Err(TooLarge { limit: self.limit });
        }

        Ok(self.bytes)
    }

    /// Returns whether the limit was passed, after which nothing more is written.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Writes text that is JSON already.
    pub fn json(&mut self, json: &[u8]) {
        if !self.full {
            self.bytes.extend_from_slice(json);
            // Checked after the write: one part may pass the limit by its own length, which is bounded itself.
            self.full = self.bytes.len() > self.limit;
        }
    }

    /// Writes a text as a JSON string.
    pub fn string(&mut self, text: &str) {
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        if !text.as_bytes().iter().all(plain) {
            return self.serialize(text);
        }

        // Nearly every text needs no escape, and is copied as it is.
        if !self.full {
            self.bytes.reserve(text.len() + 2);
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(b'"');
            self.full = self.bytes.len() > self.limit;
        }
    }

    /// Writes a number.
    pub fn integer(&mut self, number: impl itoa::Integer) {
        self.json(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes a value by its serialization.
    ///
    /// # Panics
    /// If the value is not representable as JSON.
    pub fn serialize(&mut self, value: &(impl Serialize + ?Sized)) {
        if !self.full {
            serde_json::to_writer(&mut self.bytes, value)
                .expect("the value is JSON, and a Vec takes every byte");
            self.full = self.bytes.len() > self.limit;
        }
    }

    /// Writes a list.
    pub fn list<T: Render>(&mut self, items: impl IntoIterator<Item = T>, selection: &Selection) {
        self.json(b"[");
        for (index, item) in items.into_iter().enumerate() {
            // A list may be long: once the response is full, its rest need not be walked.
            if self.full {
                return;
            }
            if index > 0 {
                self.json(b",");
            }
            item.render(selection, self);
        }
        self.json(b"]");
    }

    /// Writes the selected fields of an object.
    pub fn object<T: Object>(&mut self, object: &T, selection: &Selection) {
        self.json(b"{");
        for (index, field) in selection.fields_of(T::NAME).iter().enumerate() {
            if index > 0 {
                self.json(b",");
            }

            self.json(field.key.as_bytes());
            match field.content {
                Content::TypeName => self.string(T::NAME),
                Content::Field(number) => {
                    let (_, write) = T::FIELDS[usize::from(number)];
                    write(object, &field.selection, self);
                }
            }
        }
        self.json(b"}");
    }

    /// Writes an object as [`Out::object`] does, and keeps its bytes for the next response that selects the same of the
    /// same state. Only for objects whose bytes do not depend on the viewer.
    pub fn kept_object<T: Object>(
        &mut self,
        object: &T,
        state: ObjectState,
        selection: &Selection,
    ) {
        let Some(kept) = self.kept.filter(|kept| kept.is_worthwhile(selection)) else {
            return self.object(object, selection);
        };

        let key = (selection.key(), state);
        if let Some(bytes) = kept.get(&key) {
            return self.json(&bytes);
        }

        let begin = self.bytes.len();
        self.object(object, selection);

        // What was cut off must not be kept.
        if !self.full {
            kept.insert(key, &self.bytes[begin..]);
        }
    }
}

impl<T: Render + ?Sized> Render for &T {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        (**self).render(selection, out);
    }
}

impl<T: Render + ?Sized> Render for Box<T> {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        (**self).render(selection, out);
    }
}

impl<T: Render> Render for Option<T> {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        match self {
            Some(value) => value.render(selection, out),
            None => out.json(b"null"),
        }
    }
}

impl<T: Render> Render for [T] {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        out.list(self, selection);
    }
}

impl<T: Render> Render for Vec<T> {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        out.list(self, selection);
    }
}

impl Render for bool {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.json(if *self { b"true" } else { b"false" });
    }
}

impl Render for str {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.string(self);
    }
}

impl Render for String {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.string(self);
    }
}

impl Render for f64 {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        out.serialize(self);
    }
}

/// Implements [`Render`] for integers.
macro_rules! integers {
    ($($type:ty),+) => {
        $(impl Render for $type {
            fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
                out.integer(*self);
            }
        })+
    };
}

integers!(i32, i64, u32, u64, usize);
