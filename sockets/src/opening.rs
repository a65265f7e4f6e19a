//! A connection that is to become a websocket, with what was agreed on.

use std::any::Any;

use bytes::Bytes;

use crate::link::Link;

/// A websocket to be opened.
pub struct Opening<C> {
    /// Connection after the upgrade.
    pub link: Link,
    /// Bytes that were read from it already.
    pub read: Bytes,
    /// True if the client offered our subprotocol. One that did not is told so by a close frame, which is all that a
    /// browser shows.
    pub is_accepted: bool,
    /// True if compression of messages was agreed with the client by [`accept_compression`](crate::accept_compression).
    pub compresses: bool,
    /// Credentials of the request.
    pub credentials: C,
    /// Value that is dropped when the socket ends, such as its place among the connections.
    pub held: Box<dyn Any + Send>,
}
