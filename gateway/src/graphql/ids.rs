//! Ids as clients send them.

use async_graphql::ID;
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
