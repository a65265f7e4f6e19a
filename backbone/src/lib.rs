//! (being built)

pub mod chance;
pub mod clock;
