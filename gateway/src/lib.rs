//! The gateway of Dealwire: everything that clients talk to, and the process that runs all roles.
//!
//! Suggested reading order: [`app`] assembles a process; [`http`] accepts clients; [`graphql`] executes their requests; the
//! crate `sockets` pushes changes to subscribers. The rules of deals, the tables and the event log belong to the other
//! crates of the workspace.

pub mod accounts;
pub mod admission;
pub mod app;
pub mod auth;
pub mod backends;
pub mod browser;
pub mod commands;
pub mod demo;
pub mod error;
pub mod graphql;
pub mod http;
pub mod origin;
pub mod rates;
pub mod seller_position;
pub mod services;
pub mod settings;
pub mod sockets;
pub mod standing;
pub mod usage;
