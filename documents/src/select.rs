//! Content of a result: the fields of each object, collected and merged once for a document (specification, section
//! 6.3.2), in the order in which they are written.

use sha2::{Digest, Sha256};

use crate::cost::Cost;

/// Selected fields of a value, for each object type that the value can have. Empty for leaf values.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    key: SelectionKey,
    types: Vec<SelectedType>,
    cost: Cost,
}

/// Identity of a selection. Equal keys select the same fields under the same keys in the same order, so the same object
/// is rendered to the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SelectionKey(pub [u8; 16]);

/// Selected fields of objects of one type.
#[derive(Clone, Debug)]
pub(crate) struct SelectedType {
    /// Name of the type, as its renderer has it.
    pub(crate) name: &'static str,
    /// Fields in the order of the result.
    pub(crate) fields: Vec<SelectedField>,
}

/// One selected field.
#[derive(Clone, Debug)]
pub(crate) struct SelectedField {
    /// Key of the field in the result as JSON text, with the colon after it.
    pub(crate) key: Box<str>,
    /// Content that is written under the key.
    pub(crate) content: Content,
    /// Selection of the field's value.
    pub(crate) selection: Selection,
}

/// Content of a selected field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Name of the object's type (`__typename`).
    TypeName,
    /// Field with this number in the renderer's table.
    Field(u16),
}

impl Selection {
    /// Builds the selection of a composite value.
    pub(crate) fn new(types: Vec<SelectedType>, cost: Cost) -> Self {
        let key = SelectionKey::of(&types);
        Self { key, types, cost }
    }

    /// Returns the identity of the selection.
    pub fn key(&self) -> SelectionKey {
        self.key
    }

    /// Returns the number of fields that a value with this selection can have.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Returns the selected fields of objects of a type. A type without fields in the selection has no entry only if the
    /// value cannot have it.
    pub(crate) fn fields_of(&self, ty: &'static str) -> &[SelectedField] {
        let found = match self.types.as_slice() {
            [only] => Some(only),
            many => many.iter().find(|selected| selected.name == ty),
        };

        found
            .map(|selected| selected.fields.as_slice())
            .unwrap_or_default()
    }
}

impl SelectionKey {
    /// Version of the encoding below. Must change whenever the same bytes come to mean something else.
    const DOMAIN: &'static [u8] = b"selection 1";

    fn of(types: &[SelectedType]) -> Self {
        let mut hash = Sha256::new();
        hash.update(Self::DOMAIN);

        for ty in types {
            // Every part is written with its length, so no two selections write the same bytes.
            text(&mut hash, ty.name);
            hash.update(ty.fields.len().to_be_bytes());
            for field in &ty.fields {
                text(&mut hash, &field.key);
                hash.update(match field.content {
                    Content::TypeName => u32::MAX.to_be_bytes(),
                    Content::Field(number) => u32::from(number).to_be_bytes(),
                });
                // The inner selection enters by its key, which stands for all of it.
                hash.update(field.selection.key.0);
            }
        }

        let digest = hash.finalize();
        Self(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"))
    }

    /// Returns the key of a root field's result: of its response key, its field and its selection.
    pub(crate) fn of_root(response_key: &str, field: &str, selection: &Selection) -> Self {
        let mut hash = Sha256::new();
        hash.update(Self::DOMAIN);
        text(&mut hash, response_key);
        text(&mut hash, field);
        hash.update(selection.key.0);

        let digest = hash.finalize();
        Self(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"))
    }
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update(text.len().to_be_bytes());
    hash.update(text);
}
