//! A listener with a small router, and clients that write byte by byte.

mod client;
pub(crate) mod frames;
mod pem;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use backbone::telemetry::Metrics;
use backbone::testkit::wait_until;
use hyper::upgrade::OnUpgrade;
use listener::{Deadlines, Listener, Peer, Recovered, Settings, recover};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use client::{Client, PATIENCE, drip};
pub(crate) use pem::{Pair, tls_client};

/// Deadline of tests that wait for it to pass.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Bytes of the response to `GET /large`: more than the sockets of both sides buffer.
pub(crate) const LARGE: usize = 16 << 20;

/// A listener that serves.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stopping: CancellationToken,
    pub(crate) requests: TaskTracker,
    metrics: Metrics,
    upgrades: mpsc::UnboundedReceiver<OnUpgrade>,
    serving: JoinSet<Result<(), Infallible>>,
}

impl Server {
    /// Listens on a port of the system's choice.
    pub(crate) fn start(settings: Settings) -> Self {
        let metrics = Metrics::new();
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(here, settings, &metrics).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = listener.requests();

        let stopping = CancellationToken::new();
        let (sender, upgrades) = mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(router(sender), stopping.clone()));

        Self {
            address,
            stopping,
            requests,
            metrics,
            upgrades,
            serving,
        }
    }

    /// Listens with one deadline that is short.
    pub(crate) fn with_deadlines(change: impl FnOnce(&mut Deadlines)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings.deadlines);
        Self::start(settings)
    }

    /// Connects in clear text.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Fails unless a new client in clear text is answered.
    pub(crate) async fn answers(&self) {
        let mut client = Client::new(self.connect().await);
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.expect("hello").await;
    }

    /// Waits for the next upgraded connection.
    pub(crate) async fn upgraded(&mut self) -> Recovered {
        let upgrade = self.upgrades.recv().await.unwrap();
        let upgraded = timeout(PATIENCE, upgrade).await.unwrap().unwrap();
        recover(upgraded).expect("a connection of the listener")
    }

    /// Waits until a line of the metrics is as given, without the prefix that all metrics have.
    pub(crate) async fn measures(&self, line: &str) {
        wait_until(PATIENCE, line, async || self.shows(line)).await;
    }

    /// Returns whether a line of the metrics is as given.
    fn shows(&self, line: &str) -> bool {
        let line = format!("dealwire_{line}");
        self.metrics.encode().lines().any(|shown| shown == line)
    }

    /// Waits for the end of `serve`, which must come within `limit`.
    pub(crate) async fn ends_within(&mut self, limit: Duration) {
        let ended = timeout(limit, self.serving.join_next()).await;
        ended.expect("it ends in time").unwrap().unwrap().unwrap();
    }
}

fn router(upgrades: mpsc::UnboundedSender<OnUpgrade>) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/wait", get(std::future::pending::<&str>))
        .route("/panic", get(panic))
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .route("/peer", get(peer))
        .route("/upgrade", get(upgrade))
        .with_state(upgrades)
}

async fn panic() -> &'static str {
    panic!("a handler of a test")
}

async fn peer(Extension(peer): Extension<Peer>) -> String {
    format!("{} encrypted: {}", peer.address, peer.encrypted)
}

async fn upgrade(
    State(upgrades): State<mpsc::UnboundedSender<OnUpgrade>>,
    request: Request,
) -> Response {
    upgrades.send(hyper::upgrade::on(request)).unwrap();
    let headers = [(CONNECTION, "upgrade"), (UPGRADE, "test")];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
}
