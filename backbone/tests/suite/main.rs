//! Backbone's tests at its public edge, in one binary.
#![expect(
    clippy::unwrap_used,
    reason = "clippy spares tests, and their helpers are tests as well"
)]

mod access;
mod accounts;
mod callers;
mod contract;
mod databases;
mod deal_table;
mod deals;
mod event_log;
mod live_bus;
mod logs;
mod migrations;
mod projection;
mod testkit;
mod transactions;
mod write_path;
