//! The buyer side at its public edge, in one binary: every test on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

mod feed;
mod rebuild;
