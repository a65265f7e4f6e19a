//! Deals, scopes and requests that the tests of pages and filters share.

use backbone::contract::{Deal, DealStatus};
use backbone::db::Db;
use backbone::deal_table::{DealFilter, DealOrder, Page, PageRequest, Scope, Window, page};
use backbone::ids::SellerId;
use backbone::on_db;
use uuid::Uuid;

use super::{at, write};
use crate::deals::{SELLER, deal, units};

pub(super) const ORDERS: [DealOrder; 3] = [
    DealOrder::LastChangedFirst,
    DealOrder::PriceAscending,
    DealOrder::PriceDescending,
];
pub(super) const OTHER: SellerId = SellerId(Uuid::from_u128(0x07e5));

pub(super) async fn grant(db: &Db, seller: SellerId, buyer: Uuid) {
    let grant = "INSERT INTO access (seller_id, buyer_id, granted, since, revision) VALUES ($1, $2, TRUE, $3, 1)";
    on_db!(db.write(), pool => sqlx::query(grant)
        .bind(seller).bind(buyer).bind(crate::deals::NOW).execute(pool).await.map(|_| ()))
    .expect("access can be granted");
}

/// Returns the scope of the sellers that granted access to a buyer.
pub(super) fn sellers(of: Uuid) -> Scope {
    Scope::Sellers {
        before: "SELECT seller_id FROM access WHERE granted AND buyer_id = ",
        of,
        after: "",
    }
}

/// Writes fifty deals, many with equal prices, changed in the order of their numbers. Their ids are
/// in a different order.
pub(super) async fn fifty(db: &Db) -> Vec<Deal> {
    let deals: Vec<Deal> = (1..=50)
        .map(|number: u32| Deal {
            total_price: units(i64::from(number % 5) * 100),
            status: DealStatus::ALL[number as usize % 4],
            currency: if number.is_multiple_of(3) {
                "EUR"
            } else {
                "GBP"
            }
            .parse()
            .expect("a currency"),
            ..deal(u128::from(number.reverse_bits()) << 96 | u128::from(number))
        })
        .collect();

    write(
        db,
        &deals
            .iter()
            .zip(100..)
            .map(|(deal, sequence)| at(deal, 1, sequence))
            .collect::<Vec<_>>(),
    )
    .await;

    deals
}

pub(super) fn sorted(deals: &[Deal], order: DealOrder) -> Vec<Deal> {
    let mut deals = deals.to_vec();
    if order != DealOrder::LastChangedFirst {
        deals.sort_by_key(|deal| (deal.total_price, deal.id));
    }

    if order != DealOrder::PriceAscending {
        deals.reverse();
    }

    deals
}

pub(super) fn everything(order: DealOrder) -> PageRequest {
    let scope = Scope::Seller(SELLER);
    PageRequest {
        scope,
        filter: DealFilter::default(),
        order,
        window: window(100, false),
    }
}

pub(super) fn window(limit: u32, backwards: bool) -> Window {
    Window {
        limit,
        backwards,
        after: None,
        before: None,
    }
}

pub(super) fn ids(page: &Page) -> Vec<backbone::ids::DealId> {
    page.deals.iter().map(|deal| deal.deal.deal.id).collect()
}

pub(super) async fn get(db: &Db, request: &PageRequest) -> Page {
    page(db, "seller", request)
        .await
        .expect("a page can be read")
}
