//! Websockets of the gateway.

pub mod protocol;
