//! Pages of the deal table: the same deals in the same order for any size and direction, and only
//! deals within the scope.

use backbone::contract::Deal;
use backbone::db::Db;
use backbone::deal_table::{Cursor, DealFilter, DealOrder, PageRequest, Scope, Window};
use backbone::ids::SellerId;
use backbone::on_db;
use backbone::position::{Epoch, Position};
use uuid::Uuid;

use super::fixture::{ORDERS, OTHER, everything, fifty, get, grant, ids, sellers, sorted, window};
use super::{at, write};
use crate::databases::{TestDb, on_both_engines};
use crate::deals::{SELLER, deal, units};

on_both_engines! {
    page_of_an_empty_table_has_a_position,
    pages_of_any_size_in_any_direction_are_the_same_list,
    pages_of_many_sellers_are_one_list,
    page_tells_whether_deals_precede_and_follow_it,
    page_between_two_cursors_has_the_deals_between_them,
    page_has_only_deals_within_its_scope,
    page_does_not_repeat_a_deal_that_moves_while_a_client_pages,
}

async fn page_of_an_empty_table_has_a_position(test: TestDb) {
    let empty = get(&test.db, &everything(DealOrder::LastChangedFirst)).await;
    assert!(empty.deals.is_empty() && !empty.has_next && !empty.has_previous);
    assert_eq!(empty.position, Position::end_of(Epoch(0), 0));
    on_db!(test.db.write(), pool => sqlx::query("UPDATE projection SET epoch = 7, position = 42")
        .execute(pool).await.map(|_| ()))
    .expect("the checkpoint can be moved");

    for order in ORDERS {
        let empty = get(&test.db, &everything(order)).await;
        assert_eq!(empty.position, Position::end_of(Epoch(7), 42));
    }
}

async fn pages_of_any_size_in_any_direction_are_the_same_list(test: TestDb) {
    let deals = fifty(&test.db).await;
    for order in ORDERS {
        let expected = sorted(&deals, order);
        for limit in [1, 7, 49, 50, 51] {
            for backwards in [false, true] {
                let paged = all_pages(&test.db, everything(order), limit, backwards).await;
                assert_eq!(
                    paged, expected,
                    "{order:?} by {limit}, backwards {backwards}"
                );
            }
        }
    }
}

async fn pages_of_many_sellers_are_one_list(test: TestDb) {
    let seller = |number: u128| SellerId(Uuid::from_u128(0x5e11e4 + number));
    let deals: Vec<Deal> = (1..=60)
        .map(|number: u128| Deal {
            seller_id: seller(number * number % 7),
            total_price: units((number as i64 * 37) % 400),
            ..deal(number)
        })
        .collect();

    write(
        &test.db,
        &deals
            .iter()
            .zip(100..)
            .map(|(deal, sequence)| at(deal, 1, sequence))
            .collect::<Vec<_>>(),
    )
    .await;

    let buyer = Uuid::from_u128(5);
    let granted = [0, 1, 2].map(seller);
    for seller in granted {
        grant(&test.db, seller, buyer).await;
    }

    let seen: Vec<Deal> = deals
        .into_iter()
        .filter(|deal| granted.contains(&deal.seller_id))
        .collect();

    assert!(seen.len() > 20);
    for order in ORDERS {
        let request = PageRequest {
            scope: sellers(buyer),
            ..everything(order)
        };

        let expected = sorted(&seen, order);
        for (limit, backwards) in [(1, false), (7, true), (7, false), (100, true)] {
            let paged = all_pages(&test.db, request.clone(), limit, backwards).await;
            assert_eq!(
                paged, expected,
                "{order:?} by {limit}, backwards {backwards}"
            );
        }
    }
}

async fn page_tells_whether_deals_precede_and_follow_it(test: TestDb) {
    fifty(&test.db).await;
    for order in ORDERS {
        let whole = get(&test.db, &everything(order)).await;
        let cursor = |index: usize| Some(whole.deals[index].cursor);
        for (window, has_previous, has_next) in [
            (window(50, false), false, false),
            (window(49, false), false, true),
            (window(49, true), true, false),
            (window(50, true), false, false),
            (
                Window {
                    after: cursor(0),
                    ..window(49, false)
                },
                true,
                false,
            ),
            (
                Window {
                    after: cursor(0),
                    ..window(48, false)
                },
                true,
                true,
            ),
            (
                Window {
                    before: cursor(49),
                    ..window(49, true)
                },
                false,
                true,
            ),
            (
                Window {
                    before: cursor(49),
                    ..window(48, true)
                },
                true,
                true,
            ),
        ] {
            let page = get(
                &test.db,
                &PageRequest {
                    window,
                    ..everything(order)
                },
            )
            .await;

            assert_eq!(
                (page.has_previous, page.has_next),
                (has_previous, has_next),
                "{order:?}: {window:?}"
            );

            assert_eq!(page.deals.len(), window.limit as usize);
        }

        let beyond = Window {
            after: cursor(49),
            ..window(10, false)
        };

        let page = get(
            &test.db,
            &PageRequest {
                window: beyond,
                ..everything(order)
            },
        )
        .await;

        assert!(page.deals.is_empty() && !page.has_next && page.has_previous);
    }
}

async fn page_between_two_cursors_has_the_deals_between_them(test: TestDb) {
    fifty(&test.db).await;
    for order in ORDERS {
        let whole = get(&test.db, &everything(order)).await;
        let after = Some(whole.deals[9].cursor);
        let before = Some(whole.deals[20].cursor);
        for (limit, backwards, expected) in [
            (50, false, 10..20),
            (50, true, 10..20),
            (3, false, 10..13),
            (3, true, 17..20),
        ] {
            let window = Window {
                after,
                before,
                ..window(limit, backwards)
            };

            let page = get(
                &test.db,
                &PageRequest {
                    window,
                    ..everything(order)
                },
            )
            .await;

            assert_eq!(page.deals, whole.deals[expected], "{order:?}: {window:?}");
        }
    }
}

async fn page_has_only_deals_within_its_scope(test: TestDb) {
    let ours = fifty(&test.db).await;
    let theirs: Vec<Deal> = (101..=110)
        .map(|number| Deal {
            seller_id: OTHER,
            ..deal(number)
        })
        .collect();

    write(
        &test.db,
        &theirs
            .iter()
            .zip(200..)
            .map(|(deal, sequence)| at(deal, 1, sequence))
            .collect::<Vec<_>>(),
    )
    .await;

    let of = |scope| PageRequest {
        scope,
        ..everything(DealOrder::LastChangedFirst)
    };

    assert_eq!(
        ids(&get(&test.db, &of(Scope::Seller(SELLER))).await).len(),
        ours.len()
    );

    assert_eq!(
        ids(&get(&test.db, &of(Scope::Seller(OTHER))).await).len(),
        theirs.len()
    );

    let nobody = SellerId(Uuid::from_u128(1));
    assert!(
        get(&test.db, &of(Scope::Seller(nobody)))
            .await
            .deals
            .is_empty()
    );

    let buyer = Uuid::from_u128(5);
    grant(&test.db, OTHER, buyer).await;
    let seen = get(&test.db, &of(sellers(buyer))).await;
    assert_eq!(seen.deals.len(), theirs.len());
    assert!(
        seen.deals
            .iter()
            .all(|deal| deal.deal.deal.seller_id == OTHER)
    );
    assert!(
        get(&test.db, &of(sellers(Uuid::from_u128(6))))
            .await
            .deals
            .is_empty()
    );

    let filter = DealFilter {
        seller_ids: Some(vec![SELLER]),
        ..DealFilter::default()
    };

    let filtered = PageRequest {
        filter,
        ..of(sellers(buyer))
    };

    assert!(
        get(&test.db, &filtered).await.deals.is_empty(),
        "a filter opens nothing"
    );
}

async fn page_does_not_repeat_a_deal_that_moves_while_a_client_pages(test: TestDb) {
    let deals = fifty(&test.db).await;
    let first = get(
        &test.db,
        &PageRequest {
            window: window(10, false),
            ..everything(DealOrder::default())
        },
    )
    .await;
    // One of the first page and one of a later page change: both are now before the first page.
    write(&test.db, &[at(&deals[49], 2, 900), at(&deals[0], 2, 901)]).await;
    let after = Window {
        after: Some(first.deals[9].cursor),
        ..window(50, false)
    };

    let rest = get(
        &test.db,
        &PageRequest {
            window: after,
            ..everything(DealOrder::default())
        },
    )
    .await;

    let seen: Vec<_> = ids(&first).into_iter().chain(ids(&rest)).collect();
    assert_eq!(
        seen,
        (1..=49)
            .rev()
            .map(|index| deals[index].id)
            .collect::<Vec<_>>()
    );
}

/// Pages through everything, each time from the cursor's text.
async fn all_pages(db: &Db, request: PageRequest, limit: u32, backwards: bool) -> Vec<Deal> {
    let (mut deals, order) = (Vec::new(), request.order);
    let mut window = window(limit, backwards);
    loop {
        let page = get(
            db,
            &PageRequest {
                window,
                ..request.clone()
            },
        )
        .await;

        let more = if backwards {
            page.has_previous
        } else {
            page.has_next
        };

        let end = if backwards {
            page.deals.first()
        } else {
            page.deals.last()
        };

        let text = end
            .expect("a page of a full table has deals")
            .cursor
            .encode();
        let cursor = Cursor::decode(&text, order);
        assert!(cursor.is_some(), "{text} is a cursor of {order:?}");
        (window.after, window.before) = if backwards {
            (None, cursor)
        } else {
            (cursor, None)
        };

        let page = page
            .deals
            .into_iter()
            .map(|deal| Deal::clone(&deal.deal.deal));
        if backwards {
            deals.splice(0..0, page);
        } else {
            deals.extend(page);
        }

        if !more {
            return deals;
        }
    }
}
