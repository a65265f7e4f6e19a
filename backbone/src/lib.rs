//! The event contract, storage and transport that both sides of Dealwire share.
//!
//! Suggested order of reading: the event [`contract`], the [`event_log`] that stores events, the
//! [`write_path`] that appends them, the [`projection`] that follows them, and the [`live_bus`]
//! that announces what was projected; [`verify`] and [`rebuild`] compare its tables with the log.
//! Business rules belong to the seller, buyer and webhook crates; HTTP and GraphQL belong to the
//! gateway.

pub mod contract;
pub mod ids;
pub mod money;
pub mod position;
pub mod time;

pub mod checkpoint;
pub mod dead_events;
pub mod event_log;
pub mod projection;
pub mod write_path;

pub mod rebuild;
pub mod replay;
pub mod table_diff;
pub mod verify;

pub mod accounts;
pub mod db;
pub mod deal_table;

pub mod client_tls;
pub mod clock;
pub mod health;
pub mod lifecycle;
pub mod live_bus;
pub mod random;
pub mod telemetry;
pub mod weak_map;

#[cfg(feature = "testkit")]
pub mod testkit;

mod error;
mod field_error;

pub use error::Error;
pub use field_error::FieldError;
