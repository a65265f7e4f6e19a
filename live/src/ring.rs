//! The newest changes in memory, oldest first, bounded by bytes. It refuses holes: what is appended follows the tip.

use std::collections::VecDeque;
use std::sync::Arc;

use backbone::position::Position;
use buyer_core::feed::{Change, ChangeBody};
use smallvec::SmallVec;

/// Offset of a change in the feed: sequence of its event, and index within the event.
pub(crate) type FeedOffset = (u64, u16);

/// Changes that a reader takes at a time: enough to share the cost of the lock, few enough to be fair and to be a small
/// thing to hold while it waits for its transport.
pub(crate) const SLICE: usize = 64;

/// Some changes, in order. Mostly a reader at the tip finds one.
pub(crate) type Changes = SmallVec<[Arc<Change>; 1]>;

/// Every change after `floor`, up to `tip`.
pub(crate) struct Ring {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    max_bytes: usize,
    floor: FeedOffset,
    tip: u64,
}

/// What a reader finds after its offset.
pub(crate) enum Slice {
    /// These changes, in order, and the offset that they lead to.
    Changes(Changes, FeedOffset),
    /// Its offset is older than the ring, which begins after this event: the feed's table has it.
    Behind(u64),
}

impl Ring {
    /// Empty, at a tip.
    pub(crate) fn new(tip: u64, max_bytes: usize) -> Self {
        Self {
            changes: VecDeque::new(),
            bytes: 0,
            max_bytes,
            floor: (tip, Position::END),
            tip,
        }
    }

    /// The end of this event is the newest offset held.
    pub(crate) fn tip(&self) -> u64 {
        self.tip
    }

    /// Takes what follows the tip, up to a new one. What lies at or before the tip is dropped. Returns what was
    /// taken.
    pub(crate) fn append(&mut self, changes: Vec<Change>, tip: u64) -> Vec<Arc<Change>> {
        let known = self.tip;
        let new: Vec<Arc<Change>> = changes
            .into_iter()
            .filter(|change| change.sequence > known)
            .map(Arc::new)
            .collect();
        for change in &new {
            self.bytes += weight(change);
            self.changes.push_back(Arc::clone(change));
        }
        self.tip = tip.max(known);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= weight(&oldest);
            self.floor = oldest.order();
        }
        new
    }

    /// At most `max` changes after a offset.
    pub(crate) fn after(&self, offset: FeedOffset, max: usize) -> Slice {
        if offset < self.floor {
            return Slice::Behind(self.floor.0);
        }
        let start = self.first_after(offset);
        let found: Changes = self.changes.range(start..).take(max).cloned().collect();
        let all = start + found.len() == self.changes.len();
        let reached = match found.last() {
            Some(last) if !all => last.order(),
            _ => (self.tip, Position::END).max(offset),
        };
        Slice::Changes(found, reached)
    }

    /// The index of the first change after a offset. Nearly all readers are near the tip: it is sought from there, in
    /// growing steps.
    fn first_after(&self, offset: FeedOffset) -> usize {
        let seen = |index: usize| self.changes[index].order() <= offset;
        let (mut after, mut step) = (self.changes.len(), 1);
        while after > 0 {
            let mut before = after.saturating_sub(step);
            if seen(before) {
                while before + 1 < after {
                    let middle = before.midpoint(after);
                    if seen(middle) {
                        before = middle
                    } else {
                        after = middle
                    }
                }
                return after;
            }
            (after, step) = (before, step * 2);
        }
        0
    }
}

/// About what a change takes in memory: its JSON is of the same order.
pub(crate) fn weight(change: &Change) -> usize {
    let items = match &change.body {
        ChangeBody::Deal { deal, .. } => {
            deal.name.len()
                + deal
                    .items
                    .iter()
                    .map(|item| item.name.len() + 64)
                    .sum::<usize>()
        }
        ChangeBody::Access { .. } => 0,
    };
    256 + items
}

#[cfg(test)]
mod tests {
    use backbone::ids::{BuyerId, SellerId};
    use uuid::Uuid;

    use super::*;

    fn change(sequence: u64) -> Change {
        let body = ChangeBody::Access {
            buyer: BuyerId(Uuid::nil()),
            granted: true,
        };
        Change {
            sequence,
            index: 0,
            seller_id: SellerId(Uuid::nil()),
            body,
        }
    }

    fn sequences(ring: &Ring, offset: FeedOffset, max: usize) -> Option<(Vec<u64>, FeedOffset)> {
        match ring.after(offset, max) {
            Slice::Changes(changes, reached) => Some((
                changes.iter().map(|change| change.sequence).collect(),
                reached,
            )),
            Slice::Behind(_) => None,
        }
    }

    const END: u16 = Position::END;

    #[test]
    fn readers_find_what_follows_their_place() {
        let mut ring = Ring::new(10, 1 << 20);
        ring.append([11, 13, 14].map(change).into(), 16);
        assert_eq!(
            sequences(&ring, (10, END), 9),
            Some((vec![11, 13, 14], (16, END)))
        );
        assert_eq!(
            sequences(&ring, (10, END), 2),
            Some((vec![11, 13], (13, 0)))
        );
        assert_eq!(sequences(&ring, (13, 0), 9), Some((vec![14], (16, END))));
        assert_eq!(sequences(&ring, (16, END), 9), Some((vec![], (16, END))));
        assert_eq!(sequences(&ring, (40, 0), 9), Some((vec![], (40, 0))));
        assert_eq!(sequences(&ring, (9, END), 9), None);
    }

    #[test]
    fn an_overlap_is_dropped() {
        let mut ring = Ring::new(10, 1 << 20);
        ring.append([11, 12].map(change).into(), 12);
        let new = ring.append([11, 12, 13].map(change).into(), 13);
        assert_eq!(new.len(), 1);
        assert!(ring.append([11].map(change).into(), 12).is_empty());
        assert_eq!(ring.tip(), 13);
        assert_eq!(
            sequences(&ring, (10, END), 9),
            Some((vec![11, 12, 13], (13, END)))
        );
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut ring = Ring::new(0, 3 * weight(&change(1)));
        ring.append((1..=10).map(change).collect(), 10);
        assert_eq!(sequences(&ring, (6, END), 9), None);
        assert_eq!(
            sequences(&ring, (7, 0), 9),
            Some((vec![8, 9, 10], (10, END)))
        );
    }
}
