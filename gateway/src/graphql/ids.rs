//! Ids as clients send and receive them.

use async_graphql::ID;
use documents::{Out, Render, Selection};
use uuid::Uuid;

use crate::error::Problem;

/// Message for a value that is not a UUID, to follow the path of the value.
pub(super) const NOT_A_UUID: &str = "must be a UUID";

/// Parses an id.
///
/// # Errors
/// BAD_USER_INPUT for `path` if the id is not a UUID.
pub(super) fn parse_id(path: &str, id: &ID) -> Result<Uuid, Problem> {
    Uuid::parse_str(id).map_err(|_| Problem::input(path, NOT_A_UUID))
}

/// Id that is rendered without a text of its own on the heap.
pub(super) struct Id(pub(super) Uuid);

impl Render for Id {
    fn render(&self, _selection: &Selection, out: &mut Out<'_>) {
        let mut buffer = Uuid::encode_buffer();
        // Hexadecimal digits and hyphens need no escapes.
        out.string(self.0.hyphenated().encode_lower(&mut buffer));
    }
}

/// Returns ids in the form that is rendered.
pub(super) fn texts(ids: &[ID]) -> Vec<&str> {
    ids.iter().map(|id| id.0.as_str()).collect()
}
