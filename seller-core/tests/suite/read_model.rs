//! The seller tables: deals as the log has them, and the marks of example markets.

use backbone::contract::{Deal, DealFact, DealStatus, Fact, Subject};
use backbone::deal_table::{DealFilter, DealOrder, Window};
use seller_core::{DealUpdate, MutationContext, NewDeal, NewDiscount, NewItem, Patch};

use crate::market::{ANN, BOB, Market, renamed, timber};

on_both_backends!(
    tables_show_the_deals_that_were_written,
    page_shows_the_sellers_deals_and_its_position,
    deal_with_a_dead_event_stays_at_its_last_good_state,
    example_market_is_marked_as_begun_and_as_complete,
);

async fn tables_show_the_deals_that_were_written(market: Market) {
    let written = deals_of_every_shape(&market).await;
    for deal in &written {
        assert_eq!(
            market.stored(ANN, deal.id).await,
            None,
            "the projection has not run yet"
        );
    }

    market.catch_up().await;
    for deal in &written {
        assert_eq!(market.stored(ANN, deal.id).await.as_ref(), Some(deal));
    }

    // A new state replaces an old row, from several events in one batch.
    let removed = DealUpdate {
        discount: Patch::Remove,
        total_price: Some(0),
        status: Some(DealStatus::Available),
        items: Some(timber().items),
        ..renamed(&written[2], "Wood")
    };
    let update = |input| {
        market
            .side
            .update_deal(ANN, input, MutationContext::default())
    };
    update(removed).await.unwrap();
    market.clock.advance(std::time::Duration::from_secs(1));
    let last = update(renamed(&written[2], "Logs")).await.unwrap().deal;

    market.catch_up().await;
    assert_eq!((last.version, last.discount), (3, None));
    assert_eq!(market.stored(ANN, last.id).await, Some(last));
}

/// Creates deals with and without a discount, and at the bounds of prices, texts and items.
async fn deals_of_every_shape(market: &Market) -> Vec<Deal> {
    let max = (1 << 53) - 1;
    let fir = |price| NewItem {
        id: None,
        name: "fir 🌲".to_owned(),
        price,
    };
    let inputs = [
        timber(),
        NewDeal {
            discount: Some(NewDiscount::Percentage(12.34)),
            total_price: max,
            ..timber()
        },
        NewDeal {
            name: "Hölzer, \"beste\" \\ 木材 🌲".to_owned(),
            discount: Some(NewDiscount::Flat(1)),
            status: DealStatus::Withdrawn,
            items: (0..100).map(fir).collect(),
            ..timber()
        },
    ];

    let mut written = Vec::new();
    for input in inputs {
        let created = market
            .side
            .create_deal(ANN, input, MutationContext::default());
        written.push(created.await.unwrap().deal);
    }

    written
}

async fn page_shows_the_sellers_deals_and_its_position(market: Market) {
    let first = market.deal().await;
    let second = market.deal().await;
    let third = market.deal().await;

    market
        .side
        .create_deal(BOB, timber(), MutationContext::default())
        .await
        .unwrap();
    let last = market
        .side
        .update_deal(ANN, renamed(&first, "Wood"), MutationContext::default())
        .await
        .unwrap();
    let empty = market.page().await;
    assert!(empty.deals.is_empty() && empty.position.sequence == 0);
    market.catch_up().await;
    let page = market.page().await;
    let shown: Vec<&Deal> = page.deals.iter().map(|deal| &*deal.deal.deal).collect();
    assert_eq!(
        shown,
        [&last.deal, &third, &second],
        "most recently changed first"
    );
    assert_eq!(page.position, last.position);
    let filter = DealFilter {
        statuses: Some(vec![DealStatus::Available]),
        ..DealFilter::default()
    };
    let window = Window {
        limit: 1,
        backwards: false,
        after: Some(page.deals[0].cursor),
        before: None,
    };
    let next = market
        .side
        .deals(ANN, filter, DealOrder::LastChangedFirst, window)
        .await
        .unwrap();
    assert_eq!(*next.deals[0].deal.deal, third);
    assert_eq!(
        (next.deals.len(), next.has_next, next.has_previous),
        (1, true, true)
    );
}

async fn deal_with_a_dead_event_stays_at_its_last_good_state(market: Market) {
    let written = market
        .side
        .create_deal(ANN, timber(), MutationContext::default())
        .await
        .unwrap();
    let Fact::Deal(fact) = market.fact(written.position).await else {
        panic!("no deal's event")
    };
    let deal = Deal {
        name: "Unheard of".to_owned(),
        version: 3,
        ..written.deal.clone()
    };
    let subject = Subject::Deal {
        seller: ANN,
        deal: deal.id,
    };
    market
        .force(
            subject,
            Fact::Deal(DealFact {
                revision: 3,
                deal,
                ..fact
            }),
        )
        .await;
    let other = market.deal().await;
    let checkpoint = market.catch_up().await;
    assert_eq!(
        checkpoint.position,
        market.log.head().await.unwrap(),
        "later events are applied"
    );
    assert_eq!(
        market.stored(ANN, written.deal.id).await,
        Some(written.deal)
    );
    assert_eq!(market.stored(ANN, other.id).await, Some(other));
}

async fn example_market_is_marked_as_begun_and_as_complete(market: Market) {
    let marked = async || market.side.seeding("demo").await.unwrap();
    assert_eq!(marked().await, None);
    market.side.begin_seeding("demo").await.unwrap();
    assert_eq!(marked().await, Some(false));
    market.side.end_seeding("demo").await.unwrap();
    market.side.begin_seeding("demo").await.unwrap();
    assert_eq!(
        marked().await,
        Some(true),
        "a complete example stays complete"
    );
    assert_eq!(market.side.seeding("other").await.unwrap(), None);
}
