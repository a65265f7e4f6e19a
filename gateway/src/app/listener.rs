//! TCP listeners and the options of the connections that they accept.

use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use backbone::lifecycle::Lifecycle;
use tokio::net::{TcpListener, TcpSocket};

use super::error::StartError;

/// Time after which a connection is dropped when the peer acknowledges nothing of what was sent (TCP_USER_TIMEOUT).
#[cfg(target_os = "linux")]
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that the kernel buffers for a peer that does not read. Its own default grows to megabytes per connection,
/// which a thousand idle readers would fill.
const SEND_BUFFER: usize = 128 << 10;

/// Connections that wait to be accepted. With the usual 128, most of several thousand clients that reconnect at once
/// would be refused and would retry a second later.
const ACCEPT_BACKLOG: u32 = 4_096;

/// Serves `router` on `address` until the process drains. Returns the bound address.
///
/// # Errors
/// [`StartError::Listen`] when the address is taken or not local.
pub(super) async fn serve(
    lifecycle: &Lifecycle,
    address: SocketAddr,
    router: Router,
) -> Result<SocketAddr, StartError> {
    let listen_error = |why| StartError::Listen { address, why };
    let listener = bind(address).map_err(listen_error)?;
    let bound = listener.local_addr().map_err(listen_error)?;

    // An option that the platform does not support costs speed or memory, not correctness, so failures are ignored.
    let listener = listener.tap_io(|connection| {
        // Responses are complete when they are written, so Nagle's algorithm would only delay them.
        let _unsupported = connection.set_nodelay(true);
        let socket = socket2::SockRef::from(&*connection);
        let _unsupported = socket.set_send_buffer_size(SEND_BUFFER);
        #[cfg(target_os = "linux")]
        let _unsupported = socket.set_tcp_user_timeout(Some(PEER_TIMEOUT));
    });

    let draining = lifecycle.draining();
    let server = axum::serve(listener, router).with_graceful_shutdown(draining.cancelled_owned());
    lifecycle.spawn("http server", async move { server.await });
    Ok(bound)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;

    // A restarted process can listen again at once, although connections of the old one linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;

    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}
