//! Return of a connection after a protocol upgrade.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;

use crate::guarded::Guarded;
use crate::link::Link;
use crate::slots::Slot;

/// Connection that speaks another protocol from now on. The listener has no deadline for it any more and does not
/// close it at a shutdown.
pub struct Recovered {
    /// Connection to the client.
    pub link: Link,
    /// Bytes that the client sent together with its request, to be taken before those of the link.
    pub read: Bytes,
    /// Place of the connection among those that are open, to be kept for as long as the link.
    pub slot: Slot,
}

/// Takes the bare connection out of what hyper returns after a response with status 101.
///
/// # Errors
/// The argument, if its connection was not accepted by this crate or is one stream of HTTP/2.
pub fn recover(upgraded: Upgraded) -> Result<Recovered, Upgraded> {
    let parts = downcast::<TokioIo<Guarded>>(upgraded)?;
    let (link, slot) = parts.io.into_inner().into_parts();

    Ok(Recovered {
        link,
        read: parts.read_buf,
        slot,
    })
}
