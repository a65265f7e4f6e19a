//! Requests for pages of deals, and their results.

use uuid::Uuid;

use super::cursor::Cursor;
use super::order::DealOrder;
use super::stored_deal::StoredDeal;
use crate::contract::DealStatus;
use crate::ids::SellerId;
use crate::money::{Currency, MinorUnits};
use crate::position::{Epoch, Position, Sequence};

/// The sellers whose deals a reader may see.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// One seller.
    Seller(SellerId),
    /// The sellers that a query with one parameter yields, given as the SQL text around it.
    Sellers {
        /// SQL text before the parameter.
        before: &'static str,
        /// Value of the parameter.
        of: Uuid,
        /// SQL text after the parameter.
        after: &'static str,
    },
}

/// Conditions that a deal must meet; absent ones restrict nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DealFilter {
    /// Sellers, any of which the deal belongs to.
    pub seller_ids: Option<Vec<SellerId>>,
    /// Statuses, any of which the deal has.
    pub statuses: Option<Vec<DealStatus>>,
    /// Currency of the deal.
    pub currency: Option<Currency>,
    /// Lowest total price; requires `currency`.
    pub min_total_price: Option<MinorUnits>,
    /// Highest total price; requires `currency`.
    pub max_total_price: Option<MinorUnits>,
}

/// Size and limits of a page.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Largest number of deals.
    pub limit: u32,
    /// Takes the last deals of the order instead of the first. They are still returned in order.
    pub backwards: bool,
    /// Cursor that every deal of the page comes after.
    pub after: Option<Cursor>,
    /// Cursor that every deal of the page comes before.
    pub before: Option<Cursor>,
}

/// Request for a page.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Sellers whose deals may be on the page.
    pub scope: Scope,
    /// Conditions that the deals meet.
    pub filter: DealFilter,
    /// Order of the deals.
    pub order: DealOrder,
    /// Size and limits of the page.
    pub window: Window,
}

/// A deal of a page, with its cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct PageDeal {
    /// Position of the deal in the order of the page.
    pub cursor: Cursor,
    /// The deal.
    pub deal: StoredDeal,
}

/// A page and the position of the log that it shows, from one snapshot.
#[derive(Clone, Debug)]
pub struct Page {
    /// Deals of the page in order.
    pub deals: Vec<PageDeal>,
    /// Set when more deals follow.
    pub has_next: bool,
    /// Set when more deals precede.
    pub has_previous: bool,
    /// End of the last event in the tables.
    pub position: Position,
}

impl Page {
    /// Builds the page of a window. `more` tells whether the window has more deals than these, beyond its limit.
    pub fn new(deals: Vec<PageDeal>, more: bool, window: &Window, position: Position) -> Self {
        // On the side that a window begins at, the deals before its cursor are others by themselves.
        let (has_next, has_previous) = if window.backwards {
            (window.before.is_some(), more)
        } else {
            (more, window.after.is_some())
        };

        Self {
            deals,
            has_next,
            has_previous,
            position,
        }
    }
}

/// The first deals of an order, and what it takes to keep them exact from the changes that follow.
#[derive(Clone, Debug)]
pub struct TopDeals {
    /// Epoch of the log that the tables were built from.
    pub epoch: Epoch,
    /// Number of the build of the tables.
    pub generation: i32,
    /// Sequence of the last event in the tables.
    pub sequence: Sequence,
    /// Sellers in the scope of the request.
    pub sellers: Vec<SellerId>,
    /// First deals in order.
    pub deals: Vec<StoredDeal>,
    /// True if the tables hold no other deals that the request would have read.
    pub complete: bool,
}
