//! Webhooks: the changes that subscribers see, as signed calls to the buyers' own endpoints.
//!
//! The public API works with the handle [`Webhooks`]. The [`fanout`] follows the buyer side's feed
//! and inserts a delivery for every change and endpoint, the [`dispatcher`] claims deliveries and
//! makes the calls, and every call is recorded as an attempt until [`retention`] drops it.

pub mod body;
pub mod dispatcher;
pub mod egress;
pub mod fanout;
pub mod outcome;
pub mod replay_worker;
pub mod resolver;
pub mod retention;
pub mod retry_policy;
pub mod seal;
pub mod sender;
pub mod signature;

mod checkpoint;
mod claim;
mod cleanup;
mod counts;
mod deliveries;
mod endpoints;
mod input;
mod insert;
mod kinds;
mod migrate;
mod model;
#[cfg(test)]
mod plans;
mod record;
mod refusal;
mod replay;
mod service;
mod time;

pub use body::Renderer;
pub use dispatcher::Dispatcher;
pub use fanout::Fanout;
pub use input::{Changes, Registration};
pub use kinds::{DeliveryState, WebhookEvent};
pub use migrate::migrate;
pub use model::{
    Attempt, Delivery, DeliveryCounts, DeliveryFilter, DeliveryPage, MAX_WEBHOOKS, Webhook,
    WebhookState,
};
pub use refusal::Refusal;
pub use replay::{Replay, ReplayRequest, ReplayState};
pub use service::Webhooks;
