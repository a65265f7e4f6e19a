//! Tests of the listener over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by a panic, also in its helpers"
)]

mod kit;

mod caps;
mod deadlines;
mod http2;
mod proxy;
mod requests;
mod shutdown;
mod tls;
mod upgrades;
