//! Options of TCP sockets, listening and accepted ones.

use std::io;
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Time after which a connection is dropped when the peer acknowledges nothing of what was sent (TCP_USER_TIMEOUT).
#[cfg(target_os = "linux")]
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that the kernel buffers for a peer that does not read. Its own default grows to megabytes per connection,
/// which a thousand idle readers would fill.
const SEND_BUFFER: usize = 128 << 10;

/// Connections that wait to be accepted. With the usual 128, most of several thousand clients that reconnect at once
/// would be refused and would retry a second later.
const ACCEPT_BACKLOG: u32 = 4_096;

/// Listens on `address`; the system chooses the port if it is 0.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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

/// Sets the options of an accepted connection. One that the platform does not support costs speed or memory, not
/// correctness, so failures are ignored.
pub(crate) fn prepare(connection: &TcpStream) {
    // Responses are complete when they are written, so Nagle's algorithm would only delay them.
    let _unsupported = connection.set_nodelay(true);

    let socket = socket2::SockRef::from(connection);
    let _unsupported = socket.set_send_buffer_size(SEND_BUFFER);
    #[cfg(target_os = "linux")]
    let _unsupported = socket.set_tcp_user_timeout(Some(PEER_TIMEOUT));
}
