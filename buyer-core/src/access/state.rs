//! The state of access while a batch is applied: folds the access events of a batch into the rows
//! to write.

use std::collections::HashMap;

use backbone::contract::AccessFact;
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Sequence;
use backbone::time::Timestamp;

/// A seller and a buyer: the subject of access.
pub(crate) type Pair = (SellerId, BuyerId);

/// A row of table `access`: one interval of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessRow {
    pub(crate) granted_at: Sequence,
    pub(crate) revoked_at: Option<Sequence>,
    pub(crate) since: Timestamp,
    pub(crate) revision: u64,
}

/// The state of the pairs that a batch names, and the rows that its events changed.
#[derive(Debug)]
pub(crate) struct AccessState {
    newest: HashMap<Pair, AccessRow>,
    changed: HashMap<(Pair, Sequence), AccessRow>,
}

impl AccessState {
    /// Starts from the newest row of each pair that the batch names.
    pub(crate) fn new(newest: HashMap<Pair, AccessRow>) -> Self {
        Self {
            newest,
            changed: HashMap::new(),
        }
    }

    /// Applies an event. Returns whether it granted access that did not hold, or revoked access
    /// that did.
    pub(crate) fn apply(&mut self, pair: Pair, at: Sequence, fact: &AccessFact) -> bool {
        let last = self.newest.get(&pair).copied();
        let had_access = last.is_some_and(|row| row.revoked_at.is_none());

        let row = match (last, fact.granted) {
            // A repair may confirm a grant that holds: its interval goes on.
            (Some(row), true) if had_access => AccessRow {
                revision: fact.revision,
                ..row
            },
            (_, true) => AccessRow {
                granted_at: at,
                revoked_at: None,
                since: fact.since,
                revision: fact.revision,
            },
            // An interval that a dead event has ended keeps its earlier end.
            (Some(row), false) => AccessRow {
                revoked_at: row.revoked_at.or(Some(at)),
                revision: fact.revision,
                ..row
            },
            // There is nothing to end, but the revision must be kept: an empty interval does.
            (None, false) => AccessRow {
                granted_at: at,
                revoked_at: Some(at),
                since: fact.since,
                revision: fact.revision,
            },
        };
        self.put(pair, row);

        had_access != fact.granted
    }

    /// Ends a pair's access at a dead event. Returns whether access held before.
    pub(crate) fn close(&mut self, pair: Pair, at: Sequence) -> bool {
        // It is unknown what the event granted or revoked. Until a repair tells, the buyer sees no
        // more than what is known to be granted.
        match self.newest.get(&pair).copied() {
            Some(row) if row.revoked_at.is_none() => {
                let closed = AccessRow {
                    revoked_at: Some(at),
                    ..row
                };
                self.put(pair, closed);
                true
            }
            _ => false,
        }
    }

    fn put(&mut self, pair: Pair, row: AccessRow) {
        // By pair and start: a pair may end one interval and begin another within a batch, and both
        // are written.
        self.newest.insert(pair, row);
        self.changed.insert((pair, row.granted_at), row);
    }

    /// Returns the rows to write.
    pub(crate) fn rows(self) -> Vec<(Pair, AccessRow)> {
        let mut rows: Vec<_> = self
            .changed
            .into_iter()
            .map(|((pair, _), row)| (pair, row))
            .collect();

        // A unique index allows a pair one open interval, so the end of the old one is written
        // before the new one.
        rows.sort_by_key(|(pair, row)| (*pair, row.granted_at));
        rows
    }
}

#[cfg(test)]
mod tests {
    use backbone::contract::{AccessCause, Applied, Fingerprint, Recent};
    use backbone::ids::EventId;
    use uuid::Uuid;

    use super::*;

    const PAIR: Pair = (SellerId(Uuid::from_u128(1)), BuyerId(Uuid::from_u128(2)));

    fn fact(granted: bool, revision: u64) -> AccessFact {
        let applied = Applied {
            event: EventId(Uuid::nil()),
            key: None,
            request: Fingerprint::of(b""),
            version: revision as u32,
        };
        AccessFact {
            cause: if granted {
                AccessCause::Granted
            } else {
                AccessCause::Revoked
            },
            revision,
            granted,
            since: Timestamp::from_micros(0),
            recent: Recent::first(applied),
            mutation: None,
            operator: None,
        }
    }

    #[test]
    fn batch_leaves_one_row_for_each_interval() {
        let mut state = AccessState::new(HashMap::new());
        let changed: Vec<_> = [(true, 3), (false, 6), (true, 8)]
            .into_iter()
            .zip(1..)
            .map(|((granted, at), revision)| state.apply(PAIR, at, &fact(granted, revision)))
            .collect();
        assert_eq!(changed, [true, true, true]);
        let rows: Vec<_> = state
            .rows()
            .iter()
            .map(|(_, row)| (row.granted_at, row.revoked_at, row.revision))
            .collect();
        assert_eq!(rows, [(3, Some(6), 2), (8, None, 3)]);
    }

    #[test]
    fn dead_event_ends_access_until_a_repair() {
        let mut state = AccessState::new(HashMap::new());
        state.apply(PAIR, 3, &fact(true, 1));
        assert!(state.close(PAIR, 5));
        assert!(!state.close(PAIR, 6));
        assert!(state.apply(PAIR, 9, &fact(true, 3)));
        let rows: Vec<_> = state
            .rows()
            .iter()
            .map(|(_, row)| (row.granted_at, row.revoked_at))
            .collect();
        assert_eq!(rows, [(3, Some(5)), (9, None)]);
    }

    #[test]
    fn repair_that_confirms_access_changes_only_the_revision() {
        let mut state = AccessState::new(HashMap::new());
        state.apply(PAIR, 3, &fact(true, 1));
        assert!(!state.apply(PAIR, 4, &fact(true, 7)));
        assert_eq!(
            state
                .rows()
                .iter()
                .map(|(_, row)| row.revision)
                .collect::<Vec<_>>(),
            [7]
        );
        let mut empty = AccessState::new(HashMap::new());
        assert!(!empty.apply(PAIR, 4, &fact(false, 2)));
        assert_eq!(empty.rows()[0].1.revoked_at, Some(4));
    }
}
