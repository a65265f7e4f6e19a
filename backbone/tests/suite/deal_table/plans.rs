//! How PostgreSQL reads pages of a million deals: by an index, whatever is asked.

use backbone::contract::DealStatus;
use backbone::deal_table::{DealFilter, DealOrder, PageRequest, Scope, Window, plan};
use backbone::ids::SellerId;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::databases::TestDb;
use crate::deals::units;

/// Half of the deals are the first seller's, the rest is spread over a thousand. One status is
/// rare. One buyer may see three hundred sellers, another one only the largest.
const FILL: [&str; 4] = [
    "INSERT INTO deal
     SELECT gen_random_uuid(), ('00000000-0000-0000-0000-' || lpad(seller::text, 12, '0'))::uuid, 'deal ' || n,
            n::bigint * 7919 % 1000000, (ARRAY['GBP', 'EUR', 'USD'])[1 + n % 3],
            CASE WHEN n % 1000 = 0 THEN 'WITHDRAWN' WHEN n % 4 = 0 THEN 'SOLD' ELSE 'AVAILABLE' END,
            NULL, '[]', 1, 1, n, now(), now()
       FROM generate_series(1, 1000000) n, LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 1 ELSE 1 + n % 1000 END) s(seller)",
    "INSERT INTO access (seller_id, buyer_id, granted, since, revision)
     SELECT ('00000000-0000-0000-0000-' || lpad(seller::text, 12, '0'))::uuid,
            '00000000-0000-0000-0000-00000000b001', TRUE, now(), 1 FROM generate_series(1, 300) seller",
    "INSERT INTO access (seller_id, buyer_id, granted, since, revision)
     VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000b002', TRUE, now(), 1)",
    "ANALYZE",
];

#[tokio::test]
async fn plans_read_a_million_deals_by_an_index_in_every_order_under_every_filter() {
    let test = TestDb::postgres().await;
    let mut connection = PgConnection::connect(test.url().expect("PostgreSQL has one"))
        .await
        .expect("PostgreSQL is up");

    for statement in FILL {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect("the tables can be filled");
    }

    let largest = SellerId(Uuid::from_u128(1));
    let buyer = |number: u128| Scope::Sellers {
        before: "SELECT seller_id FROM access WHERE granted AND buyer_id = ",
        of: Uuid::from_u128(0xb000 + number),
        after: "",
    };

    let currency = Some("GBP".parse().expect("a currency"));
    let filters = [
        DealFilter {
            currency,
            ..DealFilter::default()
        },
        DealFilter {
            currency,
            statuses: Some(vec![DealStatus::Available]),
            ..DealFilter::default()
        },
        DealFilter {
            currency,
            statuses: Some(vec![DealStatus::Withdrawn]),
            ..DealFilter::default()
        },
        DealFilter {
            currency,
            min_total_price: Some(units(1_000)),
            max_total_price: Some(units(500_000)),
            ..DealFilter::default()
        },
        DealFilter {
            currency,
            seller_ids: Some(vec![largest]),
            ..DealFilter::default()
        },
    ];

    for order in [
        DealOrder::LastChangedFirst,
        DealOrder::PriceAscending,
        DealOrder::PriceDescending,
    ] {
        let bare = (order == DealOrder::LastChangedFirst).then(DealFilter::default);
        for filter in filters.iter().cloned().chain(bare) {
            for scope in [Scope::Seller(largest), buyer(1), buyer(2)] {
                for backwards in [false, true] {
                    let window = Window {
                        limit: 20,
                        backwards,
                        after: None,
                        before: None,
                    };

                    let request = PageRequest {
                        scope,
                        filter: filter.clone(),
                        order,
                        window,
                    };

                    let plan = plan(&test.db, "seller", &request)
                        .await
                        .expect("PostgreSQL is up");

                    let by_index =
                        plan.contains("using deal_by_") && !plan.contains("Seq Scan on deal");
                    assert!(by_index, "{request:?}\n{plan}");
                    // In the order of the index, except for what is rare: then all of it is read
                    // and sorted.
                    let rare = filter.statuses.as_deref() == Some(&[DealStatus::Withdrawn]);
                    assert!(
                        rare || !plan.contains("Bitmap Heap Scan on deal"),
                        "{request:?}\n{plan}"
                    );
                }
            }
        }
    }
}
