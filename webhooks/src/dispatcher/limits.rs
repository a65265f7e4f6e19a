//! Limits of a dispatcher.

use std::num::NonZeroU32;

/// Largest number of calls that a dispatcher makes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way in all; at least 1.
    pub in_flight: usize,
    /// Calls under way to one endpoint; at least 1. Every failure in a row halves it, down to 1.
    pub per_endpoint: u32,
    /// Calls a second to one endpoint; `None` means no limit.
    pub rate: Option<NonZeroU32>,
}

impl Limits {
    /// Returns the limits with 0 raised to 1, so that a dispatcher always makes progress.
    pub(super) fn at_least_one(self) -> Self {
        Self {
            in_flight: self.in_flight.max(1),
            per_endpoint: self.per_endpoint.max(1),
            rate: self.rate,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 256,
            per_endpoint: 8,
            rate: None,
        }
    }
}
