//! Access in GraphQL: permissions of buyers to see a seller's deals.

use async_graphql::{ID, SimpleObject};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use documents::object;
use uuid::Uuid;

use super::connection::PageInfo;
use super::scalars::{DateTime, Position};

/// A seller's permission for a buyer to see the seller's deals.
#[derive(SimpleObject)]
pub(super) struct Access {
    /// Seller who grants the access.
    seller_id: ID,
    /// Buyer who may see the seller's deals.
    buyer_id: ID,
    /// Time of the grant.
    since: DateTime,
}

object!(Access as "Access", |access| {
    "sellerId" => *access.seller_id.as_str(),
    "buyerId" => *access.buyer_id.as_str(),
    "since" => access.since,
});

impl Access {
    pub(super) fn new(seller: SellerId, buyer: BuyerId, since: Timestamp) -> Self {
        Self {
            seller_id: seller.into(),
            buyer_id: buyer.into(),
            since: DateTime(since),
        }
    }
}

/// One access of a page, with its cursor.
#[derive(SimpleObject)]
pub(super) struct AccessEdge {
    /// Cursor of the access, for the argument after.
    cursor: String,
    /// The access.
    node: Access,
}

object!(AccessEdge as "AccessEdge", |edge| {
    "cursor" => edge.cursor,
    "node" => edge.node,
});

/// A page of accesses, ordered by the id of the other party.
#[derive(SimpleObject)]
pub(super) struct AccessConnection {
    /// Accesses of the page with their cursors.
    edges: Vec<AccessEdge>,
    /// Accesses of the page.
    nodes: Vec<Access>,
    /// Position of the page in the list.
    page_info: PageInfo,
}

object!(AccessConnection as "AccessConnection", |page| {
    "edges" => page.edges,
    "nodes" => page.nodes,
    "pageInfo" => page.page_info,
});

impl AccessConnection {
    /// Builds a page of grants in order, each with the id of the party that is not the caller, which is its cursor.
    pub(super) fn new(
        grants: impl Iterator<Item = (Uuid, SellerId, BuyerId, Timestamp)>,
        has_next_page: bool,
        has_previous_page: bool,
    ) -> Self {
        let (edges, nodes): (Vec<AccessEdge>, Vec<Access>) = grants
            .map(|(other, seller, buyer, since)| {
                let edge = AccessEdge {
                    cursor: other.to_string(),
                    node: Access::new(seller, buyer, since),
                };
                (edge, Access::new(seller, buyer, since))
            })
            .unzip();

        let page_info = PageInfo {
            has_next_page,
            has_previous_page,
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };

        Self {
            edges,
            nodes,
            page_info,
        }
    }
}

/// Result of granting or revoking access.
#[derive(SimpleObject)]
pub(super) struct AccessPayload {
    /// The access that was granted or revoked.
    pub(super) access: Access,
    /// True if the buyer has access now.
    pub(super) granted: bool,
    /// Position of the change in the log. Pass it as minPosition to read tables that include the change, or subscribe
    /// after it.
    pub(super) position: Position,
}

object!(AccessPayload as "AccessPayload", |payload| {
    "access" => payload.access,
    "granted" => payload.granted,
    "position" => payload.position,
});
