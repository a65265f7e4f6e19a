//! One websocket (RFC 6455) that speaks graphql-transport-ws: enough of both to subscribe and to listen.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::{connect, connect_narrow, read_head};
use crate::Failed;

/// The longest that an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The most that one read takes.
const ROOM: usize = 64 << 10;

/// A socket. Its buffer is small, and grows while reads fill it.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been taken.
    taken: usize,
}

impl Socket {
    /// Connects and upgrades.
    pub(crate) async fn open(url: &Url, address: SocketAddr) -> Result<Self, Failed> {
        Self::upgrade(connect(address).await?, url).await
    }

    /// As [`Socket::open`], with as small a receive buffer as the system allows.
    pub(crate) async fn open_narrow(url: &Url, address: SocketAddr) -> Result<Self, Failed> {
        Self::upgrade(connect_narrow(address).await?, url).await
    }

    async fn upgrade(mut stream: TcpStream, url: &Url) -> Result<Self, Failed> {
        let (path, host) = (url.path(), url.host_str().unwrap_or_default());
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(1 << 10);
        let taken = read_head(&mut stream, &mut buffer).await?;
        if !buffer.starts_with(b"HTTP/1.1 101") {
            return Err(String::from_utf8_lossy(&buffer[..taken])
                .into_owned()
                .into());
        }
        Ok(Self {
            stream,
            buffer,
            taken,
        })
    }

    /// Is acknowledged and subscribes: the payload is that of `subscribe`.
    pub(crate) async fn subscribe(
        mut self,
        key: &str,
        payload: &serde_json::Value,
    ) -> Result<Self, Failed> {
        let init =
            serde_json::json!({ "type": "connection_init", "payload": { "x-api-key": key } });
        self.send(init.to_string().as_bytes()).await?;
        let ack = self.text_within(PATIENCE).await?;
        if !ack.windows(14).any(|window| window == b"connection_ack") {
            return Err(String::from_utf8_lossy(ack).into_owned().into());
        }
        let subscribe = serde_json::json!({ "type": "subscribe", "id": "1", "payload": payload });
        self.send(subscribe.to_string().as_bytes()).await?;
        Ok(self)
    }

    /// Waits until all that was sent has been acted on: messages of a socket are taken in order.
    pub(crate) async fn settle(&mut self) -> Result<(), Failed> {
        self.send(br#"{"type":"subscribe","id":"settled","payload":{"query":"{ __typename }"}}"#)
            .await?;
        loop {
            let text = self.text_within(PATIENCE).await?;
            let is = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
            if is(br#""error""#) {
                return Err(String::from_utf8_lossy(text).into_owned().into());
            }
            if is(b"settled") && is(b"complete") {
                return Ok(());
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &[u8]) -> Result<(), Failed> {
        self.write(TEXT, text).await
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Failed> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length)?.to_be_bytes());
            }
        }
        // A client must mask; the mask of zeros leaves the payload as it is.
        frame.extend([0; 4]);
        frame.extend_from_slice(payload);
        Ok(self.stream.write_all(&frame).await?)
    }

    /// As [`Socket::text`], within a time.
    pub(crate) async fn text_within(&mut self, time: Duration) -> Result<&[u8], Failed> {
        timeout(time, self.text())
            .await
            .map_err(|_| "nothing came over a socket in time")?
    }

    /// The next text that is no ping of the protocol; those are answered.
    pub(crate) async fn text(&mut self) -> Result<&[u8], Failed> {
        loop {
            let (opcode, from, to) = self.frame().await?;
            match opcode {
                TEXT if self.buffer[from..to].starts_with(br#"{"type":"ping""#) => {
                    self.send(br#"{"type":"pong"}"#).await?;
                }
                TEXT => return Ok(&self.buffer[from..to]),
                PING => {
                    let payload = self.buffer[from..to].to_vec();
                    self.write(PONG, &payload).await?;
                }
                CLOSE => {
                    let why = String::from_utf8_lossy(&self.buffer[(from + 2).min(to)..to]);
                    return Err(format!("the server closed the socket: {why}").into());
                }
                _ => {}
            }
        }
    }

    /// The next frame: its kind, and where in the buffer its payload stands. Servers neither mask nor, here, split.
    async fn frame(&mut self) -> Result<(u8, usize, usize), Failed> {
        loop {
            if let [first, second, rest @ ..] = &self.buffer[self.taken..] {
                let (length, header) = match (second & 0x7f, rest) {
                    (126, [high, low, ..]) => {
                        (Some(usize::from(u16::from_be_bytes([*high, *low]))), 4)
                    }
                    (126, _) => (None, 4),
                    (127, _) => return Err("a frame of over 64 KiB".into()),
                    (length, _) => (Some(usize::from(length)), 2),
                };
                let from = self.taken + header;
                if let Some(end) = length
                    .map(|length| from + length)
                    .filter(|end| self.buffer.len() >= *end)
                {
                    let kind = first & 0x0f;
                    self.taken = end;
                    return Ok((kind, from, end));
                }
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), Failed> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let room = self.buffer.capacity();
        if self.buffer.len() == room && room < ROOM {
            self.buffer.reserve(room);
        }
        Ok(())
    }
}
