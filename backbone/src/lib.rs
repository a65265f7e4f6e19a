//! (being built)

pub mod chance;
pub mod clock;
mod error;
pub mod lifecycle;
pub mod live_bus;
pub mod telemetry;

pub use error::Error;
