//! A webhook receiver that misbehaves as a test requires. It speaks HTTP/1.1 over TCP or TLS
//! without a library, so that it can violate the protocol, records every request as it was sent,
//! and answers by a script.

mod reply;

pub use reply::Reply;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use reply::Body;

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of requests before this one, over all connections.
    pub number: usize,
    /// Method, such as `POST`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Headers in the order and case in which they were sent.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Time at which its last byte was read.
    pub at: Instant,
}

impl Request {
    /// Returns the value of a header, `None` if it was not sent.
    ///
    /// # Panics
    /// If the header was sent more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(given, _)| given == name)
            .map(|(_, value)| &**value);

        let value = values.next();
        assert_eq!(
            values.next(),
            None,
            "the header {name} was sent more than once"
        );

        value
    }
}

/// A receiver that listens on 127.0.0.1 until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    _listening: JoinSet<()>,
}

type Script = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

struct State {
    script: Script,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
    written: AtomicU64,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock()
    }
}

impl Receiver {
    /// Starts a receiver of plain HTTP. `script` returns the answer to each request.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(script)).await
    }

    /// Starts a receiver of HTTP over TLS.
    ///
    /// # Panics
    /// Under the conditions of [`Self::start`].
    pub async fn start_tls(
        tls: TlsAcceptor,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(tls), Box::new(script)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");

        let address = listener
            .local_addr()
            .expect("a bound listener has an address");

        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State {
            script,
            requests: Mutex::default(),
            connections: AtomicUsize::default(),
            closed: AtomicUsize::default(),
            written: AtomicU64::default(),
        });

        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, tls, Arc::clone(&state)));
        Self {
            address,
            scheme,
            state,
            _listening: listening,
        }
    }

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Returns the requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().clone()
    }

    /// Returns the number of connections so far, and of those that have ended.
    pub fn connections(&self) -> (usize, usize) {
        (
            self.state.connections.load(Ordering::SeqCst),
            self.state.closed.load(Ordering::SeqCst),
        )
    }

    /// Returns the number of bytes of large bodies that the peer has read or the kernel has
    /// buffered.
    pub fn written(&self) -> u64 {
        self.state.written.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut serving = JoinSet::new();
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .expect("a connection can be accepted");

        // Sequentially consistent, here and below: tests compare the counters with each other.
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        let tls = tls.clone();
        serving.spawn(async move {
            // A connection may end in any way; the test checks the effects.
            let _ = match tls {
                None => serve(stream, &state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &state).await,
                    Err(error) => Err(error),
                },
            };

            state.closed.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: &State,
) -> std::io::Result<()> {
    let mut pending = Vec::new();
    while let Some(mut request) = read_request(&mut stream, &mut pending).await? {
        {
            // In a block of its own: the lock must not be held across the awaits below.
            let mut requests = state.lock();
            request.number = requests.len();
            requests.push(request.clone());
        }

        let reply = (state.script)(&request);
        tokio::time::sleep(reply.delay).await;
        if let Some(gate) = &reply.gate {
            gate.acquire()
                .await
                .expect("a gate is never closed")
                .forget();
        }

        let goes_on = answer(&mut stream, &reply, &state.written).await?;
        let closes = reply
            .headers
            .iter()
            .any(|(name, value)| name == "connection" && value == "close");

        if !goes_on || closes {
            break;
        }
    }

    stream.shutdown().await
}

/// Reads the next request; `None` if the connection ended before it was complete. `pending` has
/// what was read beyond the previous one.
async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    pending: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let end = loop {
        if let Some(at) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }

        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    };

    let head = String::from_utf8(pending.drain(..end).collect()).expect("a head is text");
    let mut lines = head.trim_end().split("\r\n");
    let mut start = lines
        .next()
        .expect("a text has a first line")
        .split(' ')
        .map(str::to_owned);

    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").expect("a header has a value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map(|(_, value)| value);

    let length: usize = length.map_or(0, |value| value.parse().expect("a length is a number"));

    while pending.len() < length {
        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    }

    Ok(Some(Request {
        number: 0,
        method: start.next().expect("a request has a method"),
        target: start.next().expect("a request has a target"),
        headers,
        body: pending.drain(..length).collect(),
        at: Instant::now(),
    }))
}

/// Sends an answer, and returns whether the connection continues.
async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    reply: &Reply,
    written: &AtomicU64,
) -> std::io::Result<bool> {
    match &reply.body {
        Body::Whole(bytes) => {
            stream
                .write_all(&[reply.head(), bytes.clone()].concat())
                .await?;

            Ok(true)
        }
        Body::Drip(bytes) => {
            stream.write_all(&reply.head()).await?;
            drip(stream, &vec![b'.'; *bytes]).await
        }
        Body::DrippingHead => drip(stream, &reply.head()).await,
        Body::Large(bytes) => {
            stream.write_all(&reply.head()).await?;
            let block = [b'x'; 16 * 1_024];
            let mut left = *bytes;
            while left > 0 {
                let count = stream.write(&block[..left.min(block.len())]).await?;
                written.fetch_add(count as u64, Ordering::SeqCst);
                left -= count;
            }

            Ok(true)
        }
        Body::CutOff(_, sent) => {
            stream
                .write_all(&[reply.head(), sent.clone()].concat())
                .await?;

            Ok(false)
        }
        Body::Raw(bytes) => {
            stream.write_all(bytes).await?;
            Ok(false)
        }
        Body::Hang => {
            let mut ended = Vec::new();
            stream.read_to_end(&mut ended).await?;
            Ok(false)
        }
    }
}

/// Sends one byte per second, until the peer closes the connection.
async fn drip(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
) -> std::io::Result<bool> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut received = [0];
    for byte in bytes {
        tokio::select! {
            _ = seconds.tick() => stream.write_all(&[*byte]).await?,
            _ = stream.read(&mut received) => return Ok(false),
        }
    }

    Ok(true)
}
