//! The seller side at its public edge, in one binary: every test on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

#[macro_use]
mod market;

mod access;
mod creation;
mod read_model;
mod rebuild;
mod update;
