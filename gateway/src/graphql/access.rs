//! Access in GraphQL: who grants what to whom.

use async_graphql::{ID, SimpleObject};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use uuid::Uuid;

use super::connection::PageInfo;
use super::scalars::{DateTime, Position};

/// A seller's grant to a buyer
#[derive(SimpleObject)]
pub(super) struct Access {
    seller_id: ID,
    buyer_id: ID,
    since: DateTime,
}

impl Access {
    pub(super) fn new(seller: SellerId, buyer: BuyerId, since: Timestamp) -> Self {
        Self {
            seller_id: seller.into(),
            buyer_id: buyer.into(),
            since: DateTime(since),
        }
    }
}

#[derive(SimpleObject)]
pub(super) struct AccessEdge {
    cursor: String,
    node: Access,
}

#[derive(SimpleObject)]
pub(super) struct AccessConnection {
    edges: Vec<AccessEdge>,
    nodes: Vec<Access>,
    page_info: PageInfo,
}

impl AccessConnection {
    /// Of grants in order, each with the id of the other party.
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

#[derive(SimpleObject)]
pub(super) struct AccessPayload {
    pub(super) access: Access,
    pub(super) granted: bool,
    pub(super) position: Position,
}
