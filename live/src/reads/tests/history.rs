//! Everything that the tables have shown, at every position.

use std::collections::HashMap;

use backbone::contract::DealStatus;
use backbone::deal_table::{Cursor, DealFilter, DealOrder, Page, PageDeal, StoredDeal, Window};
use backbone::ids::BuyerId;
use backbone::position::{Position, Sequence};
use buyer_core::testkit::{BUYER, Market};
use uuid::Uuid;

pub(super) const BUYERS: [BuyerId; 2] = [BUYER, BuyerId(Uuid::from_u128(0xb2))];
pub(super) const ORDERS: [DealOrder; 3] = [
    DealOrder::LastChangedFirst,
    DealOrder::PriceAscending,
    DealOrder::PriceDescending,
];

/// A list of deals that a buyer may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct List {
    pub(super) buyer: BuyerId,
    pub(super) only_available: bool,
    pub(super) order: DealOrder,
}

impl List {
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for buyer in BUYERS {
            for only_available in [false, true] {
                all.extend(ORDERS.map(|order| Self {
                    buyer,
                    only_available,
                    order,
                }));
            }
        }
        all
    }

    pub(super) fn filter(self) -> DealFilter {
        DealFilter {
            statuses: self.only_available.then(|| vec![DealStatus::Available]),
            ..DealFilter::default()
        }
    }
}

/// Every list, by generation and sequence.
#[derive(Default)]
pub(super) struct History(HashMap<(i32, Sequence), HashMap<List, Vec<StoredDeal>>>);

impl History {
    /// Takes note of what the tables show now.
    pub(super) async fn record(&mut self, market: &Market) {
        let checkpoint = market.side.checkpoint().await.expect("the tables answer");
        let mut lists = HashMap::new();

        for list in List::all() {
            let page = market
                .side
                .deals(list.buyer, list.filter(), list.order, window(100))
                .await
                .expect("the tables answer");
            assert_eq!(page.position.sequence, checkpoint.position);

            let deals = page.deals.into_iter().map(|deal| deal.deal);
            lists.insert(list, deals.collect());
        }

        self.0
            .insert((checkpoint.generation, checkpoint.position), lists);
    }

    /// Returns a list as the tables of a generation showed it at a sequence.
    pub(super) fn list(&self, generation: i32, at: Sequence, list: List) -> Option<&[StoredDeal]> {
        let lists = self.0.get(&(generation, at))?;

        lists.get(&list).map(Vec::as_slice)
    }

    /// Returns the page that a statement would have read at a position.
    pub(super) fn page(
        &self,
        generation: i32,
        position: Position,
        list: List,
        window: &Window,
    ) -> Option<Page> {
        let all = self.list(generation, position.sequence, list)?;
        let order = list.order;
        let is_within = |deal: &&StoredDeal| {
            let key = order.key(deal);
            let after = window
                .after
                .is_none_or(|after| order.compare(after.key, key).is_lt());
            let before = window
                .before
                .is_none_or(|before| order.compare(key, before.key).is_lt());
            after && before
        };

        let within: Vec<&StoredDeal> = all.iter().filter(is_within).collect();
        let limit = window.limit as usize;
        let more = within.len() > limit;
        let skipped = if window.backwards {
            within.len().saturating_sub(limit)
        } else {
            0
        };

        let shown = within.into_iter().skip(skipped).take(limit);
        let deals = shown.map(|deal| PageDeal {
            cursor: Cursor::new(order.key(deal), position),
            deal: deal.clone(),
        });

        Some(Page {
            deals: deals.collect(),
            has_next: if window.backwards {
                window.before.is_some()
            } else {
                more
            },
            has_previous: if window.backwards {
                more
            } else {
                window.after.is_some()
            },
            position,
        })
    }
}

/// Returns a window at the beginning of a list.
pub(super) fn window(limit: u32) -> Window {
    Window {
        limit,
        backwards: false,
        after: None,
        before: None,
    }
}
