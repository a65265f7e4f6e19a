//! WebSocket framing (RFC 6455) of a server: our own writer for what goes out, and a decoder for what comes in that holds
//! no memory between messages.

pub(crate) mod decoder;
pub(crate) mod deflate;
pub(crate) mod frame;
