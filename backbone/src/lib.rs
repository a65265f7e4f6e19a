//! (being built)

#[cfg(feature = "testkit")]
pub mod testkit;
