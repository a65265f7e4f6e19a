//! Webhooks at their public edge, in one binary: every test on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

// The same market as in the tests of the buyer side, whose changes webhooks deliver.
#[macro_use]
#[path = "../../../buyer-core/tests/suite/market.rs"]
mod market;
#[path = "../../../buyer-core/tests/suite/trade.rs"]
mod trade;

mod accounting;
mod calls;
mod endpoints;
mod kit;
mod leases;
mod name_server;
mod owed;
mod replays;
mod sender;
mod trouble;
