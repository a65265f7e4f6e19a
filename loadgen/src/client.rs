//! Clients small enough to cost little beside what they measure: HTTP/1.1 and graphql-transport-ws over plain TCP.

mod http;
mod socket;

pub(crate) use http::{Http, get, in_shares, post};
pub(crate) use socket::{PATIENCE, Socket};

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use crate::Failed;

/// Where a URL's server listens.
pub(crate) fn address(url: &Url) -> Result<SocketAddr, Failed> {
    url.socket_addrs(|| None)?
        .into_iter()
        .next()
        .ok_or_else(|| format!("{url} names no address").into())
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failed> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// As [`connect`], with as small a receive buffer as the system allows.
async fn connect_narrow(address: SocketAddr) -> Result<TcpStream, Failed> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_recv_buffer_size(1)?;
    Ok(socket.connect(address).await?)
}

/// The value of a header, by its name in any case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| {
        line.split_once(':')
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
    };
    head.lines().find_map(named).map(|(_, value)| value.trim())
}

/// Reads up to the end of a message's head, and tells where that is; the buffer begins with the head and may hold more.
pub(crate) async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<usize, Failed> {
    use tokio::io::AsyncReadExt;
    let mut looked = 0;
    loop {
        let from = usize::saturating_sub(looked, 3);
        if let Some(found) = buffer[from..]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            return Ok(from + found + 4);
        }
        looked = buffer.len();
        if stream.read_buf(buffer).await? == 0 {
            return Err("the other side closed the connection".into());
        }
    }
}
