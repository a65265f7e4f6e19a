//! Relay connections: of deals, with their cursors, and the windows that a caller asks for.

use async_graphql::SimpleObject;
use backbone::FieldError;
use backbone::deal_table::{self, Cursor, DealOrder, Window};
use uuid::Uuid;

use super::deal::Deal;
use super::scalars::Position;
use crate::error::Problem;

/// Deals on a page when the caller names no number.
const DEFAULT_PAGE: i32 = 20;
/// The most on one page.
const MAX_PAGE: i32 = 100;

#[derive(SimpleObject)]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) has_previous_page: bool,
    pub(super) start_cursor: Option<String>,
    pub(super) end_cursor: Option<String>,
}

#[derive(SimpleObject)]
pub(super) struct DealEdge {
    cursor: String,
    node: Deal,
}

#[derive(SimpleObject)]
pub(super) struct DealConnection {
    edges: Vec<DealEdge>,
    nodes: Vec<Deal>,
    page_info: PageInfo,
    /// The point of the log that this page shows. Subscribe after the position of the *first* page and nothing is
    /// missed; a change already in a later page may come again: keep the higher version.
    position: Position,
}

impl From<deal_table::Page> for DealConnection {
    fn from(page: deal_table::Page) -> Self {
        let cursor = |deal: Option<&(Cursor, _)>| deal.map(|(cursor, _)| cursor.encode());
        let page_info = PageInfo {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: cursor(page.deals.first()),
            end_cursor: cursor(page.deals.last()),
        };
        let (edges, nodes) = page
            .deals
            .into_iter()
            .map(|(cursor, deal)| {
                let deal = std::sync::Arc::new(deal);
                (
                    DealEdge {
                        cursor: cursor.encode(),
                        node: Deal(deal.clone()),
                    },
                    Deal(deal),
                )
            })
            .unzip();
        Self {
            edges,
            nodes,
            page_info,
            position: page.position.into(),
        }
    }
}

/// What a caller says of the window.
pub(super) struct WindowArgs {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl WindowArgs {
    /// Judges it; every violation is told.
    pub(super) fn check(self, order: DealOrder) -> Result<Window, Problem> {
        let mut wrong = Vec::new();
        let mut field = |path: &str, message: &str| {
            wrong.push(FieldError {
                path: path.to_owned(),
                message: message.to_owned(),
            });
        };
        if self.first.is_some() && self.last.is_some() {
            field("last", "cannot be given with first");
        }
        for (path, count) in [("first", self.first), ("last", self.last)] {
            if count.is_some_and(|count| !(0..=MAX_PAGE).contains(&count)) {
                field(path, "is not in 0 … 100");
            }
        }
        let mut cursor = |path: &str, text: Option<String>| {
            let text = text?;
            let cursor = Cursor::decode(&text, order);
            if cursor.is_none() {
                field(path, "is no cursor of this order");
            }
            cursor
        };
        let (after, before) = (cursor("after", self.after), cursor("before", self.before));
        if !wrong.is_empty() {
            return Err(Problem::inputs(wrong));
        }
        let limit = self
            .first
            .or(self.last)
            .unwrap_or(DEFAULT_PAGE)
            .unsigned_abs();
        Ok(Window {
            limit,
            backwards: self.last.is_some(),
            after,
            before,
        })
    }
}

/// How many of a list in the order of ids, and after which.
pub(super) fn id_window(
    first: Option<i32>,
    after: Option<String>,
) -> Result<(u32, Option<Uuid>), Problem> {
    let count = first.unwrap_or(DEFAULT_PAGE);
    if !(0..=MAX_PAGE).contains(&count) {
        return Err(Problem::input("first", "is not in 0 … 100"));
    }
    let after = after.map(|text| Uuid::parse_str(&text)).transpose();
    let after = after.map_err(|_| Problem::input("after", "is no cursor of this list"))?;
    Ok((count.unsigned_abs(), after))
}
