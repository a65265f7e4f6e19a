//! GraphQL over websockets: the protocol graphql-transport-ws as a pure state machine, and the sockets that speak it.
//!
//! `protocol` decides what follows from a message; `session` reads, writes and keeps the timers of one socket;
//! `operations` runs its operations; `source_wakers` keeps a push from touching what has nothing new.

mod batch;
mod credentials;
mod operations;
pub mod protocol;
mod session;
mod sockets;
mod source_wakers;
mod upgrade;

pub use sockets::Sockets;
pub use upgrade::upgrade;
