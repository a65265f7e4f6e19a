//! HTTP/1.1 connections, one request at a time each.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::{connect, header, read_head};
use crate::Failed;

/// A connection that is kept alive.
pub(crate) struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The bytes of a POST of JSON.
pub(crate) fn post(url: &Url, key: &str, body: &str) -> Vec<u8> {
    let (path, host, length) = (url.path(), url.host_str().unwrap_or_default(), body.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The bytes of a GET.
pub(crate) fn get(url: &Url) -> Vec<u8> {
    let (path, host) = (url.path(), url.host_str().unwrap_or_default());
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
}

impl Http {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failed> {
        Ok(Self {
            stream: connect(address).await?,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Asks GraphQL; the data of its answer.
    ///
    /// # Errors
    /// The answer speaks of errors.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Value, Failed> {
        let mut answer: Value = serde_json::from_slice(self.call(request).await?)?;
        if answer.get("errors").is_some() {
            return Err(answer.to_string().into());
        }
        Ok(answer["data"].take())
    }

    /// Sends a request and reads the body of its answer, which must be a 2xx with a length.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<&[u8], Failed> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let body_at = read_head(&mut self.stream, &mut self.buffer).await?;
        let head = std::str::from_utf8(&self.buffer[..body_at])?;
        let success = head
            .split(' ')
            .nth(1)
            .is_some_and(|status| status.starts_with('2'));
        let length: usize = header(head, "content-length")
            .ok_or("an answer without content-length")?
            .parse()?;
        if !success {
            return Err(head.lines().next().unwrap_or_default().to_owned().into());
        }
        let end = body_at + length;
        while self.buffer.len() < end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(&self.buffer[body_at..end])
    }
}

/// Does numbered things over so many connections, each its share of them one after the other; what they yielded, in
/// the order of their numbers.
pub(crate) async fn in_shares<T>(
    address: SocketAddr,
    connections: usize,
    count: usize,
    act: impl AsyncFn(&mut Http, usize) -> Result<T, Failed>,
) -> Result<Vec<T>, Failed> {
    let (share, act) = (count.div_ceil(connections.max(1)), &act);
    let connections = (0..connections).map(|connection| async move {
        let mut http = Http::open(address).await?;
        let mut yielded = Vec::new();
        for number in connection * share..count.min((connection + 1) * share) {
            yielded.push(act(&mut http, number).await?);
        }
        Ok::<_, Failed>(yielded)
    });
    Ok(futures_util::future::try_join_all(connections)
        .await?
        .into_iter()
        .flatten()
        .collect())
}
