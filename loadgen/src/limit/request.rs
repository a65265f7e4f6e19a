//! Requests as the limits of queries read them.

use serde::Deserialize;
use serde_json::Value;

/// Body of a GraphQL request. Any server of such requests has to parse it, so the limits do too.
#[derive(Deserialize)]
pub(super) struct GraphqlRequest {
    query: String,
    #[serde(default)]
    variables: Value,
}

impl GraphqlRequest {
    /// Tells whether the request has a document, and variables that are an object or absent.
    pub(super) fn is_valid(&self) -> bool {
        !self.query.is_empty() && (self.variables.is_object() || self.variables.is_null())
    }
}
