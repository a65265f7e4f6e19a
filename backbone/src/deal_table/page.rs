//! Pages of deals by keyset: no OFFSET, so page one thousand costs what page one does, and a row that moves while
//! somebody pages is neither shown twice nor does it push another out of sight.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::FromRow;
use uuid::Uuid;

use super::Row;
use super::statement::Statement;
use crate::Error;
use crate::contract::{Deal, DealStatus};
use crate::db::Db;
use crate::ids::{DealId, SellerId};
use crate::money::{Currency, MinorUnits};
use crate::on_db;
use crate::position::{Epoch, Position, Sequence};

/// The columns of [`Row`].
const COLUMNS: &str = "id, seller_id, name, total_price, currency, status, discount, items, version, created_at, updated_at";

/// Whose deals a reader may see.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// The deals of one seller.
    Seller(SellerId),
    /// The deals of the sellers that a query of one parameter yields: SQL text before the parameter and after it.
    Sellers {
        /// Text before the parameter.
        before: &'static str,
        /// The parameter.
        of: Uuid,
        /// Text after the parameter.
        after: &'static str,
    },
}

/// Which deals. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealFilter {
    /// Of these sellers.
    pub seller_ids: Option<Vec<SellerId>>,
    /// In one of these states.
    pub statuses: Option<Vec<DealStatus>>,
    /// In this currency.
    pub currency: Option<Currency>,
    /// From this total price on; needs `currency`.
    pub min_total_price: Option<MinorUnits>,
    /// Up to this total price; needs `currency`.
    pub max_total_price: Option<MinorUnits>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DealOrder {
    /// The deal that changed last comes first.
    #[default]
    LastChangedFirst,
    /// By total price, then id; needs `currency`.
    PriceAscending,
    /// The reverse of the former.
    PriceDescending,
}

/// A place in an order, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In [`DealOrder::LastChangedFirst`].
    Change(Sequence),
    /// In the price orders.
    Price(i64, Uuid),
}

impl Cursor {
    /// The text that clients send back.
    pub fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(25);
        match self {
            Self::Change(sequence) => {
                bytes.push(b'c');
                bytes.extend(sequence.to_be_bytes());
            }
            Self::Price(price, id) => {
                bytes.push(b'p');
                bytes.extend(price.to_be_bytes());
                bytes.extend(id.as_bytes());
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Cursor::encode`] wrote for this order; `None` for anything else.
    pub fn decode(text: &str, order: DealOrder) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        match (order, bytes.as_slice()) {
            (DealOrder::LastChangedFirst, [b'c', sequence @ ..]) => {
                let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
                i64::try_from(sequence).ok().map(|_| Self::Change(sequence))
            }
            (DealOrder::PriceAscending | DealOrder::PriceDescending, [b'p', rest @ ..]) => {
                let (price, id) = rest.split_first_chunk::<8>()?;
                Some(Self::Price(
                    i64::from_be_bytes(*price),
                    Uuid::from_slice(id).ok()?,
                ))
            }
            _ => None,
        }
    }
}

/// How many, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// At most this many.
    pub limit: u32,
    /// The last ones of the order rather than the first; still returned in the order's direction.
    pub backwards: bool,
    /// Only what comes after it.
    pub after: Option<Cursor>,
    /// Only what comes before it.
    pub before: Option<Cursor>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Whose deals.
    pub scope: Scope,
    /// Which of them.
    pub filter: DealFilter,
    /// In which order.
    pub order: DealOrder,
    /// How many, and from where.
    pub window: Window,
}

/// A page and the point of the log that it shows, from one snapshot.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order.
    pub deals: Vec<(Cursor, Deal)>,
    /// There is more after it.
    pub has_next: bool,
    /// There is more before it.
    pub has_previous: bool,
    /// The end of the last event in the tables.
    pub position: Position,
}

/// One deal, if it is in scope.
pub async fn find(db: &Db, scope: Scope, id: DealId) -> Result<Option<Deal>, Error> {
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
    Ok(row?.map(Deal::from))
}

/// Reads one page. `projection` names the tables' row of table `projection`.
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
    let first = rows
        .first()
        .ok_or_else(|| Error::broken("read model", "its projection row is missing"))?;
    let position = Position::end_of(first.epoch, first.position as Sequence);
    let mut deals: Vec<(Cursor, Deal)> = rows
        .into_iter()
        .filter_map(|row| row.deal)
        .map(|(at, row)| (cursor(request.order, at, &row), row.into()))
        .collect();
    let window = request.window;
    let more = deals.len() > window.limit as usize;
    deals.truncate(window.limit as usize);
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

/// How the engine would read a page: its plan, as text.
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

fn cursor(order: DealOrder, sequence: Sequence, row: &Row) -> Cursor {
    match order {
        DealOrder::LastChangedFirst => Cursor::Change(sequence),
        DealOrder::PriceAscending | DealOrder::PriceDescending => {
            Cursor::Price(row.total_price.get(), row.id.0)
        }
    }
}

/// The projection's place, joined with at most one more deal than asked for: one statement, so one snapshot, and
/// the place comes even when there is no deal.
fn statement(projection: &'static str, request: &PageRequest) -> Statement {
    let mut sql = Statement::default();
    sql.text("SELECT p.epoch, p.position, d.* FROM projection p LEFT JOIN (");
    match request.scope {
        Scope::Seller(seller) => {
            sql.text("SELECT sequence, ")
                .text(COLUMNS)
                .text(" FROM deal WHERE seller_id = ")
                .id(seller.0);
            first_of(&mut sql, request);
        }
        // The first ones of each seller by the index, and of those the first: what the planner makes of one condition
        // over all sellers may read every deal of theirs.
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

/// What is left of some deals, and the first of it in the order of the page.
fn first_of(sql: &mut Statement, request: &PageRequest) {
    restrict(sql, &request.filter);
    for (cursor, beyond) in [(request.window.after, true), (request.window.before, false)] {
        let Some(cursor) = cursor else { continue };
        // "After" is further on in the order, which is less when the order descends.
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

/// One way or the other through the same index.
fn order_by(request: &PageRequest) -> &'static str {
    let descending = (request.order != DealOrder::PriceAscending) != request.window.backwards;
    match (request.order, descending) {
        (DealOrder::LastChangedFirst, true) => " ORDER BY sequence DESC",
        (DealOrder::LastChangedFirst, false) => " ORDER BY sequence",
        (_, true) => " ORDER BY total_price DESC, id DESC",
        (_, false) => " ORDER BY total_price, id",
    }
}

/// One more than asked for tells whether there is more.
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

/// A deal, if there is one, beside the projection's place.
struct PageRow {
    epoch: Epoch,
    position: i64,
    deal: Option<(Sequence, Row)>,
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
        let sequence: Option<i64> = row.try_get("sequence")?;
        let deal = match sequence {
            Some(sequence) => Some((sequence as Sequence, Row::from_row(row)?)),
            None => None,
        };
        Ok(Self {
            epoch: row.try_get("epoch")?,
            position: row.try_get("position")?,
            deal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let change = Cursor::Change(77);
        let price = Cursor::Price(12, Uuid::from_u128(9));
        assert_eq!(
            Cursor::decode(&change.encode(), DealOrder::LastChangedFirst),
            Some(change)
        );
        assert_eq!(
            Cursor::decode(&price.encode(), DealOrder::PriceDescending),
            Some(price)
        );
        assert_eq!(
            Cursor::decode(&change.encode(), DealOrder::PriceAscending),
            None
        );
        assert_eq!(
            Cursor::decode(&price.encode(), DealOrder::LastChangedFirst),
            None
        );
        assert_eq!(Cursor::decode("garbage", DealOrder::LastChangedFirst), None);
    }
}
