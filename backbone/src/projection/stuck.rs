//! Ways of a worker that cannot go on: it takes smaller steps, and looks for what an operator has
//! decided.

use std::collections::HashMap;

use super::BATCH;
use crate::Error;
use crate::contract::wire::Undecodable;
use crate::contract::{DecisionKind, Fact};
use crate::event_log::{EventLog, Record};
use crate::position::Sequence;

/// Number of events in one transaction. It is halved by every failure and doubled by every success,
/// so that a transaction which is too large or meets a bad event ends at that event alone.
pub(super) struct Pace(usize);

impl Pace {
    /// Begins with the largest batches.
    pub(super) fn full() -> Self {
        Self(BATCH)
    }

    /// Returns the largest number of events of the next transaction.
    pub(super) fn limit(&self) -> usize {
        self.0
    }

    /// Returns whether a failure is that of one event.
    pub(super) fn is_single(&self) -> bool {
        self.0 == 1
    }

    /// Notes that a transaction failed.
    pub(super) fn failed(&mut self) {
        self.0 = (self.0 / 2).max(1);
    }

    /// Notes that a transaction was committed.
    pub(super) fn succeeded(&mut self) {
        self.0 = (self.0 * 2).min(BATCH);
    }
}

/// Events that operators decided to skip, each with a sentence that says so.
#[derive(Default)]
pub(super) struct Skipped(HashMap<Sequence, String>);

impl Skipped {
    /// Reads the decisions of the log: few, and usually none.
    pub(super) async fn read(log: &EventLog) -> Result<Self, Error> {
        let mut skipped = HashMap::new();
        let mut after = 0;

        while let Some(record) = log.next_decision(after).await? {
            after = record.sequence;
            let Ok(event) = record.event else { continue };
            let Fact::Decision(decision) = event.fact else {
                continue;
            };

            if decision.kind == DecisionKind::Skip {
                let operator = &decision.operator;
                let reason = format!("skipped by {}: {}", operator.by, operator.why);
                skipped.insert(decision.sequence, reason);
            }
        }

        Ok(Self(skipped))
    }

    /// Makes the events that are to be skipped undecodable, and so dead.
    pub(super) fn mark(&self, records: &mut [Record]) {
        if self.0.is_empty() {
            return;
        }

        for record in records {
            if let Some(reason) = self.0.get(&record.sequence) {
                record.event = Err(Undecodable::Corrupt(reason.clone()));
            }
        }
    }
}

/// Returns the number of events of the next transaction: those before an event that only a newer
/// binary can decode need not wait with it.
pub(super) fn batch_end(records: &[Record], pace: &Pace) -> usize {
    let decodable = first_newer(records).map_or(records.len(), |(index, _)| index.max(1));
    decodable.min(pace.limit())
}

/// Returns index and reason of the first event that only a newer binary can decode.
pub(super) fn first_newer(records: &[Record]) -> Option<(usize, &Undecodable)> {
    records
        .iter()
        .enumerate()
        .find_map(|(index, record)| match &record.event {
            Err(why @ Undecodable::Newer { .. }) => Some((index, why)),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_to_one_event_and_grow_again() {
        let mut pace = Pace::full();
        for _ in 0..10 {
            pace.failed();
        }

        assert!(pace.is_single());
        pace.succeeded();
        assert_eq!(pace.limit(), 2);
        for _ in 0..10 {
            pace.succeeded();
        }
        assert_eq!(pace.limit(), BATCH);
    }
}
