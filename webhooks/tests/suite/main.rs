//! Webhooks at their public edge, in one binary: every test of the tables on both backends.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

use buyer_core::on_both_backends;

mod accounting;
mod call_kit;
mod calls;
mod dispatcher;
mod endpoints;
mod exchange;
mod fanout;
mod faults;
mod kit;
mod leases;
mod market;
mod name_server;
mod network;
mod replay_jobs;
mod replays;
mod retained;
mod settings;
mod steps;
mod upgrade;
