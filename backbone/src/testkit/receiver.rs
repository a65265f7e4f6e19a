//! A receiver of webhooks as bad as a test needs it: HTTP/1.1 by hand over TCP or TLS, so that it can break what a
//! library would keep. It records every request as it came and answers as its script says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// How many came before it, over all connections.
    pub number: usize,
    /// Such as `POST`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// In the order and the case in which they were sent.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub body: Vec<u8>,
    /// When the last byte of it had come.
    pub at: Instant,
}

impl Request {
    /// The value of a header that came once.
    ///
    /// # Panics
    /// When it came more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(given, _)| given == name)
            .map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} came once");
        value
    }
}

/// What goes back, and how.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    delay: Duration,
    gate: Option<Arc<Semaphore>>,
}

enum Body {
    Whole(Vec<u8>),
    /// So many bytes are announced; a byte a second is sent.
    Drip(usize),
    /// So many bytes are announced and sent, as long as anybody takes them.
    Large(usize),
    /// So many bytes are announced; these are sent, and the connection ends.
    CutOff(usize, Vec<u8>),
    /// These bytes in the place of an answer; then the connection ends.
    Raw(Vec<u8>),
    /// The head of an answer, a byte a second.
    DrippingHead,
    /// No answer, and the connection stays.
    Hang,
}

impl Reply {
    /// An answer with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
            delay: Duration::ZERO,
            gate: None,
        }
    }

    /// 200.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// 200, and a byte of the body each second for an hour.
    pub fn drip() -> Self {
        Self {
            body: Body::Drip(3_600),
            ..Self::ok()
        }
    }

    /// 200, a byte of the head each second.
    pub fn dripping_head() -> Self {
        Self {
            body: Body::DrippingHead,
            ..Self::ok()
        }
    }

    /// 200 and so many bytes.
    pub fn large(bytes: usize) -> Self {
        Self {
            body: Body::Large(bytes),
            ..Self::ok()
        }
    }

    /// 200 and a body that ends before the length that was announced.
    pub fn cut_off(sent: &str) -> Self {
        Self {
            body: Body::CutOff(sent.len() + 1, sent.into()),
            ..Self::ok()
        }
    }

    /// These bytes, whatever they are; then the connection ends.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Raw(bytes.into()),
            ..Self::ok()
        }
    }

    /// The connection ends without a byte.
    pub fn close() -> Self {
        Self::raw([])
    }

    /// Takes the request and says nothing, for as long as the other side waits.
    pub fn hang() -> Self {
        Self {
            body: Body::Hang,
            ..Self::ok()
        }
    }

    /// A status that names another place.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// 200 and gzip that grows to `kib` KiB of zeros.
    pub fn gzip_bomb(kib: usize) -> Self {
        Self::ok()
            .header("content-encoding", "gzip")
            .body(gzip_of_zeros(kib))
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Whole(body.into()),
            ..self
        }
    }

    /// Lets the other side wait before it.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Lets the other side wait until the gate lets it through: each permit lets one.
    #[must_use]
    pub fn through(self, gate: &Arc<Semaphore>) -> Self {
        Self {
            gate: Some(Arc::clone(gate)),
            ..self
        }
    }

    fn head(&self) -> Vec<u8> {
        let length = match &self.body {
            Body::Whole(bytes) => bytes.len(),
            Body::Drip(announced) | Body::Large(announced) | Body::CutOff(announced, _) => {
                *announced
            }
            Body::Raw(_) | Body::DrippingHead | Body::Hang => 0,
        };
        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.status != 204 && self.status != 304 {
            head += &format!("content-length: {length}\r\n");
        }
        (head + "\r\n").into_bytes()
    }
}

/// Listens on 127.0.0.1 until it is dropped.
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
    /// Speaks plain HTTP. The script is asked about each request.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(script)).await
    }

    /// Speaks HTTP within TLS.
    ///
    /// # Panics
    /// As [`Self::start`] does.
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
        let (address, scheme) = (
            listener.local_addr().expect("it listens"),
            if tls.is_some() { "https" } else { "http" },
        );
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What has come so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().clone()
    }

    /// Connections that were taken, and those of them that have ended.
    pub fn connections(&self) -> (usize, usize) {
        (
            self.state.connections.load(Ordering::SeqCst),
            self.state.closed.load(Ordering::SeqCst),
        )
    }

    /// Bytes of bodies that somebody took, or that wait in the kernel for somebody.
    pub fn written(&self) -> u64 {
        self.state.written.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut serving = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("it listens");
        state.connections.fetch_add(1, Ordering::SeqCst);
        let (state, tls) = (Arc::clone(&state), tls.clone());
        serving.spawn(async move {
            // A connection may end in any way: the test looks at what came of it.
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
            let mut requests = state.lock();
            request.number = requests.len();
            requests.push(request.clone());
        }
        let reply = (state.script)(&request);
        tokio::time::sleep(reply.delay).await;
        if let Some(gate) = &reply.gate {
            gate.acquire().await.expect("nobody closes it").forget();
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

/// The next request, or `None` when the connection ended before it. `pending` is what was read beyond the last.
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

/// Answers, and says whether the connection goes on.
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

/// Sends a byte a second until the other side has had enough.
async fn drip(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
) -> std::io::Result<bool> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut said = [0];
    for byte in bytes {
        tokio::select! {
            _ = seconds.tick() => stream.write_all(&[*byte]).await?,
            _ = stream.read(&mut said) => return Ok(false),
        }
    }
    Ok(true)
}

/// Gzip with a block of fixed codes: a zero, then runs of 258 that repeat it. Its checksum is not right; nobody who
/// inflates as it comes gets so far as to see it.
fn gzip_of_zeros(kib: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    let run = [
        true, true, false, false, false, true, false, true, false, false, false, false, false,
    ];
    for _ in 0..kib * 1_024 / 258 {
        bits.extend(run);
    }
    bits.extend([false; 7]);
    let byte = |bits: &[bool]| {
        bits.iter()
            .rev()
            .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
    };
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    header
        .into_iter()
        .chain(bits.chunks(8).map(byte))
        .chain([0; 8])
        .collect()
}
