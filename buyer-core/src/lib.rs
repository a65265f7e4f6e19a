//! The read side: who may see what, the deals they see, the feed of changes that subscribers read, and the deliveries
//! that webhooks are owed.
//!
//! One projection makes all of it from the log, in one transaction a batch, and tells gateways after the commit. HTTP
//! and GraphQL are the gateway's; calling webhooks is the `webhooks` crate's; what a deal may become is the seller
//! side's.

pub mod access;
pub mod feed;
pub mod notification;
pub mod outbox;

#[cfg(feature = "testkit")]
pub mod testkit;

mod buyer_side;
mod projection;
mod store;

pub use buyer_side::BuyerSide;
pub use projection::BuyerProjection;
pub use store::{AccessPage, Grant, PROJECTION};
