//! Connection of a request, as far as its handler may know it.

use std::net::SocketAddr;

/// Origin of a request. Every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address of the client: the one that a trusted proxy announced, otherwise the one of the socket. An IPv4
    /// address is never written as an IPv6 one.
    pub address: SocketAddr,
    /// State of the connection to this process: true if it is TLS.
    pub encrypted: bool,
}
