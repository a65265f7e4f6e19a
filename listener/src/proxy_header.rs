//! Header of the PROXY protocol, which a proxy writes before the first byte of its client.

use std::io;
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Beginning of version 1, a line of text.
const TEXT: &[u8] = b"PROXY ";
/// Longest line of version 1, by its specification.
const LONGEST_TEXT: usize = 107;

/// Beginning of version 2, which is binary.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 up to its length field, inclusive.
const BINARY_FIXED: usize = 16;
/// Longest header of version 2 that is read. Real ones have less than 300 bytes: addresses and a few fields of the
/// proxy, which are skipped.
const LONGEST_BINARY: usize = 1_024;

/// Reads the header and nothing after it. Returns the client's address, or none if the proxy speaks for itself
/// (LOCAL, UNKNOWN) or for a socket without an IP address.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if there is no header or it is malformed or too long, and those of the socket.
pub(crate) async fn read(tcp: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut header = Vec::new();
    let mut next = [0; LONGEST_BINARY];
    loop {
        // Looked at before it is read: what follows the header belongs to TLS or HTTP, which read it themselves.
        let seen = tcp.peek(&mut next).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }

        let before = header.len();
        header.extend_from_slice(&next[..seen]);
        let end = end(&header)?;
        header.truncate(end.unwrap_or(header.len()));
        tcp.read_exact(&mut next[..header.len() - before]).await?;

        match ProxyHeader::parse(&header, config()) {
            Ok((parsed, _)) => return Ok(parsed.proxied_address().map(|proxied| proxied.source)),
            Err(Error::BufferTooShort) if end.is_none() => {}
            Err(error) => return Err(malformed(&error.to_string())),
        }
    }
}

/// Returns where the header ends, or none if that is not known yet.
fn end(bytes: &[u8]) -> io::Result<Option<usize>> {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };

    let (end, longest) = if begins(TEXT) {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        (end.map(|at| at + 1), LONGEST_TEXT)
    } else if begins(BINARY) {
        let length = bytes.get(BINARY_FIXED - 2..BINARY_FIXED);
        let end = length.map(|be| BINARY_FIXED + usize::from(u16::from_be_bytes([be[0], be[1]])));
        (end, LONGEST_BINARY)
    } else {
        return Err(malformed("it begins with something else"));
    };

    if end.unwrap_or(bytes.len()) > longest {
        return Err(malformed("it is too long"));
    }
    Ok(end)
}

fn config() -> ParseConfig {
    ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a PROXY protocol header: {why}"),
    )
}
