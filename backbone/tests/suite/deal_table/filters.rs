//! Filters of the deal table: each yields exactly the deals that meet its conditions.

use backbone::contract::{Deal, DealStatus};
use backbone::db::Db;
use backbone::deal_table::{DealFilter, PageRequest};
use backbone::ids::SellerId;

use super::fixture::{ORDERS, OTHER, everything, fifty, get, sorted};
use crate::databases::{TestDb, on_both_engines};
use crate::deals::{SELLER, units};

on_both_engines! {
    filter_by_seller_yields_the_deals_of_these_sellers,
    filter_by_status_yields_the_deals_with_these_statuses,
    filter_by_currency_and_price_yields_the_deals_in_the_range,
}

async fn filter_by_seller_yields_the_deals_of_these_sellers(test: TestDb) {
    let deals = fifty(&test.db).await;
    let of = |sellers: &[SellerId]| DealFilter {
        seller_ids: Some(sellers.to_vec()),
        ..DealFilter::default()
    };

    check(&test.db, &deals, DealFilter::default(), |_| true).await;
    check(&test.db, &deals, of(&[SELLER]), |_| true).await;
    check(&test.db, &deals, of(&[OTHER]), |_| false).await;
    check(&test.db, &deals, of(&[OTHER, SELLER]), |_| true).await;
    check(&test.db, &deals, of(&[]), |_| false).await;
}

async fn filter_by_status_yields_the_deals_with_these_statuses(test: TestDb) {
    let deals = fifty(&test.db).await;
    let with = |statuses: &[DealStatus]| DealFilter {
        statuses: Some(statuses.to_vec()),
        ..DealFilter::default()
    };

    check(&test.db, &deals, with(&[DealStatus::Sold]), |deal| {
        deal.status == DealStatus::Sold
    })
    .await;

    let two = [DealStatus::Available, DealStatus::Withdrawn];
    check(&test.db, &deals, with(&two), |deal| {
        two.contains(&deal.status)
    })
    .await;

    check(&test.db, &deals, with(&[]), |_| false).await;
}

async fn filter_by_currency_and_price_yields_the_deals_in_the_range(test: TestDb) {
    let deals = fifty(&test.db).await;
    let gbp = DealFilter {
        currency: Some("GBP".parse().expect("GBP is a currency")),
        ..DealFilter::default()
    };

    check(&test.db, &deals, gbp.clone(), |deal| {
        deal.currency.code() == "GBP"
    })
    .await;

    let range = DealFilter {
        min_total_price: Some(units(200)),
        max_total_price: Some(units(300)),
        ..gbp.clone()
    };

    check(&test.db, &deals, range, |deal| {
        deal.currency.code() == "GBP" && (200..=300).contains(&deal.total_price.get())
    })
    .await;

    let two = vec![DealStatus::Available, DealStatus::Withdrawn];
    let every_condition = DealFilter {
        seller_ids: Some(vec![SELLER]),
        statuses: Some(two.clone()),
        min_total_price: Some(units(100)),
        max_total_price: Some(units(400)),
        ..gbp
    };

    check(&test.db, &deals, every_condition, |deal| {
        two.contains(&deal.status)
            && deal.currency.code() == "GBP"
            && (100..=400).contains(&deal.total_price.get())
    })
    .await;
}

/// Compares a filter with the same condition in Rust, in every order.
async fn check(db: &Db, deals: &[Deal], filter: DealFilter, keep: impl Fn(&Deal) -> bool) {
    for order in ORDERS {
        let page = get(
            db,
            &PageRequest {
                filter: filter.clone(),
                ..everything(order)
            },
        )
        .await;

        let expected: Vec<_> = sorted(deals, order)
            .into_iter()
            .filter(|deal| keep(deal))
            .collect();

        let found: Vec<_> = page.deals.iter().map(|deal| &*deal.deal.deal).collect();
        assert_eq!(
            found,
            expected.iter().collect::<Vec<_>>(),
            "{order:?} {filter:?}"
        );
    }
}
