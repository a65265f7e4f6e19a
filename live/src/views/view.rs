//! One View: the first deals of an order, exact at its place. Pure state: it takes changes and answers windows.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use backbone::deal_table::{
    Cursor, DealFilter, DealKey, DealOrder, Page, PageDeal, StoredDeal, TopDeals, Window,
};
use backbone::ids::{BuyerId, DealId, SellerId};
use backbone::position::{Epoch, Position, Sequence};
use buyer_core::feed::{Change, ChangeBody};

use crate::feed::SyncState;
use crate::ring::deal_weight;
use crate::visibility::is_wanted;

/// Bytes that a View takes beside its rows and sellers, with its place in the index, rounded up.
const BASE_WEIGHT: u64 = 1_024;

/// Bytes of a row beside its deal, and of a seller.
const ROW_WEIGHT: u64 = 96;
const SELLER_WEIGHT: u64 = 32;

/// Content of a View: the deals of one buyer that match a filter, in an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    pub(crate) buyer: BuyerId,
    pub(crate) filter: DealFilter,
    pub(crate) order: DealOrder,
}

impl ViewKey {
    /// Builds the key. Filters that list the same values in another order are the same.
    pub(crate) fn new(buyer: BuyerId, mut filter: DealFilter, order: DealOrder) -> Self {
        if let Some(sellers) = &mut filter.seller_ids {
            sellers.sort_unstable();
            sellers.dedup();
        }
        if let Some(statuses) = &mut filter.statuses {
            statuses.sort_unstable_by_key(|status| status.as_str());
            statuses.dedup();
        }

        Self {
            buyer,
            filter,
            order,
        }
    }
}

/// The first deals of an order. Between the changes that it is given, it holds exactly the deals that a statement would
/// find at its place and that come no later than the place up to which it is exact.
pub(crate) struct View {
    epoch: Epoch,
    generation: i32,
    /// Sequence of the event whose end the View shows.
    place: Sequence,
    /// Sellers who grant the buyer access at the place.
    sellers: HashSet<SellerId>,
    rows: Vec<Row>,
    /// Place in the order beyond which the View knows nothing; `None` if it holds all deals.
    exact_to: Option<DealKey>,
    /// Most rows.
    capacity: usize,
}

struct Row {
    key: DealKey,
    deal: StoredDeal,
}

/// The View cannot be kept exact any longer: it must be loaded again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// The View does not hold all the deals of a window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beyond;

impl View {
    /// Builds a View of at most `capacity` rows from what was read for it.
    pub(crate) fn new(order: DealOrder, top: TopDeals, capacity: usize) -> Self {
        let TopDeals {
            epoch,
            generation,
            sequence,
            sellers,
            deals,
            complete,
        } = top;

        let rows: Vec<Row> = deals
            .into_iter()
            .map(|deal| Row {
                key: order.key(&deal),
                deal,
            })
            .collect();
        let last = rows.last().map(|row| row.key);

        Self {
            epoch,
            generation,
            place: sequence,
            sellers: sellers.into_iter().collect(),
            rows,
            exact_to: if complete { None } else { last },
            capacity,
        }
    }

    /// Returns the position that the View shows.
    pub(crate) fn position(&self) -> Position {
        Position::end_of(self.epoch, self.place)
    }

    /// Returns whether the View was loaded from the tables that a ring's changes come from.
    pub(crate) fn is_of(&self, synced: SyncState) -> bool {
        (self.epoch, self.generation) == (synced.epoch, synced.generation)
    }

    /// Applies all changes after the place up to `tip`, and moves the place there.
    ///
    /// # Errors
    /// [`Lost`] if one of them opens another seller's deals, which the changes do not bring.
    pub(crate) fn catch_up(
        &mut self,
        key: &ViewKey,
        changes: &[Arc<Change>],
        tip: Sequence,
    ) -> Result<(), Lost> {
        for change in changes {
            // The tables that the View was loaded from may have been ahead of the ring.
            if change.sequence > self.place {
                self.apply(key, change)?;
            }
        }

        // Never back: the rows of a View that was loaded ahead of the ring are those of its place.
        self.place = self.place.max(tip);
        Ok(())
    }

    fn apply(&mut self, key: &ViewKey, change: &Change) -> Result<(), Lost> {
        match &change.body {
            ChangeBody::Deal { deal, .. } if self.sellers.contains(&change.seller_id) => {
                self.remove(deal.id);

                if is_wanted(&key.filter, deal) {
                    let stored = StoredDeal {
                        deal: Arc::clone(deal),
                        sequence: change.sequence,
                    };
                    self.insert(key.order, stored);
                }
            }
            ChangeBody::Access { buyer, granted } if *buyer == key.buyer => {
                if *granted {
                    return Err(Lost);
                }

                self.sellers.remove(&change.seller_id);
                self.rows
                    .retain(|row| row.deal.deal.seller_id != change.seller_id);
            }
            _ => {}
        }

        Ok(())
    }

    fn remove(&mut self, id: DealId) {
        let held = self.rows.iter().position(|row| row.deal.deal.id == id);

        if let Some(index) = held {
            self.rows.remove(index);
        }
    }

    fn insert(&mut self, order: DealOrder, deal: StoredDeal) {
        let key = order.key(&deal);

        // Beyond that place there are deals that the View does not know, so one that it does know there would make a hole.
        if self.is_beyond(order, key) {
            return;
        }

        let index = self
            .rows
            .partition_point(|row| order.compare(row.key, key) == Ordering::Less);
        self.rows.insert(index, Row { key, deal });

        if self.rows.len() > self.capacity {
            self.rows.pop();
            self.exact_to = self.rows.last().map(|row| row.key);
        }
    }

    fn is_beyond(&self, order: DealOrder, key: DealKey) -> bool {
        self.exact_to
            .is_some_and(|exact_to| order.compare(key, exact_to) == Ordering::Greater)
    }

    /// Returns the page that a statement would read at the View's position.
    ///
    /// # Errors
    /// [`Beyond`] if the page may hold deals that the View does not.
    pub(crate) fn page(&self, order: DealOrder, window: &Window) -> Result<Page, Beyond> {
        let limit = window.limit as usize;

        let start = window.after.map_or(0, |after| {
            self.rows
                .partition_point(|row| order.compare(row.key, after.key) != Ordering::Greater)
        });
        let end = window.before.map_or(self.rows.len(), |before| {
            self.rows
                .partition_point(|row| order.compare(row.key, before.key) == Ordering::Less)
        });

        let within = &self.rows[start..end.max(start)];
        let more = within.len() > limit;

        // Up to that place the rows are all there are. A page that may need others can only be the first ones of a window.
        let known_to_end = match window.before {
            Some(before) => !self.is_beyond(order, before.key),
            None => self.exact_to.is_none(),
        };
        if !known_to_end && (window.backwards || !more) {
            return Err(Beyond);
        }

        let shown = if window.backwards {
            &within[within.len().saturating_sub(limit)..]
        } else {
            &within[..within.len().min(limit)]
        };

        let position = self.position();
        let deals = shown.iter().map(|row| PageDeal {
            cursor: Cursor::new(row.key, position),
            deal: row.deal.clone(),
        });

        Ok(Page::new(deals.collect(), more, window, position))
    }

    /// Returns about how many bytes the View takes. A deal that others hold too, such as the ring or another View, counts
    /// in part.
    pub(crate) fn weight(&self) -> u64 {
        let rows: u64 = self
            .rows
            .iter()
            .map(|row| {
                let holders = Arc::strong_count(&row.deal.deal);
                ROW_WEIGHT + (deal_weight(&row.deal.deal) / holders) as u64
            })
            .sum();

        BASE_WEIGHT + SELLER_WEIGHT * self.sellers.len() as u64 + rows
    }

    /// Returns the most rows that the View holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}
