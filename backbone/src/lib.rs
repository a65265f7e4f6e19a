//! The words and pipes that both sides of Dealwire share.
//!
//! Read in this order: the event [`contract`], the [`event_log`] that keeps it, the [`write_path`] that adds to it,
//! the [`projection`] that follows it, and the [`live_bus`] that spreads what was projected. Rules of deals, access
//! and webhooks are the slices'; HTTP and GraphQL are the gateway's.

pub mod contract;
pub mod ids;
pub mod money;
pub mod position;
pub mod time;

pub mod event_log;
pub mod projection;
pub mod write_path;

pub mod accounts;
pub mod db;
pub mod deal_table;

pub mod clock;
pub mod health;
pub mod lifecycle;
pub mod live_bus;
pub mod random;
pub mod telemetry;

#[cfg(feature = "testkit")]
pub mod testkit;

mod error;
mod field_error;

pub use error::Error;
pub use field_error::FieldError;
