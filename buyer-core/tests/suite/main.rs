//! The buyer side at its public edge, in one binary: every test on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

#[macro_use]
mod market;

mod feed;
mod trade;
