//! The random order of events, and what is checked of every answer.

use std::time::Duration;

use backbone::contract::DealStatus;
use backbone::deal_table::{DealOrder, Page, Window};
use backbone::ids::{BuyerId, DealId, SellerId};
use backbone::position::{Position, Sequence};
use buyer_core::testkit::{ANN, BOB, DealState, Market};
use uuid::Uuid;

use super::dice::Dice;
use super::gateway::Gateway;
use super::history::{BUYERS, History, List, ORDERS, window};
use super::walk::Walk;
use crate::reads::required::Required;
use crate::views::{View, ViewKey, ViewSettings};

const SELLERS: [SellerId; 4] = [
    ANN,
    BOB,
    SellerId(Uuid::from_u128(0xc)),
    SellerId(Uuid::from_u128(0xd)),
];

/// Number of deals, and size of most pages: lists have about as many deals as a View has room for, or a few more.
const DEALS: u64 = 18;
const PAGE: u32 = 2;

/// A read of the tables on its way, which other things overtake.
struct Pending {
    gateway: usize,
    list: List,
    required: Required,
    /// Sequence that the answer must show at least.
    least: Sequence,
    generation: i32,
    view: View,
}

pub(super) struct Run {
    market: Market,
    dice: Dice,
    gateways: Vec<Gateway>,
    history: History,
    pending: Vec<Pending>,
    walks: Vec<Walk>,
    generation: i32,
    head: Sequence,
    deals: Vec<(Sequence, SellerId, DealId)>,
    access: Vec<(Sequence, BuyerId)>,
    answers: u64,
    walks_checked: u64,
}

impl Run {
    pub(super) async fn start(market: Market, seed: u64) -> Self {
        for buyer in BUYERS {
            market.grant(ANN, buyer).await;
            market.grant(BOB, buyer).await;
        }
        market.project().await;

        let small = ViewSettings {
            bytes: 24_000,
            per_account: 3,
            ..ViewSettings::default()
        };
        let gateways = vec![
            Gateway::start(&market, ViewSettings::default()).await,
            Gateway::start(&market, small).await,
        ];

        let mut run = Self {
            market,
            dice: Dice(seed),
            gateways,
            history: History::default(),
            pending: Vec::new(),
            walks: Vec::new(),
            generation: 0,
            head: 0,
            deals: Vec::new(),
            access: Vec::new(),
            answers: 0,
            walks_checked: 0,
        };
        for deal in 0..DEALS {
            run.write(deal).await;
        }
        run
    }

    pub(super) async fn step(&mut self) {
        match self.dice.between(1, 200) {
            1..=40 => {
                let deal = self.dice.between(0, DEALS);
                self.write(deal).await;
            }
            41..=44 => self.change_access().await,
            45 => self.rebuild().await,
            46 => {
                let gateway = self.dice.below(2);
                self.gateways[gateway].forget(&self.market).await;
            }
            // Two of them expire the signs of life of a gateway that hears nothing.
            47..=49 => self.market.clock.advance(Duration::from_millis(600)),
            50..=94 => self.announce().await,
            95..=102 => self.begin_load().await,
            103..=110 => self.end_load(),
            111..=150 => self.walk().await,
            151..=196 => self.read().await,
            _ => self.read_deal().await,
        }
    }

    async fn write(&mut self, number: u64) {
        let seller = SELLERS[number as usize % SELLERS.len()];
        let deal = DealId(Uuid::from_u128(1_000 + u128::from(number)));
        let state = DealState {
            name: "a deal",
            price: Some(self.dice.between(0, 11) as i64),
            status: self.dice.one_of(&[
                DealStatus::Available,
                DealStatus::Available,
                DealStatus::Sold,
            ]),
        };

        let sequence = self.market.write((seller, deal), state).await;
        self.deals.push((sequence, seller, deal));
        self.project().await;
    }

    async fn change_access(&mut self) {
        let buyer = self.dice.one_of(&BUYERS);
        let seller = self.dice.one_of(&SELLERS);

        // A grant does not bring the deals that it opens: clients query again, so their walks end here.
        self.end_walks(|walk| walk.list.buyer == buyer);
        let sequence = self.market.toggle_access(seller, buyer).await;
        self.access.push((sequence, buyer));
        self.project().await;
    }

    async fn project(&mut self) {
        self.head = self.market.project().await;
        self.record().await;
    }

    async fn record(&mut self) {
        self.history.record(&self.market).await;
        let checkpoint = self.market.side.checkpoint().await;
        self.generation = checkpoint.expect("the tables answer").generation;
    }

    /// Replaces the tables by those of another generation, in which one seller's deals are different.
    async fn rebuild(&mut self) {
        let seller = self.dice.one_of(&SELLERS);
        self.end_walks(|_| true);
        let mut tx = self.market.db.begin().await.expect("the database answers");

        for statement in [
            "UPDATE deal SET total_price = total_price + 1 WHERE seller_id = $1",
            "UPDATE projection SET generation = generation + 1 WHERE $1 = $1",
        ] {
            backbone::on_tx!(&mut tx, connection => sqlx::query(statement)
                .bind(seller)
                .execute(&mut *connection)
                .await
                .map(|_| ()))
            .expect("the statement is valid");
        }

        tx.commit().await.expect("the database answers");
        self.record().await;
    }

    /// Lets a gateway hear of some of what it has missed, or of all.
    async fn announce(&mut self) {
        let gateway = self.dice.below(2);
        let tip = self.gateways[gateway].synced().tip;
        let up_to = if self.dice.chance(75) {
            self.head
        } else {
            self.dice.between(tip, self.head)
        };

        self.gateways[gateway].announce(&self.market, up_to).await;
    }

    async fn read(&mut self) {
        let list = self.list();
        let gateway = self.dice.below(2);
        let mut window = window(self.dice.one_of(&[PAGE, PAGE, PAGE, 1, 0, 3]));
        window.backwards = self.dice.chance(10);

        let min_position = self.dice.chance(20).then_some(self.head);
        self.page(gateway, list, window, min_position).await;
    }

    /// Lets a client read its next page, or another one begin.
    async fn walk(&mut self) {
        let open: Vec<usize> = (0..self.walks.len())
            .filter(|walk| !self.walks[*walk].is_done)
            .collect();

        let index = if !open.is_empty() && self.dice.chance(75) {
            self.dice.one_of(&open)
        } else {
            let list = List {
                only_available: false,
                ..self.list()
            };
            self.walks.push(Walk::new(list));
            self.walks.len() - 1
        };

        let gateway = self.dice.below(2);
        let list = self.walks[index].list;
        let mut after = window(PAGE);
        if let Some(next) = self.walks[index].next {
            // Larger pages than the first one reach the end of its View.
            after = window(self.dice.one_of(&[PAGE, PAGE, 4, 5]));
            after.after = Some(next);
        }
        let page = self.page(gateway, list, after, None).await;

        // Back to the pages before, now and then: before a cursor a View knows everything.
        if let Some(first) = page.deals.first()
            && self.dice.chance(20)
        {
            let before = Window {
                before: Some(first.cursor),
                backwards: self.dice.chance(50),
                ..window(2)
            };
            self.page(gateway, list, before, None).await;
        }

        // A gateway that has not heard of rebuilt tables shows the deals of the old ones, which are different here.
        let is_current = self.gateways[gateway].synced().generation == self.generation;
        self.walks[index].take(&page, is_current);
    }

    /// Chooses a list, one of them more often than all others: only what is asked for again is kept.
    fn list(&mut self) -> List {
        if self.dice.chance(60) {
            return List {
                buyer: BUYERS[0],
                only_available: true,
                order: DealOrder::PriceAscending,
            };
        }

        List {
            buyer: self.dice.one_of(&BUYERS),
            only_available: self.dice.chance(40),
            order: self.dice.one_of(&ORDERS),
        }
    }

    async fn page(
        &mut self,
        gateway: usize,
        list: List,
        window: Window,
        min_position: Option<Sequence>,
    ) -> Page {
        let synced = self.gateways[gateway].synced();
        let cursors = [window.after, window.before].into_iter().flatten();
        let shown_at = cursors.filter_map(|cursor| cursor.shown_at);
        let least = shown_at.map(|position| position.sequence).max();
        let least = least.max(min_position).unwrap_or(0);
        let least = least.max(self.gateways[gateway].answered);

        let min_position = min_position.map(|at| Position::end_of(synced.epoch, at));
        let reads = &self.gateways[gateway].reads;
        let page = reads
            .page(list.buyer, list.filter(), list.order, window, min_position)
            .await
            .expect("the tables have reached every position that there is");

        self.check(gateway, list, &window, &page, least);
        page
    }

    /// Checks an answer that must show `least` or a later position.
    fn check(&mut self, gateway: usize, list: List, window: &Window, page: &Page, least: Sequence) {
        let at = page.position.sequence;
        assert!(at >= least, "{list:?}: {at} is older than {least}");

        // Between the swap of the tables and its announcement, answers are those of either generation.
        let oldest = self.gateways[gateway].synced().generation;
        let is_shown = |generation| {
            let shown = self.history.page(generation, page.position, list, window);
            shown.is_some_and(|shown| is_same(&shown, page))
        };
        assert!(
            (oldest..=self.generation).any(is_shown),
            "gateway {gateway} answered {list:?} {window:?} with {page:#?}, but the tables: {:#?}",
            self.history
                .page(self.generation, page.position, list, window),
        );

        let answered = &mut self.gateways[gateway].answered;
        *answered = at.max(*answered);
        self.answers += 1;
    }

    /// Begins to load a View, as a page from the beginning would.
    async fn begin_load(&mut self) {
        let list = self.list();
        let gateway = self.dice.below(2);
        let reads = &self.gateways[gateway].reads.0;

        let required = reads.required(None, Some(&window(PAGE)));
        let key = ViewKey::new(list.buyer, list.filter(), list.order);
        let Ok(slot) = reads.slot(&key) else { return };

        let view = slot.fetch(&reads.buyers, &reads.feed, PAGE).await;
        self.pending.push(Pending {
            gateway,
            list,
            required,
            least: self.gateways[gateway].answered,
            generation: self.generation,
            view: view.expect("the tables answer"),
        });
    }

    /// Ends a load that has begun, whatever has happened since.
    fn end_load(&mut self) {
        if self.pending.is_empty() {
            return;
        }

        let index = self.dice.below(self.pending.len());
        let load = self.pending.swap_remove(index);
        let reads = &self.gateways[load.gateway].reads.0;
        let key = ViewKey::new(load.list.buyer, load.list.filter(), load.list.order);
        let Ok(slot) = reads.slot(&key) else { return };

        let (page, weight) = slot.put(load.view, &window(PAGE));
        reads.views.weigh(&slot, weight);
        let page = page.expect("a View has room for its page");

        // Overtaken by a rebuild, the answer is still that of a moment after the request came.
        let is_answer = reads.is_answer(&load.required, page.position);
        if is_answer.expect("there is one log") && load.generation == self.generation {
            self.check(load.gateway, load.list, &window(PAGE), &page, load.least);
        }
    }

    async fn read_deal(&mut self) {
        let list = List {
            only_available: false,
            order: DealOrder::LastChangedFirst,
            ..self.list()
        };
        let gateway = self.dice.below(2);
        let (_, _, id) = self.dice.one_of(&self.deals);

        let reads = &self.gateways[gateway].reads;
        let found = reads.deal(list.buyer, id, None).await;
        let found = found.expect("the tables answer");

        let all = self.history.list(self.generation, self.head, list);
        let shown = all.expect("it was recorded").iter();
        assert_eq!(
            found.as_ref(),
            shown.clone().find(|deal| deal.deal.id == id)
        );

        let answered = &mut self.gateways[gateway].answered;
        *answered = self.head;
    }

    /// Checks that the run was worth its time, after its last walks.
    pub(super) fn finish(mut self) {
        self.end_walks(|_| true);

        let hits: u64 = self.gateways.iter().map(Gateway::hits).sum();
        assert!(
            hits * 6 > self.answers && self.walks_checked > 5,
            "{hits} of {} answers were from memory, {} walks were checked",
            self.answers,
            self.walks_checked
        );
    }

    /// Ends some of the walks, and checks those that came to their last page.
    fn end_walks(&mut self, is_over: impl Fn(&Walk) -> bool) {
        let (over, open) = std::mem::take(&mut self.walks)
            .into_iter()
            .partition(is_over);
        self.walks = open;

        for walk in over {
            self.check_walk(walk);
        }
    }

    /// Checks that a client that subscribed after its first page has every deal in its newest state.
    fn check_walk(&mut self, mut walk: Walk) {
        let Some(first) = walk.first.filter(|_| walk.is_done && walk.is_current) else {
            return;
        };

        // The first page may be older than the change of access at which the last walks ended.
        let mut access = self.access.iter();
        if access.any(|(at, buyer)| *at > first && *buyer == walk.list.buyer) {
            return;
        }

        let list = List {
            order: DealOrder::LastChangedFirst,
            ..walk.list
        };
        let truth = self.history.list(self.generation, self.head, list);
        let truth = truth.expect("it was recorded");

        // Only deals of the truth are compared, so changes that the buyer may not see make no difference.
        for (sequence, _, deal) in &self.deals {
            if *sequence > first {
                walk.see(*deal, *sequence);
            }
        }

        let missing = walk.missing(truth);
        assert_eq!(missing, [], "a walk of {:?} began at {first}", walk.list);
        self.walks_checked += 1;
    }
}

fn is_same(one: &Page, other: &Page) -> bool {
    one.deals == other.deals
        && (one.has_next, one.has_previous) == (other.has_next, other.has_previous)
        && one.position == other.position
}
