//! graphql-transport-ws: the protocol as a pure machine, and the sockets that speak it.

mod operations;
pub mod protocol;
mod session;
mod wakes;

pub use session::{Sockets, upgrade};
