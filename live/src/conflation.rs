//! Conflation: the changes of a window folded to one for each deal, for clients that want to know where things stand and
//! not how they came there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use backbone::contract::DealField;
use backbone::ids::DealId;
use buyer_core::feed::{Change, ChangeBody};

use crate::visibility::ChangeKind;

/// Changes that the last change of a deal in a window stands for, beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflated {
    /// Number of changes that were left out before this one.
    pub skipped: u32,
    /// Fields that any of them or this one has changed.
    pub changed: Vec<DealField>,
    /// Hash of which changes these are: renderings of the same ones can be shared.
    pub(crate) digest: u64,
}

/// A change as a subscriber is shown it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Effect on the deals that match the subscriber's filter.
    pub kind: ChangeKind,
    /// The change.
    pub change: Arc<Change>,
    /// Changes that it stands for; `None` if for itself alone.
    pub conflated: Option<Arc<Conflated>>,
}

/// Changes of one window, folded.
#[derive(Default)]
pub struct Conflation {
    deals: HashMap<DealId, Folded>,
}

struct Folded {
    first: ChangeKind,
    last: ChangeKind,
    change: Arc<Change>,
    skipped: u32,
    changed: Vec<DealField>,
    digest: DefaultHasher,
}

impl Conflation {
    /// Adds a change of a deal that the subscriber is shown as `kind`. Changes must come in their order.
    pub fn add(&mut self, kind: ChangeKind, change: &Arc<Change>) {
        // Only changes of deals can be asked for in windows.
        let ChangeBody::Deal { deal, changed, .. } = &change.body else {
            return;
        };

        match self.deals.entry(deal.id) {
            Entry::Occupied(mut held) => held.get_mut().add(kind, change, changed),
            Entry::Vacant(free) => {
                let folded = free.insert(Folded {
                    first: kind,
                    last: kind,
                    change: Arc::clone(change),
                    skipped: 0,
                    changed: changed.clone(),
                    digest: DefaultHasher::new(),
                });
                folded.note(change);
            }
        }
    }

    /// Returns the last change of each deal, in the order of the feed.
    pub fn finish(self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = self.deals.into_values().map(Folded::finish).collect();

        // The map has lost the order, in which a client that resumes must find them.
        shown.sort_unstable_by_key(|shown| shown.change.order());
        shown
    }
}

impl Folded {
    fn add(&mut self, kind: ChangeKind, change: &Arc<Change>, changed: &[DealField]) {
        self.last = kind;
        self.change = Arc::clone(change);
        self.skipped += 1;
        self.note(change);

        for field in changed {
            if !self.changed.contains(field) {
                self.changed.push(*field);
            }
        }
    }

    fn note(&mut self, change: &Change) {
        self.digest.write_u64(change.sequence);
        self.digest.write_u16(change.index);
    }

    fn finish(self) -> Shown {
        // A deal that the client has not seen yet is new to it, whatever happened to it since. One that was created and
        // has left within the window is told as LEFT: it stands for changes that would otherwise be missing.
        let kind = match (self.first, self.last) {
            (_, ChangeKind::Left) => ChangeKind::Left,
            (ChangeKind::Created, _) => ChangeKind::Created,
            (_, last) => last,
        };

        let is_changed = |field: &DealField| self.changed.contains(field);
        let conflated = (self.skipped > 0).then(|| Conflated {
            skipped: self.skipped,
            // In the order in which the contract lists them, as a single change has them.
            changed: DealField::ALL.into_iter().filter(is_changed).collect(),
            digest: self.digest.finish(),
        });

        Shown {
            kind,
            change: self.change,
            conflated: conflated.map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn change(sequence: u64, deal: u128, changed: &[DealField]) -> Arc<Change> {
        let deal = fixtures::deal(deal);

        Arc::new(Change {
            sequence,
            index: 0,
            seller_id: deal.seller_id,
            body: ChangeBody::Deal {
                created: false,
                deal: Arc::new(deal),
                previous: None,
                changed: changed.to_vec(),
            },
        })
    }

    fn fold(changes: &[(ChangeKind, Arc<Change>)]) -> Vec<(ChangeKind, u64, u32, usize)> {
        let mut conflation = Conflation::default();
        for (kind, change) in changes {
            conflation.add(*kind, change);
        }

        let tell = |shown: Shown| {
            let conflated = shown.conflated.as_deref();
            let skipped = conflated.map_or(0, |conflated| conflated.skipped);
            let fields = conflated.map_or(0, |conflated| conflated.changed.len());
            (shown.kind, shown.change.sequence, skipped, fields)
        };
        conflation.finish().into_iter().map(tell).collect()
    }

    #[test]
    fn window_shows_the_last_change_of_each_deal_in_order() {
        use ChangeKind::{Created, Left, Updated};
        let name = [DealField::Name];
        let status = [DealField::Status];

        let window = [
            (Created, change(1, 1, &name)),
            (Updated, change(2, 2, &name)),
            (Updated, change(3, 3, &name)),
            (Left, change(4, 4, &status)),
            (Updated, change(5, 1, &status)),
            (Left, change(6, 3, &status)),
            (Updated, change(7, 1, &name)),
            (Updated, change(8, 4, &name)),
        ];
        assert_eq!(
            fold(&window),
            [
                (Updated, 2, 0, 0),
                (Left, 6, 1, 2),
                (Created, 7, 2, 2),
                (Updated, 8, 1, 2),
            ]
        );
    }

    #[test]
    fn same_changes_have_the_same_digest() {
        let digest = |sequences: &[u64]| {
            let mut conflation = Conflation::default();
            for sequence in sequences {
                conflation.add(ChangeKind::Updated, &change(*sequence, 1, &[]));
            }
            let shown = conflation.finish().remove(0);
            shown.conflated.expect("several were folded").digest
        };

        assert_eq!(digest(&[1, 2, 5]), digest(&[1, 2, 5]));
        assert_ne!(digest(&[1, 2, 5]), digest(&[1, 3, 5]));
    }
}
