//! Websocket client (RFC 6455) for graphql-transport-ws: enough of both protocols to subscribe and
//! to read.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::{connect, connect_with_small_buffer, read_head};
use crate::error::BoxError;

/// Longest wait for an answer or for the next expected message. Dealwire's own timeouts are
/// shorter, so a run that waits this long has failed.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

// Opcodes of frames (RFC 6455, section 5.2).
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Bit that marks the last frame of a message. All messages here fit in one frame.
const FINAL: u8 = 0x80;
/// Bit that marks a masked payload, as every frame of a client must be.
const MASKED: u8 = 0x80;

/// Capacity that a socket's buffer starts with, in bytes: thousands of sockets are open at a time,
/// and most changes fit.
const SMALL_BUFFER: usize = 1 << 10;
/// Capacity that a socket's buffer may grow to, in bytes.
const LARGE_BUFFER: usize = 64 << 10;

/// Open websocket.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Number of bytes at the start of the buffer that belong to frames already returned.
    consumed: usize,
}

/// Frame within the buffer.
struct Frame {
    opcode: u8,
    /// Start and end of the payload.
    start: usize,
    end: usize,
}

impl Socket {
    /// Connects and upgrades to a websocket.
    pub(crate) async fn open(url: &Url, address: SocketAddr) -> Result<Self, BoxError> {
        Self::upgrade(connect(address).await?, url).await
    }

    /// Opens a socket with the smallest receive buffer that the system allows.
    pub(crate) async fn open_with_small_buffer(
        url: &Url,
        address: SocketAddr,
    ) -> Result<Self, BoxError> {
        Self::upgrade(connect_with_small_buffer(address).await?, url).await
    }

    async fn upgrade(mut stream: TcpStream, url: &Url) -> Result<Self, BoxError> {
        let path = url.path();
        let host = url.host_str().unwrap_or_default();

        // The nonce is the RFC's example. It guards against caches between client and server, and
        // there are none here.
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;

        let mut buffer = Vec::with_capacity(SMALL_BUFFER);
        let head = read_head(&mut stream, &mut buffer).await?;
        if !buffer.starts_with(b"HTTP/1.1 101") {
            let answer = String::from_utf8_lossy(&buffer[..head]);
            return Err(format!("the server refused the websocket: {answer}").into());
        }

        // Frames may have come together with the answer: what follows the head stays in the buffer.
        Ok(Self {
            stream,
            buffer,
            consumed: head,
        })
    }

    /// Initialises the connection with an API key and starts a subscription with the given
    /// `subscribe` payload.
    ///
    /// # Errors
    /// The server does not acknowledge the connection.
    pub(crate) async fn subscribe(mut self, key: &str, payload: &Value) -> Result<Self, BoxError> {
        let init = json!({ "type": "connection_init", "payload": { "x-api-key": key } });
        self.send(init.to_string().as_bytes()).await?;

        let answer = self.next_text_in_time().await?;
        if !contains(answer, b"connection_ack") {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("the server did not acknowledge the connection: {answer}").into());
        }

        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
        self.send(subscribe.to_string().as_bytes()).await?;
        Ok(self)
    }

    /// Waits until the server has processed every message sent so far.
    ///
    /// A server handles the messages of a socket in order, so the answer to a query sent last shows
    /// that the subscription sent before it has begun. A change made from now on must be pushed.
    pub(crate) async fn wait_until_processed(&mut self) -> Result<(), BoxError> {
        self.send(br#"{"type":"subscribe","id":"settled","payload":{"query":"{ __typename }"}}"#)
            .await?;

        loop {
            let text = self.next_text_in_time().await?;
            if contains(text, br#""error""#) {
                let text = String::from_utf8_lossy(text);
                return Err(format!("the server refused an operation: {text}").into());
            }
            if contains(text, b"settled") && contains(text, b"complete") {
                return Ok(());
            }
        }
    }

    /// Sends a text message.
    pub(crate) async fn send(&mut self, text: &[u8]) -> Result<(), BoxError> {
        self.write_frame(TEXT, text).await
    }

    /// Reads the next text message, within [`RESPONSE_TIMEOUT`].
    ///
    /// # Errors
    /// The time is over, or the reasons of [`Socket::next_text`].
    pub(crate) async fn next_text_in_time(&mut self) -> Result<&[u8], BoxError> {
        timeout(RESPONSE_TIMEOUT, self.next_text())
            .await
            .map_err(|_| {
                let seconds = RESPONSE_TIMEOUT.as_secs();
                format!("no message arrived on a socket within {seconds} s")
            })?
    }

    /// Reads the next text message. Pings, those of websockets and those of graphql-transport-ws,
    /// are answered and skipped.
    ///
    /// # Errors
    /// The connection is closed or fails.
    pub(crate) async fn next_text(&mut self) -> Result<&[u8], BoxError> {
        loop {
            let Frame { opcode, start, end } = self.next_frame().await?;

            match opcode {
                TEXT if self.buffer[start..end].starts_with(br#"{"type":"ping""#) => {
                    self.send(br#"{"type":"pong"}"#).await?;
                }
                TEXT => return Ok(&self.buffer[start..end]),
                PING => {
                    let payload = self.buffer[start..end].to_vec();
                    self.write_frame(PONG, &payload).await?;
                }
                CLOSE => {
                    // The payload begins with a status code of two bytes, where there is one.
                    let reason = String::from_utf8_lossy(&self.buffer[(start + 2).min(end)..end]);
                    return Err(format!("the server closed the socket: {reason}").into());
                }
                _ => {}
            }
        }
    }

    async fn write_frame(&mut self, opcode: u8, payload: &[u8]) -> Result<(), BoxError> {
        let mut frame = vec![FINAL | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length => {
                frame.push(MASKED | 126);
                frame.extend(u16::try_from(length)?.to_be_bytes());
            }
        }

        // A client must mask its frames (section 5.3). The mask of zeros is valid and leaves the
        // payload as it is, which saves this side the work.
        frame.extend([0; 4]);
        frame.extend_from_slice(payload);

        Ok(self.stream.write_all(&frame).await?)
    }

    /// Reads until the buffer holds a whole frame. Servers must not mask, and Dealwire does not
    /// fragment its messages.
    async fn next_frame(&mut self) -> Result<Frame, BoxError> {
        loop {
            if let Some(frame) = self.buffered_frame()? {
                self.consumed = frame.end;
                return Ok(frame);
            }

            self.read_more().await?;
        }
    }

    fn buffered_frame(&self) -> Result<Option<Frame>, BoxError> {
        let [first, second, rest @ ..] = &self.buffer[self.consumed..] else {
            return Ok(None);
        };
        let (header, length) = match (second & 0x7f, rest) {
            (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            (126, _) => return Ok(None),
            (127, _) => return Err("the server sent a frame of over 64 KiB".into()),
            (length, _) => (2, usize::from(length)),
        };

        let start = self.consumed + header;
        let end = start + length;
        let complete = self.buffer.len() >= end;

        Ok(complete.then_some(Frame {
            opcode: first & 0x0f,
            start,
            end,
        }))
    }

    async fn read_more(&mut self) -> Result<(), BoxError> {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;

        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }

        // A read that fills the buffer suggests that more is waiting. Only the buffers of busy
        // sockets grow, so that ten thousand idle ones stay small.
        let capacity = self.buffer.capacity();
        if self.buffer.len() == capacity && capacity < LARGE_BUFFER {
            self.buffer.reserve(capacity);
        }
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
