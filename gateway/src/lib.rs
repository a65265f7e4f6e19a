//! The gateway of Dealwire: everything that clients talk to, and the process that holds all roles.
//!
//! Read in this order: [`app`] puts a process together; [`http`] and [`ws`] let clients in; [`graphql`] executes what
//! they ask; the crate `live` pushes what changes. Rules, tables and the log are the other crates'.

pub mod accounts;
pub mod app;
pub mod auth;
pub mod backends;
pub mod commands;
pub mod connections;
pub mod demo;
pub mod document;
pub mod error;
pub mod graphql;
pub mod http;
pub mod services;
pub mod settings;
pub mod ws;
