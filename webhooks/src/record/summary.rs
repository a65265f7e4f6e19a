//! Summary of one recording, for metrics and for the dispatcher's next claims.

use std::collections::HashSet;

use backbone::ids::WebhookId;

/// Result of one recording.
#[derive(Debug, Default)]
pub(crate) struct RecordSummary {
    /// Outcomes after which the delivery is delivered.
    pub(crate) delivered: u64,
    /// Outcomes after which the delivery is tried again.
    pub(crate) retried: u64,
    /// Outcomes after which the delivery is dead.
    pub(crate) dead: u64,
    /// Outcomes that used up no try.
    pub(crate) postponed: u64,
    /// Outcomes that were dropped because their leases were lost.
    pub(crate) lost: u64,
    /// Endpoints that have another delivery due now.
    // A set, because many outcomes of one endpoint are recorded together.
    pub(crate) due: HashSet<WebhookId>,
}

impl RecordSummary {
    /// Returns the number of outcomes that were written.
    pub(crate) fn recorded(&self) -> usize {
        (self.delivered + self.retried + self.dead + self.postponed) as usize
    }
}
