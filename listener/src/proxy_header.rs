//! Header of the PROXY protocol, which a proxy writes before the first byte of its client.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
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
        let parsed = parse(&header)?;

        let end = parsed.as_ref().map_or(header.len(), |header| header.length);
        tcp.read_exact(&mut next[..end - before]).await?;
        if let Some(Header { source, .. }) = parsed {
            return Ok(source);
        }
    }
}

/// A whole header.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The client's address, if there is one.
    source: Option<SocketAddr>,
    /// Length in bytes.
    length: usize,
}

/// Parses a header at the beginning of these bytes, or none if more of it is still to come.
fn parse(bytes: &[u8]) -> io::Result<Option<Header>> {
    let Some(length) = end(bytes)?.filter(|end| *end <= bytes.len()) else {
        return Ok(None);
    };

    match ProxyHeader::parse(&bytes[..length], config()) {
        Ok((parsed, _)) => Ok(Some(Header {
            source: parsed.proxied_address().map(|proxied| proxied.source),
            length,
        })),
        Err(error) => Err(malformed(&error.to_string())),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_awaited_byte_by_byte() {
        let text = b"PROXY TCP4 192.0.2.7 192.0.2.99 4660 80\r\n".to_vec();
        let mut binary = [BINARY, &[0x21, 0x11, 0, 12]].concat();
        binary.extend([192, 0, 2, 7, 192, 0, 2, 99, 0x12, 0x34, 0, 80]);

        for header in [text, binary] {
            for length in 0..header.len() {
                let parsed = parse(&header[..length]).expect("it may still be a header");
                assert_eq!(parsed, None, "{length} bytes");
            }

            let followed = [&header[..], b"GET"].concat();
            let parsed = parse(&followed).expect("it is a header");
            let expected = Header {
                source: Some(([192, 0, 2, 7], 4660).into()),
                length: header.len(),
            };
            assert_eq!(parsed, Some(expected));
        }
    }
}
