//! The gateway of Dealwire.

pub mod document;
pub mod ws;
