//! (being built)

pub mod chance;
pub mod clock;
mod error;
pub mod lifecycle;
pub mod telemetry;

pub use error::Error;
