//! The part of a statement that selects deals: those in scope that match a filter, in an order,
//! within a window.

use super::cursor::Cursor;
use super::order::{DealKey, DealOrder};
use super::request::{DealFilter, PageRequest, Scope};
use super::row::{COLUMNS, COLUMNS_OF_D};
use super::statement::Statement;
use crate::contract::DealStatus;
use crate::ids::SellerId;

/// Adds the selection of the deals of a request, and of one more.
pub(super) fn deals(sql: &mut Statement, request: &PageRequest) {
    match request.scope {
        Scope::Seller(seller) => {
            sql.text("SELECT ")
                .text(COLUMNS)
                .text(" FROM deal WHERE seller_id = ")
                .id(seller.0);

            first_of(sql, request);
        }
        // The first deals of each seller, read by the index, and of those the first ones. With one
        // condition over all sellers, the planner may choose to read every deal of theirs.
        Scope::Sellers { .. } => {
            sql.text("SELECT ").text(COLUMNS_OF_D).text(" FROM (");
            sellers(sql, request.scope);

            sql.either(
                ") s CROSS JOIN LATERAL (SELECT ",
                ") s JOIN deal d ON d.rowid IN (SELECT ",
            )
            .either(COLUMNS, "rowid")
            .text(" FROM deal WHERE seller_id = s.seller_id");

            first_of(sql, request);
            sql.either(") d", ")")
                .text(order_by(request))
                .text(" LIMIT ")
                .count(limit(request));
        }
    }
}

/// Adds the condition that a deal is in scope.
pub(super) fn within(sql: &mut Statement, scope: Scope) {
    match scope {
        Scope::Seller(seller) => {
            sql.text("seller_id = ").id(seller.0);
        }
        Scope::Sellers { .. } => {
            sql.text("seller_id IN (");
            sellers(sql, scope);
            sql.text(")");
        }
    }
}

/// Adds the selection of the sellers in scope, as column `seller_id`.
pub(super) fn sellers(sql: &mut Statement, scope: Scope) {
    match scope {
        Scope::Seller(seller) => {
            sql.text("SELECT ").id(seller.0).text(" AS seller_id");
        }
        Scope::Sellers { before, of, after } => {
            sql.text(before).id(of).text(after);
        }
    }
}

/// Adds the filter, the limits of the window, the order and the number of deals.
fn first_of(sql: &mut Statement, request: &PageRequest) {
    restrict(sql, &request.filter);
    for (cursor, beyond) in [(request.window.after, true), (request.window.before, false)] {
        let Some(Cursor { key, .. }) = cursor else {
            continue;
        };
        // "After" is further on in the order, which means smaller when the order descends.
        let less = (request.order != DealOrder::PriceAscending) == beyond;
        match key {
            DealKey::Change(sequence) => {
                sql.text(if less {
                    " AND sequence < "
                } else {
                    " AND sequence > "
                })
                .number(sequence as i64);
            }
            DealKey::Price(price, id) => {
                sql.text(" AND (total_price, id) ")
                    .text(if less { "< (" } else { "> (" });

                sql.number(price).text(", ").id(id).text(")");
            }
        }
    }

    sql.text(order_by(request))
        .text(" LIMIT ")
        .count(limit(request));
}

/// Returns the order, forwards or backwards through the same index.
pub(super) fn order_by(request: &PageRequest) -> &'static str {
    // Backwards pages read the order in reverse and are turned around afterwards.
    let descending = (request.order != DealOrder::PriceAscending) != request.window.backwards;
    match (request.order, descending) {
        (DealOrder::LastChangedFirst, true) => " ORDER BY sequence DESC",
        (DealOrder::LastChangedFirst, false) => " ORDER BY sequence",
        (_, true) => " ORDER BY total_price DESC, id DESC",
        (_, false) => " ORDER BY total_price, id",
    }
}

/// Returns the number of deals to read: one more than requested shows whether more follow.
fn limit(request: &PageRequest) -> u32 {
    request.window.limit + 1
}

fn restrict(sql: &mut Statement, filter: &DealFilter) {
    if let Some(sellers) = &filter.seller_ids {
        sql.text(" AND ");
        sql.any_of("seller_id", sellers, |sql, seller: SellerId| {
            sql.id(seller.0)
        });
    }

    if let Some(statuses) = &filter.statuses {
        sql.text(" AND ");
        sql.any_of("status", statuses, |sql, status: DealStatus| {
            sql.name(status.as_str())
        });
    }

    if let Some(currency) = filter.currency {
        sql.text(" AND currency = ")
            .name(currency.code().to_owned());
    }

    if let Some(price) = filter.min_total_price {
        sql.text(" AND total_price >= ").number(price.get());
    }

    if let Some(price) = filter.max_total_price {
        sql.text(" AND total_price <= ").number(price.get());
    }
}
