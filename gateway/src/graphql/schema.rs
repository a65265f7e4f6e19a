//! Schema of the API: its root types, and its text.

use async_graphql::SDLExportOptions;

use super::{mutation, query, subscription};

/// Executable schema of the API.
pub type Schema =
    async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

type Builder =
    async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription>;

pub(super) fn builder() -> Builder {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .register_output_type::<query::Node>()
}

/// Returns the schema in the schema definition language, as the file `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .prefer_single_line_descriptions();
    let sdl = builder().finish().sdl_with_options(options);
    sdl.replace('\t', "  ")
}
