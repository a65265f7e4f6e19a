//! HTTP/1.1 client connections with one request at a time.

use std::net::SocketAddr;

use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::{connect, header, read_head};
use crate::error::BoxError;

/// Capacity that a connection's buffer starts with, in bytes: enough for most answers.
const BUFFER: usize = 16 << 10;

/// Connection that is kept alive between requests.
pub(crate) struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Returns the bytes of a POST request with a JSON body.
pub(crate) fn post(url: &Url, key: &str, body: &str) -> Vec<u8> {
    let path = url.path();
    let host = url.host_str().unwrap_or_default();
    let length = body.len();

    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n\
         content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns the bytes of a GET request.
pub(crate) fn get(url: &Url) -> Vec<u8> {
    let path = url.path();
    let host = url.host_str().unwrap_or_default();

    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
}

impl Http {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        Ok(Self {
            stream: connect(address).await?,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Executes a GraphQL request and returns the `data` of its response.
    ///
    /// # Errors
    /// The response contains `errors`, or [`Http::call`] fails.
    pub(crate) async fn execute(&mut self, request: &[u8]) -> Result<Value, BoxError> {
        let mut response: Value = serde_json::from_slice(self.call(request).await?)?;

        if response.get("errors").is_some() {
            return Err(format!("the server answered with errors: {response}").into());
        }

        Ok(response["data"].take())
    }

    /// Sends a request and returns the body of the response.
    ///
    /// # Errors
    /// The connection fails, the status is not 2xx, or the response has no `content-length`.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<&[u8], BoxError> {
        match self.exchange(request).await? {
            (200..=299, body) => Ok(body),
            (status, _) => Err(format!("the server answered with status {status}").into()),
        }
    }

    /// Sends a request and returns the status and the body of the response, whatever the status
    /// is.
    ///
    /// # Errors
    /// The connection fails, or the response has no `content-length`.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8]), BoxError> {
        self.buffer.clear();
        self.stream.write_all(request).await?;

        let body_at = read_head(&mut self.stream, &mut self.buffer).await?;
        let head = std::str::from_utf8(&self.buffer[..body_at])?;
        let status_line = head.lines().next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).unwrap_or_default().parse()?;

        // Chunked bodies are not supported: Dealwire and the limits send a length with every answer
        // that loadgen asks for.
        let length: usize = header(head, "content-length")
            .ok_or_else(|| format!("the answer `{status_line}` has no content-length"))?
            .parse()?;

        let end = body_at + length;
        while self.buffer.len() < end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection within an answer".into());
            }
        }

        Ok((status, &self.buffer[body_at..end]))
    }
}

/// Performs `count` numbered tasks over a few connections and returns their results in the order of
/// their numbers. Each connection takes a contiguous share and performs it one task after the
/// other.
///
/// # Errors
/// The first error of any task; the remaining tasks are then abandoned.
pub(crate) async fn run_over_connections<T>(
    address: SocketAddr,
    connections: usize,
    count: usize,
    task: impl AsyncFn(&mut Http, usize) -> Result<T, BoxError>,
) -> Result<Vec<T>, BoxError> {
    let share = count.div_ceil(connections.max(1));
    let task = &task;

    // Contiguous shares make the results' order that of the numbers, without sorting them
    // afterwards.
    let workers = (0..connections).map(|connection| async move {
        let mut http = Http::open(address).await?;
        let mut results = Vec::new();
        for number in connection * share..count.min((connection + 1) * share) {
            results.push(task(&mut http, number).await?);
        }
        Ok::<_, BoxError>(results)
    });

    let shares = try_join_all(workers).await?;
    Ok(shares.into_iter().flatten().collect())
}
