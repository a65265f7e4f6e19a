//! The deal table on both engines: what is written is what is found, a page at a time, in every
//! order.

mod filters;
mod fixture;
mod pages;
mod plans;

use std::sync::Arc;

use backbone::contract::{Deal, DealStatus, Item};
use backbone::db::Db;
use backbone::deal_table::{self, Scope, Write};
use backbone::ids::{DealId, ItemId, SellerId};
use backbone::money::{BasisPoints, Discount, MinorUnits};
use backbone::time::Timestamp;
use uuid::Uuid;

use crate::databases::{TestDb, on_both_engines};
use crate::deals::{SELLER, deal, units};

on_both_engines! {
    deal_table_stores_every_column,
    deal_table_replaces_earlier_states_and_ignores_them_afterwards,
    deal_table_writes_many_deals_at_once,
    deal_table_returns_revisions_of_deals_that_have_a_row,
    deal_table_loses_what_is_not_committed,
}

async fn deal_table_stores_every_column(test: TestDb) {
    let percentage = |percentage| Discount::Percentage {
        basis_points: BasisPoints::from_percentage(percentage).expect("two decimals at most"),
    };

    let discounts = [
        None,
        Some(Discount::Flat { amount: units(0) }),
        Some(Discount::Flat {
            amount: MinorUnits::MAX,
        }),
        Some(percentage(0.0)),
        Some(percentage(12.34)),
        Some(percentage(100.0)),
    ];

    let mut deals: Vec<Deal> = discounts
        .into_iter()
        .zip(1..)
        .map(|(discount, number)| Deal {
            discount,
            ..deal(number)
        })
        .collect();

    deals.extend(
        DealStatus::ALL
            .into_iter()
            .zip(11..)
            .map(|(status, number)| Deal {
                status,
                ..deal(number)
            }),
    );

    deals.push(Deal {
        seller_id: SellerId(Uuid::from_u128(u128::MAX)),
        name: "O'Hara \"quoted\" \\ naïve 💥\n{null} $1 null".to_owned(),
        total_price: MinorUnits::MAX,
        currency: "JPY".parse().expect("JPY is a currency"),
        items: (1..=100).map(item).collect(),
        version: i32::MAX as u32,
        created_at: Timestamp::from_micros(-1),
        updated_at: Timestamp::from_micros(4_102_444_800_000_001),
        ..deal(21)
    });

    deals.push(Deal {
        name: "null".to_owned(),
        items: vec![],
        total_price: units(0),
        ..deal(22)
    });

    write(
        &test.db,
        &deals.iter().map(|deal| at(deal, 1, 7)).collect::<Vec<_>>(),
    )
    .await;

    for deal in deals {
        let found = deal_table::find(&test.db, Scope::Seller(deal.seller_id), deal.id)
            .await
            .expect("the table is there");

        let found = found.expect("it was written");
        assert_eq!((&*found.deal, found.sequence), (&deal, 7));
    }

    let unknown =
        deal_table::find(&test.db, Scope::Seller(SELLER), DealId(Uuid::from_u128(99))).await;
    assert_eq!(unknown.expect("the table is there"), None);
}

async fn deal_table_replaces_earlier_states_and_ignores_them_afterwards(test: TestDb) {
    let first = Deal {
        discount: Some(Discount::Flat { amount: units(1) }),
        ..deal(1)
    };

    let second = Deal {
        name: "second".to_owned(),
        total_price: units(2),
        status: DealStatus::Sold,
        discount: None,
        items: vec![item(7), item(8)],
        version: 2,
        updated_at: Timestamp::from_micros(2),
        ..deal(1)
    };

    write(&test.db, &[at(&first, 1, 10)]).await;
    write(&test.db, &[at(&second, 2, 20)]).await;
    assert_eq!(found(&test.db, 1).await, second);
    for late in [10, 19, 20] {
        write(&test.db, &[at(&first, 1, late)]).await;
        assert_eq!(found(&test.db, 1).await, second, "a state of {late}");
    }

    write(&test.db, &[at(&first, 3, 21)]).await;
    assert_eq!(
        found(&test.db, 1).await,
        first,
        "a later state, whatever it is"
    );
}

async fn deal_table_writes_many_deals_at_once(test: TestDb) {
    write(&test.db, &[]).await;
    let deals: Vec<Deal> = (1..=1_000).map(deal).collect();
    write(
        &test.db,
        &deals.iter().map(|deal| at(deal, 1, 5)).collect::<Vec<_>>(),
    )
    .await;

    for number in [1, 500, 1_000] {
        assert_eq!(found(&test.db, number).await, deal(number));
    }
}

async fn deal_table_returns_revisions_of_deals_that_have_a_row(test: TestDb) {
    write(
        &test.db,
        &[
            at(&deal(1), 7, 10),
            at(&deal(2), 9, 11),
            at(&deal(3), 1, 12),
        ],
    )
    .await;

    let ids = [1, 2, 4].map(|number| deal(number).id);
    let mut tx = test.db.begin().await.expect("the database is up");
    let revisions = deal_table::revisions(&mut tx, &ids)
        .await
        .expect("the table is there");

    assert_eq!(revisions, [(ids[0], 7), (ids[1], 9)].into());
    assert!(
        deal_table::revisions(&mut tx, &[])
            .await
            .expect("the table is there")
            .is_empty()
    );
}

async fn deal_table_loses_what_is_not_committed(test: TestDb) {
    let mut tx = test.db.begin().await.expect("the database is up");
    deal_table::upsert(&mut tx, &[at(&deal(1), 1, 1)])
        .await
        .expect("it can be written");

    drop(tx);
    assert_eq!(
        deal_table::find(&test.db, Scope::Seller(SELLER), deal(1).id)
            .await
            .expect("the table is there"),
        None
    );

    write(&test.db, &[at(&deal(1), 1, 1)]).await;
    assert_eq!(found(&test.db, 1).await, deal(1));
}

fn at(deal: &Deal, revision: u64, sequence: u64) -> Write<'_> {
    Write {
        deal,
        revision,
        sequence,
    }
}

async fn write(db: &Db, rows: &[Write<'_>]) {
    let mut tx = db.begin().await.expect("the database is up");
    deal_table::upsert(&mut tx, rows)
        .await
        .expect("the deals can be written");

    tx.commit().await.expect("the deals can be committed");
}

async fn found(db: &Db, number: u128) -> Deal {
    let found = deal_table::find(db, Scope::Seller(SELLER), deal(number).id).await;
    let found = found.expect("the table is there").expect("it was written");

    Arc::unwrap_or_clone(found.deal)
}

fn item(number: u32) -> Item {
    let id = ItemId(Uuid::from_u128(number.into()));
    Item {
        id,
        name: format!("item {number} \u{1}\""),
        price: units(number.into()),
    }
}
