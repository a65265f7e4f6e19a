//! Websockets and event streams on shards: who listens, what goes out, and the protocol graphql-transport-ws.
//!
//! A shard ([`shard`]) is one task that owns many sockets: their subscriptions, their timers, and everything that is
//! written to them. A tip wakes the shards, not thousands of tasks. Each change is rendered once for all who select the
//! same, and what is ready for a socket goes out in one system call.
//!
//! Work that waits never runs on a shard: authentication, operations and reads of the feed's table are tasks of their
//! own, which send the shard what came of them and are given up when their socket ends. So a client that does not read,
//! does not close, or vanishes holds nothing that others need.
//!
//! The crate knows neither API keys nor GraphQL: a [`Service`] authenticates and executes.
//!
//! Read next: `shard.rs` for the loop, `shard/delivery.rs` for how a change reaches the sockets, `protocol.rs` for the
//! state machine of a connection.

mod event_stream;
mod link;
mod metrics;
mod opening;
pub mod protocol;
mod service;
mod settings;
mod shard;
mod sockets;
mod stagger;
#[cfg(feature = "testkit")]
pub mod testkit;
mod websocket;

pub use event_stream::EventStream;
pub use link::Link;
pub use opening::Opening;
pub use service::{Caller, Outcome, Refusal, Service};
pub use settings::Settings;
pub use sockets::Sockets;

/// Returns the `Sec-WebSocket-Extensions` header that agrees to a client's offer of compression (RFC 7692); `None` if
/// nothing that it offers is possible.
pub fn accept_compression(offers: &str) -> Option<&'static str> {
    websocket::deflate::is_offered(offers).then_some(websocket::deflate::ACCEPTED)
}
