//! Clients that send what no real client does.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Time after which a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two pieces of a slow client.
const PACE: Duration = Duration::from_millis(20);

/// One connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads until this text has arrived, and returns everything up to its end. What follows it is kept.
    pub(crate) async fn expect(&mut self, text: &str) -> String {
        let until = text.as_bytes();
        let reading = async {
            loop {
                let mut windows = self.received.windows(until.len());
                if let Some(at) = windows.position(|window| window == until) {
                    let rest = self.received.split_off(at + until.len());
                    return std::mem::replace(&mut self.received, rest);
                }
                let read = self.stream.read_buf(&mut self.received).await;
                if !matches!(read, Ok(1..)) {
                    let received = String::from_utf8_lossy(&self.received);
                    panic!("no {text:?} before {read:?}, but {received:?}");
                }
            }
        };
        let bytes = timeout(PATIENCE, reading).await.expect(text);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads until the server ends the connection, and returns what it sent before.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        let reading = async {
            // A reset is an end as well: the server does not read what a slow client still sends.
            while matches!(self.stream.read_buf(&mut self.received).await, Ok(1..)) {}
        };
        timeout(PATIENCE, reading).await.expect("an end");
        std::mem::take(&mut self.received)
    }
}

/// Sends one piece after another until the server ends the connection. Returns what it sent before.
///
/// # Panics
/// If the connection does not end.
pub(crate) async fn drip(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mut piece: impl FnMut() -> Vec<u8>,
) -> Vec<u8> {
    let mut received = Vec::new();
    let dripping = async {
        loop {
            // The write fails after a reset, which the read reports as well.
            let _reset: io::Result<()> = stream.write_all(&piece()).await;
            let read = timeout(PACE, stream.read_buf(&mut received)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    timeout(PATIENCE, dripping)
        .await
        .expect("the slow client is cut");
    received
}
