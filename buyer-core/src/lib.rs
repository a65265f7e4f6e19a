//! The read side: buyers' access, the deals that they may see, and the feed of changes that
//! subscribers and webhooks read.
//!
//! One projection writes all of it from the log, each batch in one transaction, and notifies
//! gateways after the commit. HTTP and GraphQL belong to the gateway, calls of webhooks to the
//! `webhooks` crate, and the rules of a deal to the seller side.

pub mod access;
pub mod feed;
pub mod notification;

#[cfg(feature = "testkit")]
pub mod testkit;

mod buyer_side;
mod projection;
mod store;
mod tables;

pub use buyer_side::{BuyerSide, migrate};
pub use projection::BuyerProjection;
pub use store::{AccessPage, Grant, PROJECTION, PairInterval};
