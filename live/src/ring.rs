//! The newest changes in memory, oldest first, bounded by bytes.
//!
//! The ring has no holes: it holds every change after its floor up to its tip.

use std::collections::VecDeque;
use std::sync::Arc;

use backbone::contract::Deal;
use backbone::ids::DealId;
use backbone::position::Position;
use buyer_core::feed::{Change, ChangeBody};
use smallvec::SmallVec;

/// Offset in the feed: the sequence of an event, and the index of a change within the event. [`Position::END`] as the
/// index stands for the end of the event.
pub type FeedOffset = (u64, u16);

/// Changes that a reader takes at a time: enough to share the cost of the lock, few enough to be fair to other readers
/// and to be cheap to hold while a slow transport takes them.
pub(crate) const SLICE: usize = 64;

/// Changes in the order of the feed. A reader at the tip nearly always finds one, which then needs no heap.
pub type Changes = SmallVec<[Arc<Change>; 1]>;

/// Every change after `floor`, up to `tip`.
pub(crate) struct Ring {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    max_bytes: usize,
    floor: FeedOffset,
    tip: u64,
}

/// Result of reading the ring after an offset.
pub(crate) enum Slice {
    /// Changes in order, and the offset to which they lead.
    Changes(Changes, FeedOffset),
    /// The offset is older than the ring, which begins after the event with this sequence. The feed's table has the rest.
    Behind(u64),
}

impl Ring {
    /// Creates an empty ring whose floor and tip are the end of event `tip`.
    pub(crate) fn new(tip: u64, max_bytes: usize) -> Self {
        Self {
            changes: VecDeque::new(),
            bytes: 0,
            max_bytes,
            floor: (tip, Position::END),
            tip,
        }
    }

    /// Returns the sequence of the newest event that the ring covers.
    pub(crate) fn tip(&self) -> u64 {
        self.tip
    }

    /// Appends the changes that follow the tip, moves the tip, and returns what was appended. Changes at or before the
    /// old tip are ignored, so batches may overlap.
    pub(crate) fn append(&mut self, changes: Vec<Change>, tip: u64) -> Vec<Arc<Change>> {
        let old_tip = self.tip;
        let new: Vec<Arc<Change>> = changes
            .into_iter()
            .filter(|change| change.sequence > old_tip)
            .map(Arc::new)
            .collect();

        for change in &new {
            self.bytes += weight(change);
            self.changes.push_back(Arc::clone(change));
        }

        self.tip = tip.max(old_tip);

        // Evicted after the append: the floor then tells readers exactly which offsets are no longer covered.
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= weight(&oldest);
            self.floor = oldest.order();
        }

        new
    }

    /// Returns at most `max` changes after an offset.
    pub(crate) fn after(&self, offset: FeedOffset, max: usize) -> Slice {
        if offset < self.floor {
            return Slice::Behind(self.floor.0);
        }

        let start = self.first_after(offset);
        let found: Changes = self.changes.range(start..).take(max).cloned().collect();

        let complete = start + found.len() == self.changes.len();
        let reached = match found.last() {
            Some(last) if !complete => last.order(),
            // A reader that has taken all changes is at the tip, also where the newest events have no changes. One that
            // came from a gateway ahead of this one stays where it is.
            _ => (self.tip, Position::END).max(offset),
        };

        Slice::Changes(found, reached)
    }

    /// Returns the deal that an event has changed, if the ring holds the change.
    pub(crate) fn deal(&self, sequence: u64, id: DealId) -> Option<&Arc<Deal>> {
        let start = self
            .changes
            .partition_point(|change| change.sequence < sequence);
        let of_event = self.changes.range(start..);

        of_event
            .take_while(|change| change.sequence == sequence)
            .find_map(|change| match &change.body {
                ChangeBody::Deal { deal, .. } if deal.id == id => Some(deal),
                _ => None,
            })
    }

    /// Returns the index of the first change after an offset.
    fn first_after(&self, offset: FeedOffset) -> usize {
        let is_read = |index: usize| self.changes[index].order() <= offset;

        // Nearly all readers are near the tip, so the search starts there and doubles its steps, rather than halving a
        // ring of some hundred thousand changes each time.
        let mut after = self.changes.len();
        let mut step = 1;

        while after > 0 {
            let mut before = after.saturating_sub(step);
            if is_read(before) {
                while before + 1 < after {
                    let middle = before.midpoint(after);
                    if is_read(middle) {
                        before = middle
                    } else {
                        after = middle
                    }
                }
                return after;
            }

            after = before;
            step *= 2;
        }

        0
    }
}

/// Returns about how many bytes a change takes in memory.
pub(crate) fn weight(change: &Change) -> usize {
    match &change.body {
        ChangeBody::Deal { deal, .. } => deal_weight(deal),
        ChangeBody::Access { .. } => 256,
    }
}

/// Returns about how many bytes a deal takes in memory.
pub(crate) fn deal_weight(deal: &Deal) -> usize {
    let items: usize = deal.items.iter().map(|item| item.name.len() + 64).sum();

    256 + deal.name.len() + items
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
    fn ring_gives_readers_what_follows_their_offset() {
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
    fn ring_ignores_changes_that_it_holds_already() {
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
    fn ring_evicts_the_oldest_changes_when_it_is_full() {
        let mut ring = Ring::new(0, 3 * weight(&change(1)));
        ring.append((1..=10).map(change).collect(), 10);
        assert_eq!(sequences(&ring, (6, END), 9), None);
        assert_eq!(
            sequences(&ring, (7, 0), 9),
            Some((vec![8, 9, 10], (10, END)))
        );
    }
}
