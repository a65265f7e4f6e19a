//! Webhooks at their public edge, in one binary: every test on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

use buyer_core::on_both_backends;

mod accounting;
mod calls;
mod endpoints;
mod kit;
mod leases;
mod market;
mod name_server;
mod owed;
mod replays;
mod sender;
mod trouble;
