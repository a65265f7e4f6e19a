//! The gateway's tests at its public edge, over real sockets, on both kinds of backends, in one binary.
#![expect(clippy::unwrap_used, reason = "clippy spares tests, and their helpers are tests as well")]

mod kit;

mod architecture;
mod schema;
mod spine;
