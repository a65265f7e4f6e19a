//! Limits of a document, checked before anything follows its fragments.

mod expansion;
mod tokens;

pub(crate) use expansion::check as check_expansion;
pub(crate) use tokens::check as check_tokens;

/// Limits of a document, beyond which it is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
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

impl Limits {
    /// Default of [`Self::bytes`]. Documents of real clients have a few KiB; the rest is room for literal values.
    pub const BYTES: usize = 64 * 1024;
    /// Default of [`Self::tokens`]. The introspection query of GraphiQL has about 200.
    pub const TOKENS: usize = 4_000;
    /// Default of [`Self::nesting`], far below what exhausts a stack.
    pub const NESTING: usize = 32;
    /// Default of [`Self::depth`]. The introspection query of GraphiQL reaches it; nothing else comes near.
    pub const DEPTH: usize = 15;
    /// Default of [`Self::selections`]. A page of deals with every field has about 40.
    pub const SELECTIONS: usize = 2_000;
    /// Default of [`Self::root_fields`]. Every root field may be a database read of its own.
    pub const ROOT_FIELDS: usize = 20;
    /// Default of [`Self::aliases`]. An alias is the only way to select a field twice, which clients need rarely and
    /// attackers always.
    pub const ALIASES: usize = 50;
    /// Default of [`Self::directives`]. Each is evaluated wherever it stands (CVE-2024-47614). Must not exceed 64,
    /// since the variables of conditions are bits of one word.
    pub const DIRECTIVES: usize = 50;
}

impl Default for Limits {
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
