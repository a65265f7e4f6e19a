//! Limits of a document.

/// Limits of a document, beyond which it is rejected with QUERY_TOO_COMPLEX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of text, checked before anything else.
    pub bytes: usize,
    /// Tokens of text, checked before parsing, which costs far more than counting them.
    pub tokens: usize,
    /// Nested brackets before parsing; nested fields and fragments after it.
    pub nesting: usize,
    /// Nested fields of each operation.
    pub depth: usize,
    /// Selections of all operations together, with all fragments expanded.
    pub selections: usize,
    /// Root fields of each operation, with all fragments expanded.
    pub root_fields: usize,
    /// Aliases of each operation, with all fragments expanded.
    pub aliases: usize,
    /// Directives of each operation, with all fragments expanded.
    pub directives: usize,
}

impl DocumentLimits {
    /// Default for [`Self::bytes`]. Documents of real clients have a few KiB; the rest is room for literal values.
    pub const BYTES: usize = 64 * 1024;
    /// Default for [`Self::tokens`]. The introspection query of GraphiQL has about 200.
    pub const TOKENS: usize = 4_000;
    /// Default for [`Self::nesting`], equal to the executor's own limit and far below what exhausts a stack.
    pub const NESTING: usize = 32;
    /// Default for [`Self::depth`]. The introspection query of GraphiQL reaches it; nothing else comes near.
    pub const DEPTH: usize = 15;
    /// Default for [`Self::selections`]. A page of deals with every field has about 40.
    pub const SELECTIONS: usize = 2_000;
    /// Default for [`Self::root_fields`]. Every root field may be a database read of its own.
    pub const ROOT_FIELDS: usize = 20;
    /// Default for [`Self::aliases`]. An alias is the only way to select a field twice, which clients need rarely and
    /// attackers always.
    pub const ALIASES: usize = 50;
    /// Default for [`Self::directives`]. Each is evaluated wherever it stands (CVE-2024-47614).
    pub const DIRECTIVES: usize = 50;
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            bytes: Self::BYTES,
            tokens: Self::TOKENS,
            nesting: Self::NESTING,
            depth: Self::DEPTH,
            selections: Self::SELECTIONS,
            root_fields: Self::ROOT_FIELDS,
            aliases: Self::ALIASES,
            directives: Self::DIRECTIVES,
        }
    }
}
