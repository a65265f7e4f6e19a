//! Access as intervals of the log: a buyer may see a seller's change if it lies at or after a grant and before the
//! revoke that ended it. One rule for live and for replay.

use std::collections::HashMap;

use backbone::contract::AccessFact;
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Sequence;
use backbone::time::Timestamp;

/// One grant, and its end if it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Who granted.
    pub seller: SellerId,
    /// The grant's place.
    pub granted_at: Sequence,
    /// The revoke's place.
    pub revoked_at: Option<Sequence>,
}

/// Everything one buyer may see, and ever might.
#[derive(Clone, Debug, Default)]
pub struct Intervals(HashMap<SellerId, Vec<(Sequence, Sequence)>>);

/// The end of an interval that has not ended.
const OPEN: Sequence = Sequence::MAX;

impl Intervals {
    /// Of these grants.
    pub fn new(intervals: &[Interval]) -> Self {
        let mut all = Self::default();
        for interval in intervals {
            let end = interval.revoked_at.unwrap_or(OPEN);
            all.0
                .entry(interval.seller)
                .or_default()
                .push((interval.granted_at, end));
        }
        all
    }

    /// Whether a seller's change at this place may be seen.
    pub fn permits(&self, seller: SellerId, at: Sequence) -> bool {
        self.0
            .get(&seller)
            .is_some_and(|held| held.iter().any(|(from, to)| (*from..*to).contains(&at)))
    }

    /// The sellers of whom there is anything that may be seen.
    pub fn sellers(&self) -> impl Iterator<Item = SellerId> + '_ {
        self.0.keys().copied()
    }

    /// The sellers of whom a change after this place may be seen. An interval that has ended counts until the place is
    /// beyond its end: what is known of access may be ahead of the changes that are being read.
    pub fn sellers_after(&self, sequence: Sequence) -> impl Iterator<Item = SellerId> + '_ {
        let open = move |held: &[(Sequence, Sequence)]| held.iter().any(|(_, to)| *to > sequence);
        self.0
            .iter()
            .filter(move |(_, held)| open(held))
            .map(|(seller, _)| *seller)
    }

    /// Takes a grant or a revoke from the feed. Taking one again changes nothing.
    pub fn apply(&mut self, seller: SellerId, granted: bool, at: Sequence) {
        let held = self.0.entry(seller).or_default();
        let known = held
            .iter()
            .any(|(from, to)| *from >= at || (*to != OPEN && *to >= at));
        match held.iter_mut().find(|(_, to)| *to == OPEN) {
            Some((from, to)) if !granted && *from < at => *to = at,
            None if granted && !known => held.push((at, OPEN)),
            _ => {}
        }
    }
}

/// A row of table `access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) granted_at: Sequence,
    pub(crate) revoked_at: Option<Sequence>,
    pub(crate) since: Timestamp,
    pub(crate) revision: u64,
}

/// Who grants, and to whom.
pub(crate) type Pair = (SellerId, BuyerId);

/// Folds the access events of a batch into the rows they leave.
#[derive(Debug)]
pub(crate) struct Ledger {
    newest: HashMap<Pair, Grant>,
    touched: HashMap<(Pair, Sequence), Grant>,
}

impl Ledger {
    /// Over the newest row of each pair that the batch names.
    pub(crate) fn new(newest: HashMap<Pair, Grant>) -> Self {
        Self {
            newest,
            touched: HashMap::new(),
        }
    }

    /// Takes an event; tells whether the pair's access changed by it.
    pub(crate) fn take(&mut self, pair: Pair, at: Sequence, fact: &AccessFact) -> bool {
        let held = self.newest.get(&pair).copied();
        let open = held.is_some_and(|grant| grant.revoked_at.is_none());
        let row = match (held, fact.granted) {
            (Some(grant), true) if open => Grant {
                revision: fact.revision,
                ..grant
            },
            (_, true) => Grant {
                granted_at: at,
                revoked_at: None,
                since: fact.since,
                revision: fact.revision,
            },
            (Some(grant), false) => Grant {
                revoked_at: grant.revoked_at.or(Some(at)),
                revision: fact.revision,
                ..grant
            },
            // Nothing to end: an empty interval keeps the revision.
            (None, false) => Grant {
                granted_at: at,
                revoked_at: Some(at),
                since: fact.since,
                revision: fact.revision,
            },
        };
        self.put(pair, row);
        open != fact.granted
    }

    /// An event of the pair cannot be applied, so nobody knows whether access holds: it does not. Tells whether it
    /// did before.
    pub(crate) fn close(&mut self, pair: Pair, at: Sequence) -> bool {
        match self.newest.get(&pair).copied() {
            Some(grant) if grant.revoked_at.is_none() => {
                self.put(
                    pair,
                    Grant {
                        revoked_at: Some(at),
                        ..grant
                    },
                );
                true
            }
            _ => false,
        }
    }

    fn put(&mut self, pair: Pair, row: Grant) {
        self.newest.insert(pair, row);
        self.touched.insert((pair, row.granted_at), row);
    }

    /// The rows to write: a pair's older ones first, so that no two are open at a time.
    pub(crate) fn rows(self) -> Vec<(Pair, Grant)> {
        let mut rows: Vec<_> = self
            .touched
            .into_iter()
            .map(|((pair, _), row)| (pair, row))
            .collect();
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

    const SELLER: SellerId = SellerId(Uuid::from_u128(1));
    const PAIR: Pair = (SELLER, BuyerId(Uuid::from_u128(2)));

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
        }
    }

    #[test]
    fn a_change_is_seen_from_the_grant_up_to_the_revoke() {
        let interval = Interval {
            seller: SELLER,
            granted_at: 5,
            revoked_at: Some(9),
        };
        let mut seen = Intervals::new(&[interval]);
        let at = |seen: &Intervals| {
            (1..16)
                .filter(|at| seen.permits(SELLER, *at))
                .collect::<Vec<_>>()
        };
        assert_eq!(at(&seen), [5, 6, 7, 8]);
        assert_eq!(
            (seen.sellers_after(8).count(), seen.sellers_after(9).count()),
            (1, 0)
        );
        seen.apply(SELLER, true, 12);
        assert_eq!(at(&seen), [5, 6, 7, 8, 12, 13, 14, 15]);
        seen.apply(SELLER, false, 14);
        assert_eq!(at(&seen), [5, 6, 7, 8, 12, 13]);
    }

    #[test]
    fn taking_the_feed_again_changes_nothing() {
        let mut seen = Intervals::default();
        let feed = [(true, 3), (false, 6), (true, 8)];
        for round in 0..2 {
            for (granted, at) in feed {
                seen.apply(SELLER, granted, at);
            }
            let at: Vec<_> = (1..11).filter(|at| seen.permits(SELLER, *at)).collect();
            assert_eq!(at, [3, 4, 5, 8, 9, 10], "round {round}");
        }
        // A snapshot that is ahead of the feed already knows what the feed brings.
        let mut ahead = Intervals::new(&[
            Interval {
                seller: SELLER,
                granted_at: 3,
                revoked_at: Some(6),
            },
            Interval {
                seller: SELLER,
                granted_at: 8,
                revoked_at: None,
            },
        ]);
        for (granted, at) in feed {
            ahead.apply(SELLER, granted, at);
        }
        assert_eq!(
            (1..11)
                .filter(|at| ahead.permits(SELLER, *at))
                .collect::<Vec<_>>(),
            [3, 4, 5, 8, 9, 10]
        );
    }

    #[test]
    fn a_batch_leaves_one_row_for_each_interval() {
        let mut ledger = Ledger::new(HashMap::new());
        let changed: Vec<_> = [(true, 3), (false, 6), (true, 8)]
            .into_iter()
            .zip(1..)
            .map(|((granted, at), revision)| ledger.take(PAIR, at, &fact(granted, revision)))
            .collect();
        assert_eq!(changed, [true, true, true]);
        let rows: Vec<_> = ledger
            .rows()
            .iter()
            .map(|(_, row)| (row.granted_at, row.revoked_at, row.revision))
            .collect();
        assert_eq!(rows, [(3, Some(6), 2), (8, None, 3)]);
    }

    #[test]
    fn an_event_that_cannot_be_applied_closes_the_pair_until_a_repair() {
        let mut ledger = Ledger::new(HashMap::new());
        ledger.take(PAIR, 3, &fact(true, 1));
        assert!(ledger.close(PAIR, 5));
        assert!(!ledger.close(PAIR, 6));
        assert!(ledger.take(PAIR, 9, &fact(true, 3)));
        let rows: Vec<_> = ledger
            .rows()
            .iter()
            .map(|(_, row)| (row.granted_at, row.revoked_at))
            .collect();
        assert_eq!(rows, [(3, Some(5)), (9, None)]);
    }

    #[test]
    fn a_repair_that_confirms_what_holds_changes_nothing_but_the_revision() {
        let mut ledger = Ledger::new(HashMap::new());
        ledger.take(PAIR, 3, &fact(true, 1));
        assert!(!ledger.take(PAIR, 4, &fact(true, 7)));
        assert_eq!(
            ledger
                .rows()
                .iter()
                .map(|(_, row)| row.revision)
                .collect::<Vec<_>>(),
            [7]
        );
        let mut empty = Ledger::new(HashMap::new());
        assert!(!empty.take(PAIR, 4, &fact(false, 2)));
        assert_eq!(empty.rows()[0].1.revoked_at, Some(4));
    }
}
