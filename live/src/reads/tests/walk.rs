//! A client that pages through a list and then goes on with the changes after its first page.

use std::collections::HashMap;

use backbone::deal_table::{Cursor, Page, StoredDeal};
use backbone::ids::DealId;
use backbone::position::Sequence;

use super::history::List;

/// A walk through all pages of a list.
pub(super) struct Walk {
    pub(super) list: List,
    /// Cursor of the next page; `None` before the first.
    pub(super) next: Option<Cursor>,
    /// True when the last page was read.
    pub(super) is_done: bool,
    /// Position of the first page, after which the client subscribes.
    pub(super) first: Option<Sequence>,
    /// True if every page was of the present generation of the tables.
    pub(super) is_current: bool,
    /// Newest state that the client has of each deal.
    got: HashMap<DealId, Sequence>,
}

impl Walk {
    pub(super) fn new(list: List) -> Self {
        Self {
            list,
            next: None,
            is_done: false,
            first: None,
            is_current: true,
            got: HashMap::new(),
        }
    }

    /// Takes a page.
    pub(super) fn take(&mut self, page: &Page, is_current: bool) {
        self.is_current &= is_current;
        self.first.get_or_insert(page.position.sequence);
        for deal in &page.deals {
            self.see(deal.deal.deal.id, deal.deal.sequence);
        }

        self.next = page.deals.last().map(|deal| deal.cursor).or(self.next);
        self.is_done = !page.has_next;
    }

    /// Takes a change from the subscription.
    pub(super) fn see(&mut self, deal: DealId, sequence: Sequence) {
        let newest = self.got.entry(deal).or_default();
        *newest = sequence.max(*newest);
    }

    /// Returns the deals that the client lacks or has an old state of.
    pub(super) fn missing(&self, truth: &[StoredDeal]) -> Vec<DealId> {
        let lacks = |deal: &&StoredDeal| self.got.get(&deal.deal.id).copied() < Some(deal.sequence);

        truth
            .iter()
            .filter(lacks)
            .map(|deal| deal.deal.id)
            .collect()
    }
}
