//! Clients for HTTP/1.1 and graphql-transport-ws over plain TCP.
//!
//! They do no more than the scenarios need, because client and server share the machine: every
//! microsecond that a client library spends is missing to the server under test.

mod http;
mod socket;

pub(crate) use http::{Http, get, post, run_over_connections};
pub(crate) use socket::{RESPONSE_TIMEOUT, Socket};

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use crate::error::BoxError;

/// End of the head of an HTTP message.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Resolves the address that a URL's server listens on.
///
/// # Errors
/// The host cannot be resolved.
pub(crate) fn address(url: &Url) -> Result<SocketAddr, BoxError> {
    url.socket_addrs(|| None)?
        .into_iter()
        .next()
        .ok_or_else(|| format!("the host of {url} has no address").into())
}

async fn connect(address: SocketAddr) -> Result<TcpStream, BoxError> {
    let stream = TcpStream::connect(address).await?;

    // Requests are written whole. Nagle's algorithm would only hold back the second of two small
    // ones, and the delay would count as the server's.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects with the smallest receive buffer that the system allows, so that the peer's writes soon
/// block.
async fn connect_with_small_buffer(address: SocketAddr) -> Result<TcpStream, BoxError> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };

    // The kernel raises 1 to its minimum. The size must be set before connecting: TCP agrees on the
    // window scale in the handshake.
    socket.set_recv_buffer_size(1)?;
    Ok(socket.connect(address).await?)
}

/// Returns the value of a header. Names are compared without regard to case (RFC 9110, section
/// 5.1).
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Reads a message until its head is complete, and returns the head's length in bytes. The buffer
/// must begin with the head, and may hold bytes beyond it afterwards.
///
/// # Errors
/// The peer closes the connection before the head is complete.
pub(crate) async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<usize, BoxError> {
    let mut searched = 0;

    loop {
        // The end may be split across two reads, so the search goes back by one byte less than its
        // length.
        let from = usize::saturating_sub(searched, END_OF_HEAD.len() - 1);
        if let Some(found) = buffer[from..]
            .windows(END_OF_HEAD.len())
            .position(|window| window == END_OF_HEAD)
        {
            return Ok(from + found + END_OF_HEAD.len());
        }

        searched = buffer.len();
        if stream.read_buf(buffer).await? == 0 {
            return Err("the peer closed the connection within the head of a message".into());
        }
    }
}
