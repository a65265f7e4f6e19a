//! Upgrade of an HTTP request to a websocket.

use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::response::Response;

use super::protocol::{Limits, SUBPROTOCOL};
use super::session::Session;
use super::sockets::Sockets;
use crate::auth::key_in;

/// Read buffer of a socket, in bytes. The library's default of 128 KiB would be most of what an idle socket costs.
const READ_BUFFER: usize = 4 << 10;

/// Bytes that are buffered before the library writes by itself.
const WRITE_BUFFER: usize = 16 << 10;

/// Most bytes that the library holds unwritten, far above a batch of usual results. A write beyond it fails, and the
/// socket ends.
const MAX_WRITE_BUFFER: usize = 4 << 20;

/// Accepts a websocket and runs its session on a task of its own.
///
/// A key in `headers` is used if the client's `connection_init` carries none. A client that does not offer the
/// subprotocol is still upgraded, since only a close frame can tell a browser why it was rejected.
pub fn upgrade(sockets: Sockets, upgrade: WebSocketUpgrade, headers: &HeaderMap) -> Response {
    let header_key = key_in(headers);
    // The transport enforces the same limits that the protocol announces, before it buffers a message.
    let limits = Limits::default();
    let connections = sockets.connections.clone();

    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(limits.max_message_bytes)
        .max_frame_size(limits.max_message_bytes)
        .on_upgrade(async move |socket| {
            let subprotocol_accepted = socket.protocol().is_some();
            let session = Session::new(sockets, socket, limits, header_key);

            // A task of the process's lifecycle: a drain waits for it, which it would not for the task that the library
            // runs this closure on.
            connections.spawn("socket", session.run(subprotocol_accepted));
        })
}
