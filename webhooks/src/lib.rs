//! Webhooks: the changes that subscribers see, as signed calls to the buyers' own endpoints.
//!
//! The public API works with the handle [`Webhooks`]. The buyer side's projection writes a delivery
//! for every change and endpoint ([`buyer_core::outbox`]), the [`dispatcher`] claims deliveries and
//! makes the calls, and every call is recorded as an attempt until [`retention`] drops it.

pub mod dispatcher;
pub mod egress;
pub mod outcome;
pub mod resolver;
pub mod retention;
pub mod retry_policy;
pub mod seal;
pub mod sender;
pub mod signature;

mod claim;
mod cleanup;
mod deliveries;
mod endpoints;
mod input;
mod model;
#[cfg(test)]
mod plans;
mod record;
mod refusal;
mod service;
mod time;

pub use buyer_core::outbox::{DeliveryState, WebhookEvent};
pub use dispatcher::Dispatcher;
pub use input::{Changes, Registration};
pub use model::{
    Attempt, Delivery, DeliveryCounts, DeliveryPage, MAX_WEBHOOKS, Webhook, WebhookState,
};
pub use refusal::Refusal;
pub use service::Webhooks;
