//! Counts of deliveries that Dealwire reports for an endpoint, and their check.

use serde::Deserialize;

/// Deliveries owed to an endpoint, and their outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(in crate::scenario::webhooks) struct Counts {
    pub(in crate::scenario::webhooks) owed: u64,
    pub(in crate::scenario::webhooks) delivered: u64,
    pub(in crate::scenario::webhooks) pending: u64,
    pub(in crate::scenario::webhooks) dead: u64,
    pub(in crate::scenario::webhooks) discarded: u64,
}

impl Counts {
    /// Tells whether every delivery owed has exactly one outcome.
    fn adds_up(&self) -> bool {
        self.owed == self.delivered + self.pending + self.dead + self.discarded
    }
}

/// Checks counts from before and after the deletion of the endpoints against the number of changes
/// made and of deliveries that arrived. Returns the number of faults by name.
pub(super) fn faults(
    changes: u64,
    deliveries: u64,
    before: &[Counts],
    after: &[Counts],
) -> Vec<(&'static str, u64)> {
    let number_of = |is_wrong: &dyn Fn(&Counts) -> bool| {
        let all = before.iter().chain(after);
        all.filter(|counts| is_wrong(counts)).count() as u64
    };

    // From before the deletion, which discards what is pending but must not change what is
    // delivered.
    let delivered: u64 = before.iter().map(|counts| counts.delivered).sum();
    let still_pending = after.iter().map(|counts| counts.pending).sum();

    vec![
        (
            "counts that do not add up",
            number_of(&|counts| !counts.adds_up()),
        ),
        (
            "counts that owe another number than was made",
            number_of(&|counts| counts.owed != changes),
        ),
        (
            "deliveries counted as delivered that did not arrive, or the reverse",
            delivered.abs_diff(deliveries),
        ),
        ("deliveries pending at deleted endpoints", still_pending),
    ]
}
