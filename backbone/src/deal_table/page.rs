//! Pages of deals by keyset.
//!
//! There is no OFFSET: page one thousand costs as much as page one, and a deal that moves while a
//! client pages is neither shown twice nor hides another.

use sqlx::FromRow;

use super::request::{
    Cursor, DealFilter, DealOrder, Page, PageDeal, PageRequest, Scope, StoredDeal,
};
use super::row::{COLUMNS, Row};
use super::statement::Statement;
use crate::Error;
use crate::contract::DealStatus;
use crate::db::Db;
use crate::ids::{DealId, SellerId};
use crate::on_db;
use crate::position::{Epoch, Position, Sequence};

/// Reads one deal, if it is in scope.
pub async fn find(db: &Db, scope: Scope, id: DealId) -> Result<Option<StoredDeal>, Error> {
    let mut sql = Statement::default();
    sql.text("SELECT ")
        .text(COLUMNS)
        .text(" FROM deal WHERE id = ")
        .id(id.0)
        .text(" AND ");

    within(&mut sql, scope);

    let row = on_db!(db.read(), postgres(pool) => {
        sql.for_postgres()
            .build_query_as::<Row>()
            .fetch_optional(pool)
            .await
    }, sqlite(pool) => {
        sql.for_sqlite()
            .build_query_as::<Row>()
            .fetch_optional(pool)
            .await
    });

    Ok(row?.map(StoredDeal::from))
}

/// Reads one page. `projection` is the name of the tables' row in table `projection`.
pub async fn page(db: &Db, projection: &'static str, request: &PageRequest) -> Result<Page, Error> {
    let statement = statement(projection, request);
    let rows = on_db!(db.read(), postgres(pool) => {
        let mut query = statement.for_postgres();
        query.build_query_as::<PageRow>().fetch_all(pool).await
    }, sqlite(pool) => {
        let mut query = statement.for_sqlite();
        query.build_query_as::<PageRow>().fetch_all(pool).await
    });

    let rows = rows?;

    // The checkpoint comes even when no deal does; see `statement`.
    let first = rows
        .first()
        .ok_or_else(|| Error::broken("read model", "its row in table projection is missing"))?;

    let position = Position::end_of(first.epoch, first.position as Sequence);

    let mut deals: Vec<PageDeal> = rows
        .into_iter()
        .filter_map(|row| row.deal)
        .map(|row| PageDeal {
            cursor: cursor(request.order, &row),
            deal: row.into(),
        })
        .collect();

    let window = request.window;
    let more = deals.len() > window.limit as usize;
    deals.truncate(window.limit as usize);

    // A backwards page was read in the opposite direction.
    if window.backwards {
        deals.reverse();
    }

    Ok(Page {
        deals,
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

/// Returns the engine's plan for reading a page, as text.
#[cfg(feature = "testkit")]
pub async fn plan(
    db: &Db,
    projection: &'static str,
    request: &PageRequest,
) -> Result<String, Error> {
    let statement = statement(projection, request);
    let lines: Result<Vec<String>, _> = on_db!(db.read(), postgres(pool) => {
        let mut query = statement.after("EXPLAIN ").for_postgres();
        query.build_query_scalar().fetch_all(pool).await
    }, sqlite(pool) => {
        let mut query = statement.after("EXPLAIN QUERY PLAN ").for_sqlite();
        let rows: Result<Vec<(i64, i64, i64, String)>, _> =
            query.build_query_as().fetch_all(pool).await;
        rows.map(|rows| rows.into_iter().map(|(.., line)| line).collect())
    });

    Ok(lines?.join("\n"))
}

fn cursor(order: DealOrder, row: &Row) -> Cursor {
    match order {
        DealOrder::LastChangedFirst => Cursor::Change(row.sequence as Sequence),
        DealOrder::PriceAscending | DealOrder::PriceDescending => {
            Cursor::Price(row.total_price.get(), row.id.0)
        }
    }
}

/// Builds the statement that reads a page: the projection's checkpoint, joined with at most one
/// more deal than requested. One statement reads one snapshot, and the checkpoint comes even when
/// no deal does.
fn statement(projection: &'static str, request: &PageRequest) -> Statement {
    let mut sql = Statement::default();
    // A LEFT JOIN keeps the projection's row when no deal matches.
    sql.text("SELECT p.epoch, p.position, d.* FROM projection p LEFT JOIN (");
    match request.scope {
        Scope::Seller(seller) => {
            sql.text("SELECT ")
                .text(COLUMNS)
                .text(" FROM deal WHERE seller_id = ")
                .id(seller.0);

            first_of(&mut sql, request);
        }
        // The first deals of each seller, read by the index, and of those the first ones. With one
        // condition over all sellers, the planner may choose to read every deal of theirs.
        Scope::Sellers { before, of, after } => {
            sql.text("SELECT d.* FROM (")
                .text(before)
                .id(of)
                .text(after);

            sql.either(
                ") s CROSS JOIN LATERAL (SELECT * FROM deal WHERE seller_id = s.seller_id",
                ") s JOIN deal d ON d.rowid IN (SELECT rowid FROM deal WHERE seller_id = s.seller_id",
            );

            first_of(&mut sql, request);
            sql.either(") d", ")")
                .text(order_by(request))
                .text(" LIMIT ")
                .count(limit(request));
        }
    }

    sql.text(") d ON TRUE WHERE p.name = ")
        .name(projection)
        .text(order_by(request));

    sql
}

/// Adds the filter, the limits of the window, the order and the number of deals.
fn first_of(sql: &mut Statement, request: &PageRequest) {
    restrict(sql, &request.filter);
    for (cursor, beyond) in [(request.window.after, true), (request.window.before, false)] {
        let Some(cursor) = cursor else { continue };
        // "After" is further on in the order, which means smaller when the order descends.
        let less = (request.order != DealOrder::PriceAscending) == beyond;
        match cursor {
            Cursor::Change(sequence) => {
                sql.text(if less {
                    " AND sequence < "
                } else {
                    " AND sequence > "
                })
                .number(sequence as i64);
            }
            Cursor::Price(price, id) => {
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
fn order_by(request: &PageRequest) -> &'static str {
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

fn within(sql: &mut Statement, scope: Scope) {
    match scope {
        Scope::Seller(seller) => sql.text("seller_id = ").id(seller.0),
        Scope::Sellers { before, of, after } => sql
            .text("seller_id IN (")
            .text(before)
            .id(of)
            .text(after)
            .text(")"),
    };
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
        sql.text(" AND currency = ").name(currency.code());
    }

    if let Some(price) = filter.min_total_price {
        sql.text(" AND total_price >= ").number(price.get());
    }

    if let Some(price) = filter.max_total_price {
        sql.text(" AND total_price <= ").number(price.get());
    }
}

/// A deal, if there is one, and the projection's checkpoint.
struct PageRow {
    epoch: Epoch,
    position: i64,
    deal: Option<Row>,
}

impl<'r, R> FromRow<'r, R> for PageRow
where
    R: sqlx::Row,
    &'static str: sqlx::ColumnIndex<R>,
    Row: FromRow<'r, R>,
    Epoch: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        // NULL in every column of the deal says that the join found none.
        let sequence: Option<i64> = row.try_get("sequence")?;
        let deal = match sequence {
            Some(_) => Some(Row::from_row(row)?),
            None => None,
        };

        Ok(Self {
            epoch: row.try_get("epoch")?,
            position: row.try_get("position")?,
            deal,
        })
    }
}
