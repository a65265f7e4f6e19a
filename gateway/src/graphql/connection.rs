//! Relay connections: pages of deals with their cursors, and the windows that clients ask for.

use async_graphql::{Object, SimpleObject};
use backbone::FieldError;
use backbone::deal_table::{self, Cursor, DealOrder, PageDeal, Window};
use documents::object;
use uuid::Uuid;

use super::deal::Deal;
use super::scalars::Position;
use crate::error::Problem;

/// Size of a page if the client names none.
pub(super) const DEFAULT_PAGE: i32 = 20;

/// Largest size of a page: it bounds what one request can make the database read.
pub(super) const MAX_PAGE: i32 = 100;

/// Message for a page size that is out of range; names [`MAX_PAGE`].
pub(super) const PAGE_OUT_OF_RANGE: &str = "must be between 0 and 100";

/// Position of a page within its list (Relay cursor connections).
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// True if the list goes on after this page.
    pub(super) has_next_page: bool,
    /// True if the list has entries before this page.
    pub(super) has_previous_page: bool,
    /// Cursor of the first entry; null if the page is empty.
    pub(super) start_cursor: Option<String>,
    /// Cursor of the last entry; null if the page is empty.
    pub(super) end_cursor: Option<String>,
}

object!(PageInfo as "PageInfo", |page| {
    "hasNextPage" => page.has_next_page,
    "hasPreviousPage" => page.has_previous_page,
    "startCursor" => page.start_cursor,
    "endCursor" => page.end_cursor,
});

/// One deal of a page, with its cursor.
#[derive(SimpleObject)]
pub(super) struct DealEdge {
    /// Cursor of the deal, for the arguments after and before. Valid only for the order that it was returned with.
    cursor: String,
    /// The deal.
    node: Deal,
}

object!(DealEdge as "DealEdge", |edge| {
    "cursor" => edge.cursor,
    "node" => edge.node,
});

pub(super) struct DealConnection(pub(super) deal_table::Page);

impl DealConnection {
    // Built when they are asked for: most clients select either edges or nodes, and not all of them the cursors.
    fn edge_list(&self) -> Vec<DealEdge> {
        let edge = |entry: &PageDeal| DealEdge {
            cursor: entry.cursor.encode(),
            node: Deal(entry.deal.clone()),
        };
        self.0.deals.iter().map(edge).collect()
    }

    fn node_list(&self) -> Vec<Deal> {
        let deals = self.0.deals.iter();
        deals.map(|entry| Deal(entry.deal.clone())).collect()
    }

    fn place(&self) -> PageInfo {
        let cursor = |entry: Option<&PageDeal>| entry.map(|entry| entry.cursor.encode());

        PageInfo {
            has_next_page: self.0.has_next,
            has_previous_page: self.0.has_previous,
            start_cursor: cursor(self.0.deals.first()),
            end_cursor: cursor(self.0.deals.last()),
        }
    }
}

object!(DealConnection as "DealConnection", |page| {
    "edges" => page.edge_list(),
    "nodes" => page.node_list(),
    "pageInfo" => page.place(),
    "position" => Position::from(page.0.position),
});

/// A page of deals.
#[Object]
impl DealConnection {
    /// Deals of the page with their cursors.
    async fn edges(&self) -> Vec<DealEdge> {
        self.edge_list()
    }

    /// Deals of the page.
    async fn nodes(&self) -> Vec<Deal> {
        self.node_list()
    }

    /// Position of the page in the list.
    async fn page_info(&self) -> PageInfo {
        self.place()
    }

    /// Position of the log that this page shows. To go on with live changes, subscribe after the position of the *first*
    /// page that you read: no change is missed. A change that a later page includes already may be pushed again; keep
    /// the deal with the higher version.
    async fn position(&self) -> Position {
        self.0.position.into()
    }
}

/// Arguments by which a client names a window of deals.
pub(super) struct WindowArgs {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl WindowArgs {
    /// Checks the arguments for a list in this order.
    ///
    /// # Errors
    /// BAD_USER_INPUT with every violation.
    pub(super) fn check(self, order: DealOrder) -> Result<Window, Problem> {
        let mut errors = Vec::new();

        if self.first.is_some() && self.last.is_some() {
            errors.push(FieldError::new("last", "must not be combined with first"));
        }

        for (path, count) in [("first", self.first), ("last", self.last)] {
            if count.is_some_and(|count| !(0..=MAX_PAGE).contains(&count)) {
                errors.push(FieldError::new(path, PAGE_OUT_OF_RANGE));
            }
        }

        let mut cursor = |path: &str, text: Option<String>| {
            let text = text?;
            let cursor = Cursor::decode(&text, order);
            if cursor.is_none() {
                errors.push(FieldError::new(
                    path,
                    "must be a cursor of this list in this order",
                ));
            }
            cursor
        };
        let after = cursor("after", self.after);
        let before = cursor("before", self.before);

        if !errors.is_empty() {
            return Err(Problem::inputs(errors));
        }

        let limit = self.first.or(self.last).unwrap_or(DEFAULT_PAGE);

        Ok(Window {
            limit: limit.unsigned_abs(),
            backwards: self.last.is_some(),
            after,
            before,
        })
    }
}

/// Checks the window of a list that is ordered by id: the size of the page, and the id after which it begins.
///
/// # Errors
/// BAD_USER_INPUT for a size out of range or a malformed cursor.
pub(super) fn id_window(
    first: Option<i32>,
    after: Option<String>,
) -> Result<(u32, Option<Uuid>), Problem> {
    let count = first.unwrap_or(DEFAULT_PAGE);
    if !(0..=MAX_PAGE).contains(&count) {
        return Err(Problem::input("first", PAGE_OUT_OF_RANGE));
    }

    let after = after.map(|text| Uuid::parse_str(&text)).transpose();
    let after = after.map_err(|_| Problem::input("after", "must be a cursor of this list"))?;

    Ok((count.unsigned_abs(), after))
}
