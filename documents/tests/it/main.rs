//! Documents at the public edge of the crate: texts and variables in, bytes and errors out.

mod kit;
mod semantics;
