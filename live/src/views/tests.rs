//! The rules of a View and of the index, one by one.

use std::sync::Arc;
use std::time::Duration;

use backbone::clock::Clock;
use backbone::contract::{Deal, DealStatus};
use backbone::deal_table::{
    Cursor, DealFilter, DealKey, DealOrder, Page, StoredDeal, TopDeals, Window,
};
use backbone::ids::{BuyerId, SellerId};
use backbone::money::MinorUnits;
use backbone::position::{Epoch, Position};
use backbone::telemetry::Metrics;
use buyer_core::feed::{Change, ChangeBody};
use uuid::Uuid;

use super::view::{Beyond, Lost, View};
use super::{ViewKey, ViewSettings, Views};
use crate::fixtures;

const SELLER: SellerId = SellerId(Uuid::from_u128(1));
const OTHER: SellerId = SellerId(Uuid::from_u128(2));
const STRANGER: SellerId = SellerId(Uuid::from_u128(3));
const BUYER: BuyerId = BuyerId(Uuid::from_u128(9));

fn deal(seller_id: SellerId, id: u128, price: i64) -> Arc<Deal> {
    Arc::new(Deal {
        seller_id,
        total_price: MinorUnits::new(price).expect("a price"),
        ..fixtures::deal(id)
    })
}

fn deal_change(sequence: u64, deal: Arc<Deal>) -> Arc<Change> {
    let seller_id = deal.seller_id;
    let body = ChangeBody::Deal {
        created: false,
        deal,
        changed: Vec::new(),
        previous: None,
    };

    Arc::new(Change {
        sequence,
        index: 0,
        seller_id,
        body,
    })
}

fn access_change(sequence: u64, seller_id: SellerId, granted: bool) -> Arc<Change> {
    Arc::new(Change {
        sequence,
        index: 0,
        seller_id,
        body: ChangeBody::Access {
            buyer: BUYER,
            granted,
        },
    })
}

fn key(order: DealOrder) -> ViewKey {
    ViewKey::new(BUYER, DealFilter::default(), order)
}

/// Returns a View of the cheapest deals, 1 to `held` at these prices and ids, with room for four.
fn cheapest(held: u128, complete: bool) -> View {
    let deals = (1..=held).map(|number| StoredDeal {
        deal: deal(SELLER, number, number as i64),
        sequence: number as u64,
    });
    let top = TopDeals {
        epoch: Epoch(5),
        generation: 1,
        sequence: 10,
        sellers: vec![SELLER, OTHER],
        deals: deals.collect(),
        complete,
    };

    View::new(DealOrder::PriceAscending, top, 4)
}

fn window(limit: u32) -> Window {
    Window {
        limit,
        backwards: false,
        after: None,
        before: None,
    }
}

fn cursor(price: i64, id: u128) -> Option<Cursor> {
    let key = DealKey::Price(price, Uuid::from_u128(id));

    Some(Cursor {
        key,
        shown_at: None,
    })
}

fn ids(page: Result<Page, Beyond>) -> Option<Vec<u128>> {
    let deals = page.ok()?.deals.into_iter();

    Some(deals.map(|deal| deal.deal.deal.id.0.as_u128()).collect())
}

/// Reads from a View of the cheapest deals.
fn read(view: &View, window: Window) -> Option<Vec<u128>> {
    ids(view.page(DealOrder::PriceAscending, &window))
}

#[test]
fn view_takes_changes_up_to_its_end_and_forgets_those_beyond() {
    let mut view = cheapest(4, false);
    let key = key(DealOrder::PriceAscending);
    let changes = [
        deal_change(11, deal(SELLER, 20, 2)),
        deal_change(12, deal(OTHER, 21, 9)),
        deal_change(13, deal(STRANGER, 22, 1)),
        deal_change(14, deal(SELLER, 1, 8)),
    ];

    assert_eq!(view.catch_up(&key, &changes, 15), Ok(()));
    assert_eq!(view.position(), Position::end_of(Epoch(5), 15));
    // Deal 4 gave way to deal 20, so the View is exact up to deal 3 since then; and deal 1 left it.
    assert_eq!(read(&view, window(2)), Some(vec![2, 20]));
    assert_eq!(read(&view, window(3)), None, "what follows is not known");

    // A deal that comes back between is known again, and one beyond deal 3 is not.
    let changes = [
        deal_change(16, deal(SELLER, 4, 4)),
        deal_change(17, deal(SELLER, 1, 1)),
    ];
    assert_eq!(view.catch_up(&key, &changes, 17), Ok(()));
    assert_eq!(read(&view, window(3)), Some(vec![1, 2, 20]));
}

#[test]
fn view_ignores_changes_that_it_was_loaded_with_and_never_goes_back() {
    let mut view = cheapest(2, true);
    let old = [
        deal_change(9, deal(SELLER, 1, 7)),
        access_change(10, SELLER, false),
    ];

    let caught_up = view.catch_up(&key(DealOrder::PriceAscending), &old, 9);
    assert_eq!(caught_up, Ok(()));
    assert_eq!(view.position().sequence, 10);
    assert_eq!(read(&view, window(5)), Some(vec![1, 2]));
}

#[test]
fn view_drops_the_deals_of_a_revoked_seller_and_is_lost_with_a_grant() {
    let mut view = cheapest(3, true);
    let key = key(DealOrder::PriceAscending);
    let changes = [
        deal_change(11, deal(OTHER, 30, 1)),
        access_change(12, SELLER, false),
        deal_change(13, deal(SELLER, 31, 1)),
    ];

    assert_eq!(view.catch_up(&key, &changes, 13), Ok(()));
    assert_eq!(read(&view, window(5)), Some(vec![30]));

    let granted = [access_change(14, SELLER, true)];
    assert_eq!(view.catch_up(&key, &granted, 14), Err(Lost));
}

#[test]
fn view_keeps_what_matches_its_filter() {
    let filter = DealFilter {
        max_total_price: MinorUnits::new(5),
        ..DealFilter::default()
    };
    let key = ViewKey::new(BUYER, filter, DealOrder::PriceAscending);
    let mut view = cheapest(2, true);
    let changes = [
        deal_change(11, deal(SELLER, 1, 6)),
        deal_change(12, deal(SELLER, 7, 5)),
    ];

    assert_eq!(view.catch_up(&key, &changes, 12), Ok(()));
    assert_eq!(read(&view, window(5)), Some(vec![2, 7]));
}

#[test]
fn page_of_a_view_that_is_not_complete_is_known_up_to_its_last_deal() {
    let view = cheapest(4, false);
    let backwards = |window| Window {
        backwards: true,
        ..window
    };
    let after = |after| Window { after, ..window(2) };
    let before = |before| Window {
        before,
        ..window(2)
    };

    assert_eq!(read(&view, window(3)), Some(vec![1, 2, 3]));
    assert_eq!(read(&view, window(4)), None, "has_next is not known");
    assert_eq!(read(&view, backwards(window(2))), None);

    assert_eq!(read(&view, after(cursor(1, 1))), Some(vec![2, 3]));
    assert_eq!(read(&view, after(cursor(2, 2))), None);
    assert_eq!(
        read(&view, after(cursor(4, 4))),
        None,
        "a cursor at the last deal"
    );

    assert_eq!(
        read(&view, backwards(before(cursor(4, 4)))),
        Some(vec![2, 3])
    );
    assert_eq!(read(&view, before(cursor(2, 2))), Some(vec![1]));
    assert_eq!(read(&view, backwards(before(cursor(9, 9)))), None);
    assert_eq!(read(&view, before(cursor(9, 9))), Some(vec![1, 2]));
}

#[test]
fn page_of_a_complete_view_is_known_to_the_end() {
    let view = cheapest(3, true);
    let last = Window {
        backwards: true,
        ..window(2)
    };

    let page = view.page(DealOrder::PriceAscending, &last);
    let page = page.expect("the View holds all deals");
    assert_eq!((page.has_next, page.has_previous), (false, true));
    assert_eq!(read(&view, last), Some(vec![2, 3]));

    let beyond = Window {
        after: cursor(9, 9),
        ..window(2)
    };
    assert_eq!(read(&view, beyond), Some(vec![]));
}

#[test]
fn view_that_is_complete_stops_being_so_when_it_overflows() {
    let mut view = cheapest(4, true);
    let key = key(DealOrder::PriceAscending);
    assert_eq!(read(&view, window(4)), Some(vec![1, 2, 3, 4]));

    let new = [deal_change(11, deal(SELLER, 50, 50))];
    assert_eq!(view.catch_up(&key, &new, 11), Ok(()));
    assert_eq!(read(&view, window(4)), None);
    assert_eq!(read(&view, window(3)), Some(vec![1, 2, 3]));
}

fn views(settings: ViewSettings) -> (Views, Clock) {
    (
        Views::new(settings, &Metrics::new()),
        Clock::fixed(1_000_000_000),
    )
}

fn of(buyer: u128, price: i64) -> ViewKey {
    let filter = DealFilter {
        max_total_price: MinorUnits::new(price),
        ..DealFilter::default()
    };

    ViewKey::new(
        BuyerId(Uuid::from_u128(buyer)),
        filter,
        DealOrder::default(),
    )
}

#[test]
fn view_is_admitted_at_the_second_request_within_ten_seconds() {
    let (views, clock) = views(ViewSettings::default());
    assert!(views.admit(&of(1, 1), clock.now()).is_none());
    assert!(
        views.admit(&of(1, 2), clock.now()).is_none(),
        "another page"
    );

    clock.advance(Duration::from_secs(11));
    assert!(views.admit(&of(1, 1), clock.now()).is_none(), "too late");

    clock.advance(Duration::from_secs(9));
    assert!(views.admit(&of(1, 1), clock.now()).is_some());
    assert!(views.admit(&of(1, 1), clock.now()).is_some(), "it is kept");
    assert_eq!(views.views.get(), 1);
}

#[test]
fn views_that_list_the_same_values_are_the_same() {
    let listing = |sellers: &[SellerId], statuses: &[DealStatus]| {
        let filter = DealFilter {
            seller_ids: Some(sellers.to_vec()),
            statuses: Some(statuses.to_vec()),
            ..DealFilter::default()
        };
        ViewKey::new(BUYER, filter, DealOrder::default())
    };

    let one = listing(&[SELLER, OTHER], &[DealStatus::Sold, DealStatus::Available]);
    let other = listing(
        &[OTHER, SELLER, OTHER],
        &[DealStatus::Available, DealStatus::Sold],
    );
    assert_eq!(one, other);
}

#[test]
fn views_beyond_the_limits_go_in_the_order_of_their_last_use() {
    let settings = ViewSettings {
        bytes: 10_000,
        per_account: 2,
        ..ViewSettings::default()
    };
    let (views, clock) = views(settings);
    let admit = |key: &ViewKey| {
        views.admit(key, clock.now());
        views
            .admit(key, clock.now())
            .expect("it is the second time")
    };
    let is_kept = |key: &ViewKey| {
        clock.advance(Duration::from_secs(11));
        views.admit(key, clock.now()).is_some()
    };

    // The account's own View gives way, and not the one that was used last.
    admit(&of(2, 1));
    admit(&of(1, 1));
    admit(&of(1, 2));
    admit(&of(1, 1));
    admit(&of(1, 3));
    assert!(!is_kept(&of(1, 2)) && is_kept(&of(1, 1)) && is_kept(&of(1, 3)));

    // With the bytes it is whoever was not read for the longest time.
    let heavy = admit(&of(2, 1));
    views.weigh(&heavy, 9_400);
    assert!(!is_kept(&of(1, 1)) && is_kept(&of(1, 3)) && is_kept(&of(2, 1)));
    assert!(views.bytes.get() <= 10_000);

    views.weigh(&heavy, 20_000);
    assert_eq!((views.views.get(), views.bytes.get()), (0, 0));
}

#[test]
fn view_that_nobody_reads_is_dropped() {
    let (views, clock) = views(ViewSettings::default());
    views.admit(&of(1, 1), clock.now());
    views.admit(&of(1, 1), clock.now());

    clock.advance(Duration::from_secs(601));
    assert!(views.admit(&of(2, 1), clock.now()).is_none());
    assert_eq!((views.views.get(), views.bytes.get()), (0, 0));
}
