//! Directives of the schema beside those of the specification.

use async_graphql::TypeDirective;

/// Marks a field, or the entries of its list at these levels, that is null only together with an error. Clients that
/// treat errors as exceptions may take it for non-null.
#[TypeDirective(location = "FieldDefinition", name = "semanticNonNull")]
pub(super) fn semantic_non_null(
    #[graphql(default_with = "Some(vec![Some(0)])")] levels: Option<Vec<Option<i32>>>,
) {
}
