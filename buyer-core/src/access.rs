//! Access as intervals of the log: a buyer may see a seller's change that lies at or after a grant
//! and before the revocation that ended it. Live subscribers and readers of old changes are judged
//! by this same rule.

pub(crate) mod state;

use std::collections::HashMap;

use backbone::ids::SellerId;
use backbone::position::Sequence;

/// One grant, and its revocation if there was one: the buyer sees `granted_at <= sequence <
/// revoked_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Seller who grants.
    pub seller: SellerId,
    /// Sequence of the grant.
    pub granted_at: Sequence,
    /// Sequence of the revocation; `None` while the grant holds.
    pub revoked_at: Option<Sequence>,
}

/// All access that one buyer has or had, by seller.
#[derive(Clone, Debug, Default)]
pub struct Intervals(HashMap<SellerId, Vec<(Sequence, Sequence)>>);

/// End of an interval that has not ended.
const OPEN: Sequence = Sequence::MAX;

impl Intervals {
    /// Collects the intervals of one buyer.
    pub fn new(intervals: &[Interval]) -> Self {
        let mut all = Self::default();

        for interval in intervals {
            let end = interval.revoked_at.unwrap_or(OPEN);
            let of_seller = all.0.entry(interval.seller).or_default();
            of_seller.push((interval.granted_at, end));
        }

        all
    }

    /// Returns whether the buyer may see a seller's change at a sequence.
    pub fn permits(&self, seller: SellerId, at: Sequence) -> bool {
        let Some(intervals) = self.0.get(&seller) else {
            return false;
        };

        intervals
            .iter()
            .any(|(from, to)| (*from..*to).contains(&at))
    }

    /// Returns the sellers of whom the buyer may see any change, old or new.
    pub fn sellers(&self) -> impl Iterator<Item = SellerId> + '_ {
        self.0.keys().copied()
    }

    /// Returns the sellers of whom the buyer may see a change after a sequence.
    pub fn sellers_after(&self, sequence: Sequence) -> impl Iterator<Item = SellerId> + '_ {
        // An interval that has ended counts until the reader is past its end: what is known of
        // access may be ahead of the changes that are being read.
        let reaches = move |intervals: &[(Sequence, Sequence)]| {
            intervals.iter().any(|(_, to)| *to > sequence)
        };

        self.0
            .iter()
            .filter(move |(_, intervals)| reaches(intervals))
            .map(|(seller, _)| *seller)
    }

    /// Applies a grant or a revocation from the feed. Applying one again changes nothing.
    pub fn apply(&mut self, seller: SellerId, granted: bool, at: Sequence) {
        let intervals = self.0.entry(seller).or_default();

        // The intervals may come from a snapshot ahead of the feed, which holds this change
        // already.
        let known = intervals
            .iter()
            .any(|(from, to)| *from >= at || (*to != OPEN && *to >= at));

        match intervals.iter_mut().find(|(_, to)| *to == OPEN) {
            Some((from, to)) if !granted && *from < at => *to = at,
            None if granted && !known => intervals.push((at, OPEN)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SELLER: SellerId = SellerId(Uuid::from_u128(1));

    #[test]
    fn change_is_visible_from_the_grant_up_to_the_revocation() {
        let interval = Interval {
            seller: SELLER,
            granted_at: 5,
            revoked_at: Some(9),
        };
        let mut intervals = Intervals::new(&[interval]);
        let visible = |intervals: &Intervals| {
            (1..16)
                .filter(|at| intervals.permits(SELLER, *at))
                .collect::<Vec<_>>()
        };
        assert_eq!(visible(&intervals), [5, 6, 7, 8]);
        assert_eq!(
            (
                intervals.sellers_after(8).count(),
                intervals.sellers_after(9).count()
            ),
            (1, 0)
        );

        intervals.apply(SELLER, true, 12);
        assert_eq!(visible(&intervals), [5, 6, 7, 8, 12, 13, 14, 15]);

        intervals.apply(SELLER, false, 14);
        assert_eq!(visible(&intervals), [5, 6, 7, 8, 12, 13]);
    }

    #[test]
    fn feed_that_is_applied_twice_changes_nothing() {
        let mut intervals = Intervals::default();
        let feed = [(true, 3), (false, 6), (true, 8)];
        for round in 0..2 {
            for (granted, at) in feed {
                intervals.apply(SELLER, granted, at);
            }
            let visible: Vec<_> = (1..11)
                .filter(|at| intervals.permits(SELLER, *at))
                .collect();
            assert_eq!(visible, [3, 4, 5, 8, 9, 10], "round {round}");
        }

        // A snapshot ahead of the feed holds what the feed still brings.
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
}
