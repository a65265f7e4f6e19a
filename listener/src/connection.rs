//! One connection, from its acceptance to its end or its upgrade.

mod open;
mod streams;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::exchange::{Exchange, ResponseBody};
use crate::guarded::Guarded;
use crate::link::Link;
use crate::metrics::{Counters, Missed};
use crate::peer::Peer;
use crate::settings::Settings;
use crate::slots::{Slot, Slots};
use crate::socket;
use crate::tls::Tls;
use crate::watch::{Alarm, Alert, Watch};
use open::open;
use streams::Streams;

/// Bytes of an HTTP/1 head, and of what is read ahead of a handler. hyper's own limit is 400 KiB, for each
/// connection.
const HTTP1_BUFFER: usize = 64 << 10;

/// Requests of one HTTP/2 connection at once. The usual 100 is enough for a browser.
const STREAMS: u32 = 100;
/// Bytes of one HTTP/2 request head after decompression.
const HEADER_LIST: u32 = 16 << 10;
/// Requests that an HTTP/2 client may have withdrawn before this process looked at them (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Errors of an HTTP/2 client within its streams before its connection is closed (RUSTSEC-2024-0003).
const STREAM_ERRORS: usize = 128;
/// Bytes of request bodies that an HTTP/2 client may send ahead: of one request, and of all.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of one HTTP/2 response that are kept for the socket.
const SEND_BUFFER: usize = 64 << 10;
/// Time after which a silent HTTP/2 client is asked whether it is there, and for which its answer is awaited.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// State that the connections of a listener share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) slots: Slots,
    pub(crate) tls: Option<Tls>,
    /// Requests that are under way.
    pub(crate) requests: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) router: Router,
}

impl Shared {
    /// Returns whether an address belongs to a proxy, so that it is not the one of a client.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        let trusted = &self.settings.trusted_proxies;
        trusted.iter().any(|network| network.contains(&address))
    }
}

/// Serves one connection until it ends or is upgraded.
pub(crate) async fn serve(shared: Arc<Shared>, tcp: TcpStream, from: SocketAddr, slot: Slot) {
    socket::prepare(&tcp);

    // A connection without a request has nothing to finish.
    let opened = tokio::select! {
        biased;
        () = shared.stopping.cancelled() => return,
        opened = open(&shared, tcp, from, slot) => opened,
    };
    match opened {
        Ok((link, peer, slot)) => serve_http(&shared, link, peer, slot).await,
        Err(error) => tracing::debug!(%from, error, "connection closed before its first request"),
    }
}

async fn serve_http(shared: &Arc<Shared>, link: Link, peer: Peer, slot: Slot) {
    let limits = shared.settings.deadlines;
    let watch = Arc::new(Watch::new(limits, shared.settings.grace));
    let counters = shared.counters.clone();
    let io = Guarded::new(link, slot, Arc::clone(&watch), limits.write, counters);

    let service = service_fn(|request: Request<Incoming>| {
        // Begun here, not in the future: an HTTP/2 stream polls that later, and the connection must not count as idle
        // in between.
        let exchange = Exchange::begin(Arc::clone(&watch), shared.requests.token());
        answer(Arc::clone(shared), exchange, peer, request)
    });

    // Requests of an HTTP/2 connection are tasks of their own, which end with it.
    let ended = CancellationToken::new();
    let _ends_streams = ended.clone().drop_guard();
    let builder = builder(Streams::new(ended));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = pin!(connection);

    let mut alarm = Alarm::new(&watch);
    let mut stopping = pin!(shared.stopping.cancelled().fuse());
    loop {
        let event = poll_fn(|cx| {
            watch.task_runs();
            // First what has arrived, so that a request which comes at the last moment is in time.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Ended);
            }
            if stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Alert(Alert::Announce));
            }
            alarm.poll(cx, &watch).map(Event::Alert)
        });

        match event.await {
            Event::Ended => return,
            Event::Alert(Alert::Announce) => {}
            // An idle connection is told before it is dropped: a request may be on its way.
            Event::Alert(Alert::Late(Missed::Idle)) if watch.may_announce() => {
                shared.counters.miss(Missed::Idle);
            }
            Event::Alert(Alert::Late(Missed::Idle)) => return,
            Event::Alert(Alert::Late(missed)) => {
                shared.counters.miss(missed);
                return;
            }
        }
        watch.close_announced();
        connection.as_mut().graceful_shutdown();
    }
}

enum Event {
    Ended,
    Alert(Alert),
}

async fn answer(
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let version = request.version();
    let mut request = request.map(|body| exchange.request_body(body));
    request.extensions_mut().insert(peer);

    // Nothing of the handler is used after a panic, so unwind safety is not at stake.
    let handled = AssertUnwindSafe(shared.router.clone().call(request)).catch_unwind();
    let response = match handled.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            shared.counters.panics.inc();
            tracing::error!("a request handler panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };

    if exchange.is_late() {
        shared.counters.miss(Missed::RequestBody);
    }
    Ok(exchange.respond(response, version))
}

fn builder(streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch has deadlines for heads and for idle connections; hyper's limits both by one.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HTTP1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(STREAM_ERRORS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Writes an IPv4 address as one, also if a dual-stack socket or a proxy wrote it as an IPv6 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
