//! (being built)

pub mod chance;
pub mod clock;
mod error;
pub mod lifecycle;
pub mod live_bus;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use error::Error;
