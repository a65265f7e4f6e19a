//! The gateway of Dealwire.

pub mod ws;
