//! The write side: the mutations that sellers make to their deals and to buyers' access, and the
//! seller's own view of both.
//!
//! Reading order: the rules of a deal (`deal.rs`) and of access (`access.rs`), both pure; the
//! mutations that append what the rules decide to the log (`mutation.rs`); the projection that
//! follows the log (`projection.rs`), and the tables that it keeps (`store.rs`). The crate depends
//! on no HTTP, no GraphQL, no driver of a server, and not on the buyer side: the two sides meet in
//! the log.

mod access;
mod check;
mod deal;
mod identity;
mod input;
mod mutation;
mod projection;
mod refusal;
mod seller_side;
mod store;
mod tables;

pub use check::{key as idempotency_key, text};
pub use input::{DealUpdate, MutationContext, NewDeal, NewDiscount, NewItem, Patch, Versions};
pub use mutation::{AccessWritten, DealWritten};
pub use projection::{PROJECTION, SellerProjection};
pub use refusal::Refusal;
pub use seller_side::{SellerSide, migrate};
pub use store::{AccessPage, AccessWindow, Grant};
